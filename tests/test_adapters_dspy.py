"""DSPy's own prompts: to the letter, rendered once, and never a second request for a reply that does not fit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.lm15 import Message, Request, Response, TextPart, Usage
from dspy.utils.exceptions import AdapterParseError

from glan_dspy.adapters import CompactAdapter
from glan_dspy.adapters_dspy import AdapterName, ChatAdapter, JSONAdapter, adapter_named
from glan_dspy.connect import language_model
from glan_dspy.engines.base import CALL, Call
from glan_dspy.errors import BadReply, UserError
from glan_dspy.records import Discipline
from glan_dspy.run.command import bulk
from glan_dspy.run.generate import generate
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings
from glan_dspy.signatures import AnswerQuestion, DesignSyllabus, DraftSubjects, ListSubjects, WriteQuestion
from glan_dspy.stages import AnswerWriter, Subjects
from tests.loopback_thread import pairs, rows

SUBJECTS_INPUTS = {"discipline": "Optics", "max_subjects": 2, "max_subtopics": 3, "language": "English"}
SIGNATURES = [ListSubjects, DraftSubjects, DesignSyllabus, WriteQuestion, AnswerQuestion]


def settings(**changes: Any) -> Settings:
    return Settings(**{"model_name": "rehearsal", "language": "English", **changes})


class Says:
    """An engine that says the same every time, and counts."""

    def __init__(self, text: str, finish: str = "stop") -> None:
        self.text, self.finish, self.requests = text, finish, list[Request]()

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(id=None, model="m", message=Message.assistant([TextPart(self.text)]),
                        finish_reason=self.finish, usage=Usage())  # fmt: skip


def reason(adapter: AdapterName, engine: Says, stage: Any, **inputs: Any) -> str:
    """The reason of the BadReply with which the stage ends."""

    async def main() -> None:
        stage.set_lm(language_model("m", engine))
        CALL.set(Call("test", "t1"))
        await stage.acall(**inputs)

    with bulk(settings(adapter=adapter)), pytest.raises(BadReply) as caught:
        asyncio.run(main())
    return caught.value.reason


def test_every_name_gives_its_adapter() -> None:
    kinds = [type(adapter_named(name)) for name in ("compact", "chat", "json")]
    assert kinds == [CompactAdapter, ChatAdapter, JSONAdapter]


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize(("ours", "theirs"), [(ChatAdapter, dspy.ChatAdapter), (JSONAdapter, dspy.JSONAdapter)])
def test_the_prompts_are_dspys_own(signature: Any, ours: Any, theirs: Any) -> None:
    inputs = {name: "x" for name in signature.input_fields}
    demos = [{**inputs, **{name: "y" for name in signature.output_fields}}]
    adapter = ours()
    for _ in range(2):
        assert adapter.format(signature, demos, inputs) == theirs().format(signature, demos, inputs)


def test_an_instruction_changed_in_place_is_seen() -> None:
    adapter, signature = ChatAdapter(), ListSubjects.with_instructions("First.")
    assert "First." in adapter.format(signature, [], SUBJECTS_INPUTS)[0]["content"]
    signature.instructions = "Second."
    assert "Second." in adapter.format(signature, [], SUBJECTS_INPUTS)[0]["content"]


def test_what_is_rendered_of_a_signature_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Says('{"subjects": []}')
    made: list[str] = []
    plain = dspy.JSONAdapter.format_field_structure

    def counted(self: Any, signature: Any) -> Any:
        made.append(signature.__name__)
        return plain(self, signature)

    monkeypatch.setattr(dspy.JSONAdapter, "format_field_structure", counted)
    predict = dspy.Predict(ListSubjects)
    predict.set_lm(language_model("m", engine))
    with bulk(settings(adapter="json")):
        for _ in range(5):
            predict(**SUBJECTS_INPUTS)
    formats = [request.config.response_format for request in engine.requests]
    assert made == ["ListSubjects"] and len(formats) == 5
    assert formats[0]["type"] == "json_schema" and formats[0]["strict"] is True


@pytest.mark.parametrize("name", ["chat", "json"])
@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("no form at all", "stop", "unparseable"),
        ('{"subjects": [{"name": "A", "level": "many"}]}', "stop", "unparseable"),
        ("[[ ## subjects ## ]]\n[{}]\n[[ ## completed ## ]]", "stop", "unparseable"),
        ('{"subjects": [{"name": "A", "level": 100, "subtopics": ["x"', "length", "truncated"),
        ('[[ ## subjects ## ]]\n[{"name": "A", "level": 100, "subtopics": ["x"', "length", "truncated"),
        ("", "content_filter", "content_filter"),
        ('[[ ## subjects ## ]]\n{"subjects": []}', "error", "unknown_finish"),
    ],
)
def test_a_bad_reply_has_the_reason_it_has_with_our_adapter_and_costs_one_call(
    name: AdapterName, text: str, finish: str, expected: str
) -> None:
    assert reason(name, engine := Says(text, finish), Subjects(), **SUBJECTS_INPUTS) == expected
    assert len(engine.requests) == 1


@pytest.mark.parametrize("name", ["compact", "chat", "json"])
def test_an_empty_reply_is_empty(name: AdapterName) -> None:
    assert reason(name, Says(""), AnswerWriter(), question="Why?") == "empty"


@pytest.mark.parametrize("adapter", [ChatAdapter(), JSONAdapter()])
def test_a_failure_holds_no_half_result(adapter: Any) -> None:
    half = "[[ ## introduction ## ]]\nHello" if isinstance(adapter, ChatAdapter) and not isinstance(
        adapter, dspy.JSONAdapter) else '{"introduction": "Hello"}'  # fmt: skip
    with pytest.raises(AdapterParseError) as caught:
        adapter.parse(DesignSyllabus, half)
    assert caught.value.parsed_result is None and caught.value.lm_response == half


@pytest.mark.parametrize("name", ["chat", "json"])
def test_a_whole_run_with_dspys_prompts(name: AdapterName, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    outcome = generate(run, settings(adapter=name), [Discipline(name="Optics")])
    assert outcome.tally.instructions == 20 and not outcome.bugs
    assert all(question and answer and "[[ ##" not in question + answer for _, question, answer in pairs(run.path))
    assert len(rows(run.path, "calls")) == 1 + 2 + 40
    with pytest.raises(UserError, match=f"adapter '{name}' -> 'compact'"):
        generate(run, settings(), [Discipline(name="Optics")])


def test_faults_end_with_a_reason_under_dspys_prompts_too(tmp_path: Path) -> None:
    faulty = "rehearsal?truncate=0.1&empty=0.1&bad_json=0.1&refuse=0.1"
    run = Run(tmp_path / "run")
    generate(run, settings(adapter="json", model_name=faulty), [Discipline(name=n) for n in ("Optics", "Law")])
    assert status(run)["complete"] and {"truncated"} <= set(status(run)["rejected"])


def test_errors_of_the_endpoint_stay_typed() -> None:
    class Down:
        async def complete(self, request: Request) -> Response:
            raise lm15.ServerError("down", status=500)

    from dspy.utils.exceptions import LMServerError

    predict = dspy.Predict(ListSubjects)
    predict.set_lm(language_model("m", Down()))
    with bulk(settings(adapter="chat")), pytest.raises(LMServerError):
        predict(**SUBJECTS_INPUTS)
