"""Prompts that are made again are, word for word, those that a run sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from dspy.lm15 import Request, Response

from glan_dspy.connect import Care, Models, language_model
from glan_dspy.engines.base import CALL
from glan_dspy.engines.rehearsal import RehearsalEngine
from glan_dspy.errors import UserError
from glan_dspy.program import open_program
from glan_dspy.publish.lineage import lineages
from glan_dspy.publish.prompts import Prompt, Prompts, prompt_of
from glan_dspy.records import Discipline
from glan_dspy.run.begin import begin
from glan_dspy.run.command import bulk
from glan_dspy.run.store import Run
from glan_dspy.run.walk import Walk
from glan_dspy.settings import Settings

OPTICS = Discipline(name="Optics")


class Sent:
    """The simulated model, and what was sent to it, by the call's name."""

    def __init__(self) -> None:
        self.model = RehearsalEngine()
        self.prompts: dict[str, Prompt] = {}

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        assert call is not None
        self.prompts[call.key] = prompt_of(call.stage, request)
        return await self.model.complete(request)


def walked(path: Path, **changes: Any) -> tuple[Run, dict[str, Prompt]]:
    """A small run, and every prompt that it sent."""
    settings = Settings(**{"model_name": "rehearsal", "language": "English", "max_number_of_subjects": 1, **changes})
    run, sent, glan = Run(path), Sent(), open_program(settings)
    lm = language_model("fake", sent, Care())
    glan.connect(Models(lm, lm, lm))

    async def main() -> None:
        await Walk(run, glan, [OPTICS])()

    with run.lock(), bulk(settings):
        begin(run, "generate", settings, [OPTICS], glan.digest)
        asyncio.run(main())
    return run, sent.prompts


def again(run: Run) -> dict[str, list[Prompt]]:
    shelf = run.shelf(OPTICS)
    prompts = Prompts(run)
    assert prompts.caveat == ""
    ids = sorted(shelf.ids("instructions"))[:3]
    return {id: prompts.of(shelf, one) for id, one in lineages(shelf, OPTICS, ids).items()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"draft_first": True, "num_subject_queries": 3},
        {"adapter": "chat", "answer_sees": "question", "curriculum_language": "German"},
        {"adapter": "json"},
    ],
)
def test_they_are_those_that_were_sent(tmp_path: Path, changes: dict[str, Any]) -> None:
    run, sent = walked(tmp_path / "run", **changes)
    for id, made in again(run).items():
        draft = bool(changes.get("draft_first"))
        first = [f"{stage}.{part}" for stage in ("subjects", "syllabus") for part in ("draft", "extract") if draft]
        assert [prompt.stage for prompt in made[-2:]] == ["question.write", "answer.write"]
        assert [prompt.stage for prompt in made[:-2]] == (first or ["subjects.list", "syllabus.design"])
        assert all(prompt in sent.values() for prompt in made)
        assert made[-2] == sent[f"question.write/{id}/0"] and made[-1] == sent[f"answer.write/{id}/0"]


def test_the_runs_program_is_taken_and_another_one_is_said_to_be_so(tmp_path: Path) -> None:
    tuned = open_program(Settings())
    tuned.answer.write.signature = tuned.answer.write.signature.with_instructions("Answer like a sailor.")
    tuned.save(tmp_path / "tuned.json")
    run, _ = walked(tmp_path / "run", program=str(tmp_path / "tuned.json"))
    assert all(made[-1].messages[0] == ("system", "Answer like a sailor.") for made in again(run).values())
    tuned.answer.write.signature = tuned.answer.write.signature.with_instructions("Answer like a pilot.")
    tuned.save(tmp_path / "tuned.json")
    assert Prompts(run).caveat.startswith(f"the run's program is {run.about()['program_digest']}, this one ")
    (tmp_path / "tuned.json").unlink()
    with pytest.raises(UserError, match=r"cannot read the program .*tuned\.json"):
        Prompts(run)


def test_what_is_missing_in_the_files_leaves_out_its_prompt_and_no_other(tmp_path: Path) -> None:
    run, _ = walked(tmp_path / "run", draft_first=True)
    shelf = run.shelf(OPTICS)
    (shelf.path / "replies.jsonl").unlink()
    stages = {prompt.stage for made in again(run).values() for prompt in made}
    assert stages == {"subjects.draft", "syllabus.draft", "question.write", "answer.write"}
    syllabi = [orjson.loads(line) for line in (shelf.path / "syllabi.jsonl").read_bytes().splitlines()]
    for session in (session for line in syllabi for session in line["sessions"]):
        session["name"] += " (edited)"
    (shelf.path / "syllabi.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in syllabi))
    stages = {prompt.stage for made in again(run).values() for prompt in made}
    assert stages == {"subjects.draft", "syllabus.draft", "answer.write"}
