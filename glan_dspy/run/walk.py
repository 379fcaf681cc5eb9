"""The tree walked whole: every discipline down to its answers, depth first, many calls in flight.

    discipline -> its subjects -> each one's syllabus -> a question for every sample -> its answer

A job asks one thing and adds what follows from it. What is there already, from an earlier command on the
same run, is not asked again. Each result is in its file before the next job is begun.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from glan_dspy.errors import BadReply
from glan_dspy.making import make_instruction, make_question, make_syllabus
from glan_dspy.program import GLAN
from glan_dspy.records import (
    Discipline,
    Question,
    Rejected,
    Sample,
    Subject,
    Syllabus,
    merge_subjects,
    question_id,
    syllabus_id,
)
from glan_dspy.run.batches import WIDE
from glan_dspy.run.branch import Branch
from glan_dspy.run.crew import Crew, Work
from glan_dspy.run.pool import Lane, Pool
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Tally
from glan_dspy.sampling import sample_syllabus
from glan_dspy.settings import Settings

log = logging.getLogger("glan")


class Walk:
    """One walk over a run's disciplines, with the models that `glan` is connected to."""

    def __init__(self, run: Run, glan: GLAN, disciplines: Iterable[Discipline]) -> None:
        self.glan, self.settings = glan, glan.settings
        self.disciplines = tuple(disciplines)
        self.pool = Pool(lanes(self.settings))
        self.tally = Tally(disciplines=len(self.disciplines))
        self.crew = Crew(run, self.settings, self.pool, self.tally)

    async def __call__(self, *, answers_only: bool = False) -> Outcome:
        """Walks until nothing is left, a stop is asked for, or something ends the run."""
        first = self._imported if answers_only else self._discipline
        self.pool.add("discipline", *(self.crew.opening(discipline, first) for discipline in self.disciplines))
        return await self.crew.work()

    def planned_questions(self) -> int:
        """How many there will be, as far as is known: more subjects are guessed where none are listed yet."""
        s, known = self.settings, self.tally.subjects
        listed = max(1, self.tally.disciplines_done + len(self.crew.open))
        a_discipline = known / listed if known else s.max_number_of_subjects
        return round(max(known, a_discipline * self.tally.disciplines) * s.samples_per_syllabus)

    def _reject(self, branch: Branch, id: str, stage: str, bad: BadReply, item: dict[str, Any]) -> None:
        branch.reject(Rejected(id=id, stage=stage, reason=bad.reason, detail=bad.detail, raw=bad.raw, item=item))

    # --- the stages ---------------------------------------------------------------------------------

    async def _discipline(self, branch: Branch) -> None:
        if not branch.subjects:
            subjects = await self._subjects(branch)
            if not subjects:
                branch.failed = True
                self.crew.outcome.why = "the model gave no usable list of subjects; rejected.jsonl has its replies"
                return
            branch.add_subjects(subjects)
        self.crew.add(
            branch,
            "syllabus",
            [partial(self._syllabus, branch, subject) for subject in branch.subjects],
        )

    async def _subjects(self, branch: Branch) -> tuple[Subject, ...]:
        """The merged subjects of all queries, in query order; a rejected query leaves its place empty."""
        s = self.settings
        # All are waited for, also when one fails: the others' replies are paid for and kept for the rerun.
        lists = await asyncio.gather(
            *(self._subject_query(branch, query) for query in range(s.num_subject_queries)), return_exceptions=True
        )
        for failure in lists:
            if isinstance(failure, BaseException):
                raise failure
        outlines = [(o.name, o.level, o.subtopics) for replies in lists for o in replies]  # type: ignore[union-attr]
        return merge_subjects(branch.discipline, outlines, s.max_number_of_subjects, s.max_number_of_subtopics)

    async def _subject_query(self, branch: Branch, query: int) -> list[Any]:
        s, item = self.settings, f"{branch.discipline.id}.{query}"
        try:
            reply, _ = await self.crew.ask(
                branch,
                "subjects",
                item,
                lambda: self.glan.subjects.acall(
                    discipline=branch.discipline.name,
                    max_subjects=s.max_number_of_subjects,
                    max_subtopics=s.max_number_of_subtopics,
                    language=s.curriculum_language,
                ),
                keep=True,
                limit=s.max_asks * (1 + branch.rejections[item]),
            )
        except BadReply as bad:
            self._reject(branch, item, "subjects", bad, branch.discipline.model_dump())
            return []
        return list(reply.subjects)

    async def _syllabus(self, branch: Branch, subject: Subject) -> None:
        id = syllabus_id(subject.id)
        if id in branch.settled:
            return
        syllabus = branch.syllabi.pop(id, None)
        if syllabus is None:
            made: Syllabus
            try:
                made, _ = await self.crew.ask(branch, "syllabus", id, lambda: self._design(subject), keep=True)
            except BadReply as bad:
                self._reject(branch, id, "syllabus", bad, subject.model_dump())
                return
            branch.add_syllabus(made)
            syllabus = made
        self._questions(branch, subject, syllabus)

    async def _design(self, subject: Subject) -> Syllabus:
        s = self.settings
        designed = await self.glan.syllabus.acall(
            subject=subject, max_sessions=s.max_number_of_session_name, language=s.curriculum_language
        )
        return make_syllabus(subject, designed, s.max_number_of_session_name)

    def _questions(self, branch: Branch, subject: Subject, syllabus: Syllabus) -> None:
        """Adds a job for each sample that is not settled: its question, or only its answer."""
        s = self.settings
        samples = sample_syllabus(syllabus, s.samples_per_syllabus, s.double_share, s.seed)
        if len(samples) < s.samples_per_syllabus:
            self.crew.tally.exhausted += 1
            log.warning(
                "%s, %s: its syllabus has %d combinations of sessions and concepts, %d questions were planned",
                branch.discipline.name,
                subject.name,
                len(samples),
                s.samples_per_syllabus,
            )
        jobs: list[Work] = []
        for sample in samples:
            id = question_id(syllabus, sample)
            if id in branch.settled:
                continue
            if question := branch.unanswered.pop(id, None):
                self._add_answer(branch, question)
            else:
                jobs.append(partial(self._question, branch, subject, syllabus, sample, id))
        self._add_questions(branch, jobs)

    def _add_questions(self, branch: Branch, jobs: list[Work]) -> None:
        """The first alone, and the rest when it is through: they find the syllabus in the endpoint's prefix cache."""
        first, rest = jobs[:1], jobs[1:]

        async def lead() -> None:
            try:
                await first[0]()
            finally:
                self.crew.add(branch, "question", rest, next=True)

        if self.settings.batch or not rest:
            self.crew.add(branch, "question", jobs)
        else:
            self.crew.add(branch, "question", [lead])

    async def _question(self, branch: Branch, subject: Subject, syllabus: Syllabus, sample: Sample, id: str) -> None:
        s = self.settings
        try:
            reply, call = await self.crew.ask(
                branch,
                "question",
                id,
                lambda: self.glan.question.acall(
                    subject=subject, syllabus=syllabus, sample=sample, language=s.language
                ),
            )
        except BadReply as bad:
            self._reject(branch, id, "question", bad, make_question(s, subject, syllabus, sample).model_dump())
            return
        question = make_question(s, subject, syllabus, sample, question=reply.question, question_call=call.id)
        branch.add_question(question)
        self._add_answer(branch, question)

    def _add_answer(self, branch: Branch, question: Question) -> None:
        if not self.settings.generate_question_only:
            self.crew.add(branch, "answer", [partial(self._answer, branch, question)])

    async def _answer(self, branch: Branch, question: Question) -> None:
        s = self.settings
        try:
            reply, call = await self.crew.ask(
                branch,
                "answer",
                question.id,
                lambda: self.glan.answer.acall(
                    question=question.question,
                    language=question.language or s.language,
                    subject=question.subject,
                    level=question.level,
                ),
            )
        except BadReply as bad:
            self._reject(branch, question.id, "answer", bad, question.model_dump())
            return
        branch.add_instruction(make_instruction(s, question, reply.answer, call))

    # --- questions that came from a file --------------------------------------------------------------

    async def _imported(self, branch: Branch) -> None:
        self._next_imported(branch, iter(branch.unanswered.values()))

    def _next_imported(self, branch: Branch, questions: Iterator[Question]) -> None:
        """Adds a few answers at a time, by a job of the lane before them, which waits while they pile up."""

        async def job() -> None:
            for question in (some := list(islice(questions, 16))):
                self._add_answer(branch, question)
            if some:
                self._next_imported(branch, questions)

        self.crew.add(branch, "question", [job])


def lanes(settings: Settings) -> list[Lane]:
    """The stages as lanes of the pool, with as much stock before each as keeps the next one busy.

    A syllabus takes a model some eight times as long as a question, so that many questions are kept in stock.
    """
    s = settings
    if s.batch:
        # Breadth first: whole generations of calls go into one batch, and wait there for hours.
        gains = {"discipline": s.max_number_of_subjects, "syllabus": s.samples_per_syllabus, "question": 1, "answer": 1}
        return [Lane(name, limit=WIDE, window=1 << 60, gain=gain) for name, gain in gains.items()]
    stock = 8 * s.question_batch_size
    syllabi = 1 + math.ceil(2 * stock / s.samples_per_syllabus)
    answers = 1 << 60 if s.generate_question_only else s.answer_batch_size + s.question_batch_size
    return [
        Lane("discipline", limit=s.concurrency, window=1 << 60, gain=s.max_number_of_subjects),
        Lane("syllabus", limit=s.concurrency, window=syllabi, gain=s.samples_per_syllabus),
        Lane("question", limit=s.question_batch_size, window=stock),
        Lane("answer", limit=s.answer_batch_size, window=answers),
    ]
