"""The stages: what each asks, what it gives back, and how a bad reply is told from a good one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request, Response
from dspy.utils import DummyLM

from glan_dspy.adapters import CompactAdapter
from glan_dspy.connect import language_model
from glan_dspy.engines.base import CALL, Call
from glan_dspy.errors import BadReply
from glan_dspy.records import ClassSession, Sample, Subject, Syllabus
from glan_dspy.stages import (
    AnswerWriter,
    Options,
    QuestionWriter,
    Stage,
    Subjects,
    SyllabusDesign,
    Taxonomy,
    asked,
)
from tests.scripted import Scripted, reply

SUBJECT = Subject(id="s1", discipline="Optics", name="Wave optics", level=200, subtopics=("interference", "films"))
PLAN = Syllabus(
    id="y1",
    subject_id="s1",
    introduction="Light.",
    sessions=(
        ClassSession(name="Superposition", key_concepts=("phase", "coherence")),
        ClassSession(name="Thin films", key_concepts=("path length", "reflection")),
        ClassSession(name="Gratings", key_concepts=("orders",)),
    ),
)
SAMPLE = Sample(strategy="double", sessions=(0, 1), concepts=(("coherence",), ("path length", "reflection")))

SUBJECTS: dict[str, Any] = {
    "subjects": [
        {"name": "Wave optics", "level": 200, "subtopics": ["interference"]},
        {"name": "Lasers", "level": 400, "subtopics": ["gain", "modes"]},
    ]
}
SYLLABUS: dict[str, Any] = {
    "introduction": "Light, step by step.",
    "sessions": [
        {"name": "Superposition", "description": "Waves add.", "key_concepts": ["phase"]},
        {"name": "Thin films", "description": "Colours.", "key_concepts": ["path length", "reflection"]},
    ],
}
TAXONOMY: dict[str, Any] = {
    "fields_of_knowledge": [
        {"name": "Science", "sub_fields": [{"name": "Physics", "disciplines": ["Optics", "Acoustics"]}]},
        {"name": "Arts", "sub_fields": [{"name": "Stage", "disciplines": ["Dance"]}]},
    ]
}


def ask_taxonomy(stage: Taxonomy) -> dspy.Prediction:
    return stage(max_fields=2)


def ask_subjects(stage: Subjects) -> dspy.Prediction:
    return stage(discipline="Optics", max_subjects=2, max_subtopics=3)


def ask_syllabus(stage: SyllabusDesign) -> dspy.Prediction:
    return stage(subject=SUBJECT, max_sessions=3)


def ask_question(stage: QuestionWriter) -> dspy.Prediction:
    return stage(subject=SUBJECT, syllabus=PLAN, sample=SAMPLE, language="Korean")


def ask_answer(stage: AnswerWriter) -> dspy.Prediction:
    return stage(question="Why is a film colourful?", language="Korean", subject="Wave optics", level=200)


# stage, how it is asked, what its model says
EVERY: list[tuple[type[Stage], Callable[[Any], Any], dict[str, Any]]] = [
    (Taxonomy, ask_taxonomy, TAXONOMY),
    (Subjects, ask_subjects, SUBJECTS),
    (SyllabusDesign, ask_syllabus, SYLLABUS),
    (QuestionWriter, ask_question, {"question": "Why is a soap film colourful?"}),
    (AnswerWriter, ask_answer, {"answer": "Because $2nd = m\\lambda$."}),
]
every_stage = pytest.mark.parametrize(("stage", "ask", "said"), EVERY, ids=[case[0].__name__ for case in EVERY])


def text_of(said: dict[str, Any]) -> str:
    value = next(iter(said.values()))
    return value if isinstance(value, str) and len(said) == 1 else json.dumps(said)


def run(stage: Any, ask: Callable[[Any], Any], engine: Scripted) -> Any:
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()):
        return ask(stage)


def bad_reply(stage: Any, ask: Callable[[Any], Any], engine: Scripted) -> BadReply:
    with pytest.raises(BadReply) as caught:
        run(stage, ask, engine)
    return caught.value


# --- good replies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("active", "rendered"),
    [(CompactAdapter, CompactAdapter), (dspy.ChatAdapter, dspy.ChatAdapter), (dspy.JSONAdapter, dspy.JSONAdapter)],
)
def test_the_stages_work_under_dspys_adapters_too(active: Any, rendered: Any) -> None:
    said = [case[2] for case in EVERY]
    with dspy.context(lm=DummyLM(said, adapter=rendered()), adapter=active()):
        taxonomy, subjects, syllabus, question, answer = (ask(stage()) for stage, ask, _ in EVERY)
    assert [field.name for field in taxonomy.fields] == ["Science", "Arts"]
    assert [(s.name, s.level, s.subtopics) for s in subjects.subjects] == [
        ("Wave optics", 200, ["interference"]),
        ("Lasers", 400, ["gain", "modes"]),
    ]
    assert syllabus.introduction == "Light, step by step."
    assert syllabus.sessions[1] == ClassSession(
        name="Thin films", description="Colours.", key_concepts=("path length", "reflection")
    )
    assert question.question == "Why is a soap film colourful?"
    assert answer.answer == "Because $2nd = m\\lambda$."


def test_with_nothing_configured_but_a_model_a_stage_works() -> None:
    with dspy.context(lm=DummyLM([SUBJECTS])):
        assert [s.name for s in ask_subjects(Subjects()).subjects] == ["Wave optics", "Lasers"]


@every_stage
def test_awaiting_a_stage_and_calling_it_is_the_same(stage: type[Stage], ask: Any, said: dict[str, Any]) -> None:
    class Awaited:
        """Takes the call that `ask` makes and awaits it in a loop of its own."""

        def __call__(self, **inputs: Any) -> Any:
            return asyncio.run(stage().acall(**inputs))

    called = run(stage(), ask, Scripted([text_of(said)]))
    awaited = run(Awaited(), ask, Scripted([text_of(said)]))
    assert dict(called) == dict(awaited)


def test_a_level_as_catalogues_write_it_is_understood() -> None:
    for written in ("300-level", "Level 300", "300", 300, 300.0):
        said = {"subjects": [{"name": "A", "level": written, "subtopics": ["b"]}]}
        assert run(Subjects(), ask_subjects, Scripted([json.dumps(said)])).subjects[0].level == 300


def test_a_taxonomy_is_cut_to_its_number_of_fields() -> None:
    with dspy.context(lm=Scripted([json.dumps(TAXONOMY)]).lm, adapter=CompactAdapter()):
        assert [field.name for field in Taxonomy()(max_fields=1).fields] == ["Science"]


def test_one_session_without_concepts_does_not_cost_the_syllabus() -> None:
    # Only DSPy's own adapters can let one through; ours validates inside the model as well.
    sessions = [{"name": "A", "key_concepts": [" "]}, {"name": "B", "key_concepts": ["b"]}]
    said = json.dumps({"introduction": "", "sessions": sessions})
    assert len(run(SyllabusDesign(), ask_syllabus, Scripted([said])).sessions) == 2


# --- what is asked --------------------------------------------------------------------------------


def test_a_question_is_asked_with_the_syllabus_before_the_sample() -> None:
    engine = Scripted(["Why?"])
    run(QuestionWriter(Options(max_tokens=512)), ask_question, engine)
    assert engine.user() == (
        "Language: Korean\nMax tokens: 512\nDiscipline: Optics\nSubject: Wave optics\nLevel: 200\n"
        "Syllabus:\n"
        "1. Superposition: phase; coherence\n2. Thin films: path length; reflection\n3. Gratings: orders\n"
        "Sessions:\n- Superposition\n- Thin films\n"
        "Key concepts:\n- coherence\n- path length\n- reflection"
    )


def test_the_answering_model_sees_the_subject_or_the_question_alone() -> None:
    engine = Scripted(["Interference."] * 2)
    run(AnswerWriter(sees="subject"), ask_answer, engine)
    run(AnswerWriter(sees="question"), ask_answer, engine)
    assert engine.user(0) == ("Language: Korean\nSubject: Wave optics\nLevel: 200\nQuestion: Why is a film colourful?")
    assert engine.user(1) == "Question: Why is a film colourful?"


def test_an_imported_question_may_have_no_subject() -> None:
    engine = Scripted(["Interference."])
    run(AnswerWriter(), lambda stage: stage(question="Why?", language="", subject="", level=""), engine)
    assert engine.user() == "Question: Why?"


def test_sampling_options_travel_with_each_call() -> None:
    engine = Scripted(["Why?"])
    run(QuestionWriter(Options(temperature=0.3, top_p=0.8, max_tokens=99)), ask_question, engine)
    config = engine.requests[0].config
    assert (config.temperature, config.top_p, config.max_tokens, config.seed) == (0.3, 0.8, 99, None)


def seed_sent(options: Options, call: Call) -> int | None:
    engine = Scripted(["Why?"])
    token = CALL.set(call)
    try:
        run(QuestionWriter(options), ask_question, engine)
    finally:
        CALL.reset(token)
    seed: int | None = engine.requests[0].config.seed
    return seed


def test_the_seed_sent_belongs_to_the_item_and_the_ask() -> None:
    sent = [
        seed_sent(Options(seed=seed), Call(stage="", item=item, ask=ask))
        for seed in (0, 1)
        for item in ("a", "b")
        for ask in (0, 1)
    ]
    assert len(set(sent)) == 8
    assert all(seed is not None and 0 <= seed < 2**31 for seed in sent)
    assert sent[0] == seed_sent(Options(seed=0), Call(stage="", item="a", ask=0, attempt=3))
    assert seed_sent(Options(seed=None), Call(stage="", item="a")) is None


@pytest.mark.parametrize(("stage", "ask", "said"), [EVERY[1], EVERY[2]], ids=["subjects", "syllabus"])
def test_draft_first_asks_for_a_text_and_then_for_its_structure(
    stage: type[Stage], ask: Any, said: dict[str, Any]
) -> None:
    draft = "1. Wave optics (level 200)\n   - interference"
    engine = Scripted([draft, json.dumps(said)])
    result = run(stage(Options(draft_first=True)), ask, engine)
    assert len(engine.requests) == 2
    assert engine.requests[0].config.response_format is None
    assert engine.requests[1].config.response_format is not None
    assert "Discipline: Optics" in engine.user(0)
    assert engine.user(1) == f"Draft:\n{draft}"
    assert dict(result) == dict(run(stage(), ask, Scripted([json.dumps(said)])))


def test_a_draft_that_was_cut_is_not_extracted() -> None:
    engine = Scripted([reply("1. Wave opt", finish="length")])
    assert bad_reply(Subjects(Options(draft_first=True)), ask_subjects, engine).reason == "truncated"


# --- bad replies ----------------------------------------------------------------------------------


@every_stage
@pytest.mark.parametrize(("text", "reason"), [("", "empty"), (" \n", "empty"), ("<think>hm</think>", "unparseable")])
def test_an_empty_reply_is_a_bad_reply(
    stage: type[Stage], ask: Any, said: dict[str, Any], text: str, reason: str
) -> None:
    error = bad_reply(stage(), ask, Scripted([text]))
    assert (error.reason, error.raw.strip(), error.again) == (reason, text.strip(), True)


@every_stage
def test_a_reply_at_its_token_limit_is_truncated_however_whole_it_looks(
    stage: type[Stage], ask: Any, said: dict[str, Any]
) -> None:
    error = bad_reply(stage(), ask, Scripted([reply(text_of(said), finish="length")]))
    assert (error.reason, error.raw, error.again) == ("truncated", text_of(said), stage.carries)


@pytest.mark.parametrize("end", [1, 20, 60, 90, 110])
def test_truncated_json_is_truncated_even_where_it_could_be_repaired(end: int) -> None:
    cut = json.dumps(SUBJECTS)[:end]
    error = bad_reply(Subjects(), ask_subjects, Scripted([reply(cut, finish="length")]))
    assert (error.reason, error.raw) == ("truncated", cut)


@every_stage
def test_a_refusal_part_is_a_refusal(stage: type[Stage], ask: Any, said: dict[str, Any]) -> None:
    error = bad_reply(stage(), ask, Scripted([reply(refusal="I cannot help with that.")]))
    assert (error.reason, error.raw, error.again) == ("refusal", "I cannot help with that.", stage.carries)


@every_stage
@pytest.mark.parametrize("whole", [True, False])
def test_filtered_content_is_told_whatever_came_with_it(
    stage: type[Stage], ask: Any, said: dict[str, Any], whole: bool
) -> None:
    text = text_of(said) if whole else ""
    error = bad_reply(stage(), ask, Scripted([reply(text, finish="content_filter")]))
    assert (error.reason, error.raw, error.again) == ("content_filter", text, stage.carries)


@every_stage
def test_an_unknown_end_is_not_believed(stage: type[Stage], ask: Any, said: dict[str, Any]) -> None:
    error = bad_reply(stage(), ask, Scripted([reply(text_of(said), finish="error")]))
    assert (error.reason, error.again) == ("unknown_finish", True)


@every_stage
def test_each_bad_reply_costs_one_request(stage: type[Stage], ask: Any, said: dict[str, Any]) -> None:
    engine = Scripted(["", text_of(said)])
    bad_reply(stage(), ask, engine)
    assert len(engine.requests) == 1


@pytest.mark.parametrize("level", [50, 99, 1000, 901, 0, -100, "hard", None, 250.5])
def test_a_level_outside_100_to_900_is_refused(level: Any) -> None:
    said = {"subjects": [SUBJECTS["subjects"][0], {"name": "A", "level": level, "subtopics": ["b"]}]}
    error = bad_reply(Subjects(), ask_subjects, Scripted([json.dumps(said)]))
    assert (error.reason, error.raw, error.again) == ("unparseable", json.dumps(said), True)


def test_under_dspys_own_adapter_such_a_level_is_refused_too() -> None:
    said = {"subjects": [{"name": "A", "level": 1000, "subtopics": ["b"]}]}
    with dspy.context(lm=DummyLM([said, said])), pytest.raises(BadReply, match="unparseable"):
        ask_subjects(Subjects())


def test_the_detail_of_a_reply_that_does_not_fit_says_where() -> None:
    said = {"subjects": [{"name": "A", "level": 1000, "subtopics": ["b"]}]}
    error = bad_reply(Subjects(), ask_subjects, Scripted([json.dumps(said)]))
    assert "subjects.0.level" in error.detail


EMPTY = [
    (Taxonomy, ask_taxonomy, {"fields_of_knowledge": []}),
    (Subjects, ask_subjects, {"subjects": []}),
    (SyllabusDesign, ask_syllabus, {"introduction": "Light.", "sessions": []}),
]
every_empty = pytest.mark.parametrize(("stage", "ask", "said"), EMPTY, ids=["taxonomy", "subjects", "syllabus"])


@every_empty
def test_an_empty_list_is_the_wrong_shape(stage: type[Stage], ask: Any, said: dict[str, Any]) -> None:
    error = bad_reply(stage(), ask, Scripted([json.dumps(said)]))
    assert (error.reason, error.again) == ("wrong_shape", True)


@every_empty
def test_the_wrong_shape_keeps_the_reply_as_it_came(stage: type[Stage], ask: Any, said: dict[str, Any]) -> None:
    assert bad_reply(stage(), ask, Scripted([json.dumps(said)])).raw == json.dumps(said)


def test_endless_brackets_cut_at_the_limit_are_truncated() -> None:
    error = bad_reply(Subjects(), ask_subjects, Scripted([reply("[" * 5000, finish="length")]))
    assert error.reason == "truncated"


@pytest.mark.parametrize("text", ["DO NOT KNOW", "I do not know.", "**DO NOT KNOW**", "DO NOT KNOW, for lack of data"])
def test_an_answer_that_abstains_is_a_bad_reply(text: str) -> None:
    error = bad_reply(AnswerWriter(), ask_answer, Scripted([text]))
    assert (error.reason, error.raw, error.again) == ("abstained", text, False)


@pytest.mark.parametrize("text", ["NOT", "KNOW", "DO", "O", "Do not know your enemy? Know yourself, then.", "모른다"])
def test_an_answer_that_only_looks_like_it_is_an_answer(text: str) -> None:
    assert run(AnswerWriter(), ask_answer, Scripted([text])).answer == text


# --- what the caller of a call learns -----------------------------------------------------------------


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_the_callers_call_tells_of_the_last_reply_good_or_bad(finish: str) -> None:
    call = Call(stage="outer", item="i1")
    lines: list[dict[str, Any]] = []
    call.record = lines.append
    token = CALL.set(call)
    try:
        run(QuestionWriter(), ask_question, Scripted([reply("Why?", finish=finish)]))
    except BadReply:
        assert finish == "length"
    finally:
        CALL.reset(token)
    assert call.response is not None
    assert call.response.finish_reason == finish
    assert (call.stage, call.item) == ("question.write", "i1")
    assert [(line["stage"], line["item"], line["id"]) for line in lines] == [("question.write", "i1", call.id)]


def test_what_the_last_call_noted_does_not_stick_to_the_next() -> None:
    call = Call(stage="outer", item="i1")
    token = CALL.set(call)
    try:
        for _ in range(2):
            bad_reply(QuestionWriter(), ask_question, Scripted([reply("cut", finish="length")]))
            # DummyLM knows nothing of calls: the old finish reason must not count for its reply.
            with dspy.context(lm=DummyLM([{"question": "How?"}]), adapter=dspy.ChatAdapter()):
                assert ask_question(QuestionWriter()).question == "How?"
    finally:
        CALL.reset(token)


class Echo:
    """Replies with the last line it was shown; every second reply is cut, and the first to come is the last to go."""

    def __init__(self) -> None:
        self.waiting = 0

    async def complete(self, request: Request) -> Response:
        last = (request.messages[-1].text or "").splitlines()[-1]
        self.waiting += 1
        await asyncio.sleep(0.05 / self.waiting)
        return reply(last, finish="length" if int(last.split()[-1]) % 2 else "stop")


def test_calls_in_flight_together_do_not_mix_up_their_endings() -> None:
    stage = AnswerWriter(sees="question")

    async def one(number: int) -> str:
        call = Call(stage="", item=str(number))
        CALL.set(call)
        try:
            said = (await stage.acall(question=f"number {number}")).answer
        except BadReply as error:
            said = error.reason
        assert call.response is not None
        assert str(number) in (call.response.message.text or "")
        return str(said)

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(40)))

    with dspy.context(lm=language_model("echo", Echo()), adapter=CompactAdapter()):
        said = asyncio.run(all_of_them())
    assert said == ["truncated" if n % 2 else f"Question: number {n}" for n in range(40)]


# --- asking again ---------------------------------------------------------------------------------


def ask_until(replies: list[bool | str], limit: int) -> tuple[str, list[int], list[int]]:
    """What `asked` gives, which asks were made, which were useless; a reply is text, or False/True = ask again."""
    script, made, useless = iter(replies), list[int](), list[int]()

    async def make() -> str:
        call = CALL.get()
        assert call is not None
        made.append(call.ask)
        said = next(script)
        if isinstance(said, bool):
            raise BadReply("bad", f"raw {call.ask}", again=said)
        return said

    async def main() -> str:
        said, call = await asked(
            make, limit, lambda ask: Call(stage="s", item="i", ask=ask), lambda call: useless.append(call.ask)
        )
        assert call.ask == made[-1]
        return said

    try:
        return asyncio.run(main()), made, useless
    except BadReply as error:
        return error.raw, made, useless


def test_a_useless_reply_is_asked_for_again_under_a_new_number() -> None:
    assert ask_until(["good"], 3) == ("good", [0], [])
    assert ask_until([True, True, "good"], 3) == ("good", [0, 1, 2], [0, 1])


def test_after_the_last_ask_the_last_bad_reply_is_raised() -> None:
    assert ask_until([True, True, True, "too late"], 3) == ("raw 2", [0, 1, 2], [0, 1, 2])


def test_what_will_not_change_is_asked_once() -> None:
    assert ask_until([False, "never asked"], 3) == ("raw 0", [0], [0])
    assert ask_until([True, False, "never asked"], 3) == ("raw 1", [0, 1], [0, 1])


def test_a_limit_of_no_asks_is_a_bug_told_loudly() -> None:
    with pytest.raises(ValueError, match="at least once"):
        ask_until(["good"], 0)
