"""The prompts of a record's calls. No run keeps them: they are made again from its settings, program and records.

Each stage is asked in the way of a run, by an engine that notes the request and sends nothing. What a model replied to
a draft's request is in replies.jsonl, so that the request that follows it can be made too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from dspy.lm15 import Message, Request, Response, TextPart, Usage

from glan_dspy.connect import Models, language_model
from glan_dspy.engines.base import CALL
from glan_dspy.engines.base import Call as Asked
from glan_dspy.engines.journal import response_from
from glan_dspy.errors import BadReply
from glan_dspy.program import open_program
from glan_dspy.publish.lineage import Lineage
from glan_dspy.records import Instruction, Sample
from glan_dspy.run import lines
from glan_dspy.run.command import bulk, run_to_its_end
from glan_dspy.run.lines import Line
from glan_dspy.run.store import Run, Shelf
from glan_dspy.settings import Settings


class Prompt(NamedTuple):
    """What one call sends."""

    stage: str
    """With the predictor: `question.write`."""
    messages: tuple[tuple[str, str], ...]
    """(role, text): system, the demos where the program has some, and what is asked."""
    options: dict[str, float | int]
    """temperature, top_p, max_tokens, seed."""


class Prompts:
    """Makes the prompts of one run's records. Raises UserError where the run's program cannot be read."""

    def __init__(self, run: Run) -> None:
        about = run.about()
        self.settings = s = Settings.model_construct(**{**Settings().model_dump(), **about["settings"]})
        self.notes = Notes()
        lms = (language_model(model, self.notes) for model in (s.curriculum_model, s.question_model, s.answer_model))
        self.glan = open_program(s).connect(Models(*lms))
        self.before, self.now = str(about.get("program_digest", "")), self.glan.digest

    @property
    def caveat(self) -> str:
        """Why these may not be the words that were sent; empty where they are."""
        if self.before == self.now:
            return ""
        return f"the run's program is {self.before or 'unknown'}, this one {self.now}: other words were sent than these"

    def of(self, shelf: Shelf, lineage: Lineage) -> list[Prompt]:
        """From the subjects to the answer, as far as the record has come."""
        drafts = _drafts(lineage)
        self.notes.kept = {line["id"]: line for line in lines.about(shelf.path / "replies.jsonl", drafts.__contains__)}
        with bulk(self.settings):
            run_to_its_end(self._ask(lineage))
        return self.notes.taken()

    async def _ask(self, lineage: Lineage) -> None:
        for call, asking in self._stages(lineage):
            CALL.set(call)
            with suppress(BadReply):  # nothing was sent, so nothing came
                await asking

    def _stages(self, lineage: Lineage) -> Iterator[tuple[Asked, Awaitable[object]]]:
        glan, s, record = self.glan, self.settings, lineage.record
        subject, syllabus = lineage.subject, lineage.syllabus
        if lineage.calls.get("subjects"):
            inputs = {"max_subjects": s.max_number_of_subjects, "max_subtopics": s.max_number_of_subtopics}
            asking = glan.subjects.acall(discipline=lineage.discipline.name, language=s.curriculum_language, **inputs)
            yield _last(lineage, "subjects"), asking
        if subject and lineage.calls.get("syllabus"):
            asking = glan.syllabus.acall(
                subject=subject, max_sessions=s.max_number_of_session_name, language=s.curriculum_language
            )
            yield _last(lineage, "syllabus"), asking
        if subject and syllabus and record and (sample := _sample(lineage)):
            asking = glan.question.acall(subject=subject, syllabus=syllabus, sample=sample, language=s.language)
            yield _last(lineage, "question"), asking
        if record and (isinstance(record, Instruction) or lineage.calls.get("answer")):
            asking = glan.answer.acall(
                question=record.question,
                language=record.language or s.language,
                subject=record.subject,
                level=record.level,
            )
            yield _last(lineage, "answer"), asking


class Notes:
    """An engine that notes what it is to send. It has the kept replies, and no others."""

    def __init__(self) -> None:
        self.kept: Mapping[str, Line] = {}
        self._asked: list[Prompt] = []

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        assert call is not None
        self._asked.append(prompt_of(call.stage, request))
        if call.key in self.kept:
            return response_from(self.kept[call.key], request.model)
        nothing = Message.assistant([TextPart("")])
        return Response(id=None, model=request.model, message=nothing, finish_reason="stop", usage=Usage())

    def taken(self) -> list[Prompt]:
        asked, self._asked = self._asked, []
        return asked


def prompt_of(stage: str, request: Request) -> Prompt:
    config = request.config
    options = {name: getattr(config, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
    said = [(one.role, "".join(getattr(part, "text", "") for part in one.parts)) for one in request.messages]
    if isinstance(request.system, str):
        said.insert(0, ("system", request.system))
    return Prompt(stage, tuple(said), {name: value for name, value in options.items() if value is not None})


def _last(lineage: Lineage, stage: str) -> Asked:
    """The last question of this stage that got a reply, by the names that a run gives it."""
    calls = lineage.calls.get(stage, ())
    answered = [call for call in calls if not call.error] or calls
    return Asked(stage, answered[-1].item, answered[-1].ask) if answered else Asked(stage, lineage.id)


def _drafts(lineage: Lineage) -> set[str]:
    """Names of the drafts whose replies are needed, as replies.jsonl has them."""
    last = (_last(lineage, stage) for stage in ("subjects", "syllabus"))
    return {f"{call.stage}.draft/{call.item}/{call.ask}" for call in last}


def _sample(lineage: Lineage) -> Sample | None:
    """What the question was asked about; None where the syllabus has such sessions no more."""
    record, syllabus = lineage.record, lineage.syllabus
    assert record is not None and syllabus is not None
    places = {session.name: place for place, session in enumerate(syllabus.sessions)}
    if not record.sessions or not all(name in places for name in record.sessions):
        return None
    sessions = tuple(places[name] for name in record.sessions)
    return Sample(
        strategy="double" if len(sessions) > 1 else "single", sessions=sessions, concepts=(record.key_concepts,)
    )
