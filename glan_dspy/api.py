"""The method from Python, a stage at a time: thin faces of the same stages that the CLI drives.

>>> from glan_dspy import Settings, generate_subjects, generate_syllabus, generate_questions, generate_answers
>>> settings = Settings(model_name="rehearsal", language="English")
>>> subject = generate_subjects("Optics", settings)[0]
>>> syllabus = generate_syllabus(subject, settings)
>>> pairs = generate_answers(generate_questions(subject, syllabus, settings), settings)

All of them block until they are done and work where an event loop is running (a notebook). They keep
nothing on disk; `glan_instruction_generation` is the one that does, and that goes on where it was killed.
So `max_cost` caps each call of them by itself, and the run as a whole there.
Endpoint failures that outlast the retries are raised as DSPy's `LMError`s.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from glan_dspy.connect import connect
from glan_dspy.engines.background import run_sync
from glan_dspy.engines.base import Call
from glan_dspy.engines.budget import Budget
from glan_dspy.errors import BadReply
from glan_dspy.making import make_instruction, make_question, make_syllabus
from glan_dspy.outline import named_disciplines, read_disciplines
from glan_dspy.program import GLAN, open_program
from glan_dspy.records import (
    Discipline,
    Instruction,
    Question,
    Sample,
    Subject,
    Syllabus,
    merge_subjects,
    question_id,
    syllabus_id,
)
from glan_dspy.run.command import bulk
from glan_dspy.run.generate import generate
from glan_dspy.run.money import known_tariffs
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome
from glan_dspy.run.taxonomy import merge_fields
from glan_dspy.sampling import sample_syllabus
from glan_dspy.settings import Settings
from glan_dspy.signatures import FieldOutline
from glan_dspy.stages import asked

T = TypeVar("T")
A = TypeVar("A")


def generate_taxonomy(settings: Settings | None = None) -> list[FieldOutline]:
    """At most `max_number_of_fields` fields with their sub-fields and disciplines (§2.1)."""
    s = settings or Settings()

    async def work(glan: GLAN) -> list[FieldOutline]:
        reply, _ = await _ask(
            s,
            "taxonomy",
            "0",
            lambda: glan.taxonomy.acall(max_fields=s.max_number_of_fields, language=s.curriculum_language),
        )
        return merge_fields(reply.fields, s.max_number_of_fields)

    return _with_program(s, work)


def generate_subjects(discipline: str, settings: Settings | None = None) -> tuple[Subject, ...]:
    """The discipline's subjects, merged over `num_subject_queries` queries (§2.2)."""
    s, home = settings or Settings(), Discipline(name=discipline)

    async def query(glan: GLAN, number: int) -> list[Any]:
        reply, _ = await _ask(
            s,
            "subjects",
            f"{home.id}.{number}",
            lambda: glan.subjects.acall(
                discipline=home.name,
                max_subjects=s.max_number_of_subjects,
                max_subtopics=s.max_number_of_subtopics,
                language=s.curriculum_language,
            ),
        )
        return list(reply.subjects)

    async def work(glan: GLAN) -> tuple[Subject, ...]:
        lists = await asyncio.gather(*(query(glan, number) for number in range(s.num_subject_queries)))
        return merge_subjects(
            home,
            ((o.name, o.level, o.subtopics) for replies in lists for o in replies),
            s.max_number_of_subjects,
            s.max_number_of_subtopics,
        )

    return _with_program(s, work)


def generate_syllabus(subject: Subject, settings: Settings | None = None) -> Syllabus:
    """The subject's syllabus: class sessions in teaching order, each with its key concepts (§2.3)."""
    s = settings or Settings()

    async def design(glan: GLAN) -> Syllabus:
        designed = await glan.syllabus.acall(
            subject=subject, max_sessions=s.max_number_of_session_name, language=s.curriculum_language
        )
        return make_syllabus(subject, designed, s.max_number_of_session_name)

    async def work(glan: GLAN) -> Syllabus:
        return (await _ask(s, "syllabus", syllabus_id(subject.id), lambda: design(glan)))[0]

    return _with_program(s, work)


def sample_class_sessions_and_key_concepts(
    syllabus: Syllabus, count: int = 1, *, double_share: float = 0.5, seed: int = 0
) -> tuple[Sample, ...]:
    """At most `count` different samples of one or two sessions and some of their concepts (§2.4); no model is asked."""
    return sample_syllabus(syllabus, count, double_share, seed)


def generate_questions(
    subject: Subject, syllabus: Syllabus, settings: Settings | None = None, samples: Iterable[Sample] | None = None
) -> list[Question]:
    """A question for each sample, by default for all that the settings plan for one syllabus (§2.4).

    What the model could not ask in `max_asks` tries is missing from the list, and a warning says why.
    """
    s = settings or Settings()
    chosen = sample_syllabus(syllabus, s.samples_per_syllabus, s.double_share, s.seed) if samples is None else samples

    async def one(glan: GLAN, sample: Sample) -> Question:
        id = question_id(syllabus, sample)
        reply, call = await _ask(
            s,
            "question",
            id,
            lambda: glan.question.acall(subject=subject, syllabus=syllabus, sample=sample, language=s.language),
        )
        return make_question(s, subject, syllabus, sample, question=reply.question, question_call=call.id)

    return _with_program(s, lambda glan: _several(s.question_batch_size, lambda sample: one(glan, sample), chosen))


def generate_answers(questions: Iterable[Question], settings: Settings | None = None) -> list[Instruction]:
    """The answered pairs, in the order of the questions (§2.4).

    A question whose answer was refused, cut short or DO NOT KNOW is missing from the list, and a warning says why.
    """
    s = settings or Settings()

    async def one(glan: GLAN, question: Question) -> Instruction:
        reply, call = await _ask(
            s,
            "answer",
            question.id,
            lambda: glan.answer.acall(
                question=question.question,
                language=question.language or s.language,
                subject=question.subject,
                level=question.level,
            ),
        )
        return make_instruction(s, question, reply.answer, call)

    return _with_program(s, lambda glan: _several(s.answer_batch_size, lambda question: one(glan, question), questions))


def glan_instruction_generation(settings: Settings | None = None, out: str | Path = "runs/first") -> Outcome:
    """The whole pipeline into a run directory, as `glan generate -o OUT` does; called again it goes on."""
    s = settings or Settings()
    disciplines = named_disciplines(s.discipline) if s.discipline else read_disciplines(Path(s.disciplines_filepath))
    return generate(Run(Path(out)), s, disciplines)


# --- what they share ------------------------------------------------------------------------------


def _with_program(settings: Settings, work: Callable[[GLAN], Awaitable[T]]) -> T:
    known_tariffs(settings)

    async def main() -> T:
        # Nothing is on disk that would know of earlier calls: a cap is one for this call of the function.
        models = connect(settings, budget=Budget(settings.max_cost) if settings.max_cost else None)
        try:
            return await work(open_program(settings).connect(models))
        finally:
            await models.aclose()

    with bulk(settings):
        return run_sync(main())


async def _ask(settings: Settings, stage: str, item: str, make: Callable[[], Awaitable[T]]) -> tuple[T, Call]:
    return await asked(make, settings.max_asks, lambda ask: Call(stage=stage, item=item, ask=ask))


async def _several(at_once: int, one: Callable[[A], Awaitable[T]], items: Iterable[A]) -> list[T]:
    slots = asyncio.Semaphore(at_once)

    async def in_a_slot(item: A) -> T | BadReply:
        async with slots:
            try:
                return await one(item)
            except BadReply as bad:
                return bad

    results = await asyncio.gather(*(in_a_slot(item) for item in items))
    if bad := [result for result in results if isinstance(result, BadReply)]:
        reasons = ", ".join(sorted({reply.reason for reply in bad}))
        warnings.warn(
            f"{len(bad)} of {len(results)} left out, the replies could not be used: {reasons}",
            UserWarning,
            stacklevel=2,
        )
    return [result for result in results if not isinstance(result, BadReply)]
