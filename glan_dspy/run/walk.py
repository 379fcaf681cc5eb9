"""The tree walked whole: every discipline down to its answers, depth first, many calls in flight.

    discipline -> its subjects -> each one's syllabus -> a question for every sample -> its answer

A job asks one thing and adds what follows from it to the pool. What is there already, from an earlier
command on the same run, is not asked again. Each result is in its file before the next job is begun.

How a call may end, and what follows:

    a reply that can be used      its record is written
    one that cannot (BadReply)    asked again, at most `max_asks` times in all, then rejected with its raw text
    no reply after all attempts   the item stays open, its discipline counts as failed, a rerun goes on with it
    a wrong key, model or bill    the run stops at once with that reason
    anything else                 a bug: its discipline is dropped, the others go on, and the traceback is shown
"""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMUnexpectedError,
    LMUnsupportedModelError,
)

from glan_dspy.engines.base import Call
from glan_dspy.engines.journal import reasoning_of
from glan_dspy.engines.rehearsal import is_rehearsal
from glan_dspy.errors import BadReply, Stopped
from glan_dspy.program import GLAN, make_syllabus
from glan_dspy.records import (
    Discipline,
    Instruction,
    Question,
    Rejected,
    Sample,
    Subject,
    Syllabus,
    merge_subjects,
    question_id,
    syllabus_id,
)
from glan_dspy.run.branch import Branch
from glan_dspy.run.pool import Job, Lane, Pool
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Tally
from glan_dspy.sampling import sample_syllabus
from glan_dspy.settings import Settings
from glan_dspy.stages import asked

log = logging.getLogger("glan")

T = TypeVar("T")

ENDS_THE_RUN = (LMAuthError, LMBillingError, LMUnsupportedModelError, LMConfigurationError)
SAME_FAILURES = 5
"""That many calls of one stage failing alike, and none succeeding, end the run: the rest would fail too."""


@dataclass
class Outcome:
    """How a walk ended."""

    tally: Tally
    interrupted: bool = False
    reason: str = ""
    """Why it stopped before its end, where the user must mend something."""
    bugs: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Names of the disciplines with open items, or with no subjects."""


class Walk:
    """One walk over a run's disciplines, with the models that `glan` is connected to."""

    def __init__(self, run: Run, glan: GLAN, disciplines: Iterable[Discipline]) -> None:
        self.run, self.glan, self.settings = run, glan, glan.settings
        self.disciplines = tuple(disciplines)
        self.tally = Tally(disciplines=len(self.disciplines))
        self.outcome = Outcome(self.tally)
        self.pool = Pool(self._lanes())
        self._slots = asyncio.Semaphore(self.settings.concurrency)
        self._stop = asyncio.Event()
        self._open: dict[str, Branch] = {}
        self._streak: dict[str, Counter[str]] = {}

    def _lanes(self) -> list[Lane]:
        # A syllabus takes a model some eight times as long as a question, so that many are kept in stock.
        s = self.settings
        stock = 8 * s.question_batch_size
        syllabi = 1 + math.ceil(2 * stock / s.samples_per_syllabus)
        return [
            Lane("discipline", limit=s.concurrency, window=1 << 60, gain=s.max_number_of_subjects),
            Lane("syllabus", limit=s.concurrency, window=syllabi, gain=s.samples_per_syllabus),
            Lane("question", limit=s.question_batch_size, window=stock),
            Lane(
                "answer",
                limit=s.answer_batch_size,
                window=1 << 60 if s.generate_question_only else s.answer_batch_size + s.question_batch_size,
            ),
        ]

    # --- the whole ----------------------------------------------------------------------------------

    async def __call__(self, *, answers_only: bool = False) -> Outcome:
        """Walks until nothing is left, a stop is asked for, or something ends the run."""
        first = self._imported if answers_only else self._discipline
        self.pool.add("discipline", *(self._opening(first, discipline) for discipline in self.disciplines))
        syncing = asyncio.create_task(self._sync_every_second())
        handled = self._handle_signals()
        try:
            await self.pool.run()
        finally:
            syncing.cancel()
            for number in handled:
                asyncio.get_running_loop().remove_signal_handler(number)
            for branch in self._open.values():
                branch.shelf.close()
        return self.outcome

    def planned_questions(self) -> int:
        """How many there will be, as far as is known: more subjects are guessed where none are listed yet."""
        s, known = self.settings, self.tally.subjects
        listed = max(1, self.tally.disciplines_done + len(self._open))
        a_discipline = known / listed if known else s.max_number_of_subjects
        return round(max(known, a_discipline * self.tally.disciplines) * s.samples_per_syllabus)

    def stop(self) -> None:
        """Finishes what is in flight and starts nothing more; asked a second time, ends at once."""
        if self._stop.is_set():
            self.pool.cancel()
        self.outcome.interrupted = True
        self._stop.set()
        self.pool.stop()

    async def pause(self, seconds: float) -> None:
        """What a retry waits by: a run that stops waits for nobody's Retry-After."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped("the run is stopping")

    def _handle_signals(self) -> list[signal.Signals]:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; or not in the main thread (a notebook)
            return []
        return [signal.SIGINT, signal.SIGTERM]

    async def _sync_every_second(self) -> None:
        while True:
            await asyncio.sleep(1)
            for branch in list(self._open.values()):
                await asyncio.to_thread(branch.shelf.sync)

    def _end(self, reason: str) -> None:
        self.outcome.reason = self.outcome.reason or reason
        self._stop.set()
        self.pool.stop()

    # --- jobs of a branch ---------------------------------------------------------------------------

    def _opening(self, first: Callable[[Branch], Awaitable[None]], discipline: Discipline) -> Job:
        async def job() -> None:
            branch = Branch(discipline, self.run.shelf(discipline), self.tally)
            self._open[discipline.id] = branch
            branch.jobs = 1
            await asyncio.to_thread(branch.load)
            await self._guarded(branch, first(branch))

        return job

    def _add(self, branch: Branch, lane: str, jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
        for job in jobs:
            branch.jobs += 1
            self.pool.add(lane, lambda job=job: self._guarded(branch, job()))  # type: ignore[misc]

    async def _guarded(self, branch: Branch, work: Awaitable[None]) -> None:
        """Runs one job; whatever goes wrong in it ends in the outcome, and other disciplines go on."""
        try:
            await work
        except Stopped:
            pass  # given up unfinished because the run is stopping; a rerun goes on with it
        except ENDS_THE_RUN as error:
            self._end(first_line(error))
        except OSError as error:
            self._end(f"cannot write to {branch.shelf.path}: {error.strerror or error}")
        except LMUnexpectedError:
            self._bug(branch)
        except LMError as error:
            self._item_failed(branch, error)
        except Exception:
            self._bug(branch)
        finally:
            branch.jobs -= 1
            if branch.jobs == 0:
                self._branch_done(branch)

    def _bug(self, branch: Branch) -> None:
        text = traceback.format_exc()
        log.error("a bug while walking %s\n%s", branch.discipline.name, text)
        self.outcome.bugs.append(text)
        branch.failed = True

    def _item_failed(self, branch: Branch, error: LMError) -> None:
        kind = type(error).__name__
        self.tally.failed[kind] += 1
        branch.failed = True
        log.warning("%s: no reply, left open for a rerun: %s", branch.discipline.name, first_line(error))

    def _branch_done(self, branch: Branch) -> None:
        branch.shelf.close()
        del self._open[branch.discipline.id]
        if branch.failed:
            self.outcome.failed.append(branch.discipline.name)
        if not (branch.failed or self.pool.stopping):
            self.tally.disciplines_done += 1
            log.info("%s: done", branch.discipline.name)

    # --- asking -------------------------------------------------------------------------------------

    async def ask(
        self,
        branch: Branch,
        stage: str,
        item: str,
        make: Callable[[], Awaitable[T]],
        *,
        keep: bool = False,
        limit: int | None = None,
    ) -> tuple[T, Call]:
        """A usable reply and the call that brought it. Raises the last BadReply after `limit` asks.

        What useless replies there were is kept too: a rerun gets them from the file, not from the endpoint.
        """
        return await asked(
            lambda: self._in_a_slot(stage, make),
            limit or self.settings.max_asks,
            lambda ask: branch.call(stage, item, ask, keep=keep),
            branch.keep_useless,
        )

    async def _in_a_slot(self, stage: str, make: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            if self._stop.is_set():
                raise Stopped("the run is stopping")
            try:
                result = await make()
            except BadReply:
                self._answered(stage)
                raise
            except (ContextWindowExceededError, LMInvalidRequestError) as error:
                self._count_failure(stage, error)
                raise refused_request(error) from error
            except LMError as error:
                self._count_failure(stage, error)
                raise
        self._answered(stage)
        return result

    def _answered(self, stage: str) -> None:
        self._streak[stage] = Counter({"": 1})  # the endpoint works: from now on failures are single ones

    def _count_failure(self, stage: str, error: LMError) -> None:
        streak = self._streak.setdefault(stage, Counter())
        streak[type(error).__name__] += 1
        if not streak[""] and streak[type(error).__name__] >= SAME_FAILURES:
            self._end(f"the first {SAME_FAILURES} {stage} calls all failed alike: {first_line(error)}")

    def _reject(self, branch: Branch, id: str, stage: str, bad: BadReply, item: dict[str, Any]) -> None:
        branch.reject(Rejected(id=id, stage=stage, reason=bad.reason, detail=bad.detail, raw=bad.raw, item=item))

    # --- the stages ---------------------------------------------------------------------------------

    async def _discipline(self, branch: Branch) -> None:
        if not branch.subjects:
            subjects = await self._subjects(branch)
            if not subjects:
                branch.failed = True
                return
            branch.add_subjects(subjects)
        self._add(
            branch,
            "syllabus",
            [
                lambda subject=subject: self._syllabus(branch, subject)  # type: ignore[misc]
                for subject in branch.subjects
            ],
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
            reply, _ = await self.ask(
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
        if id in branch.settled or branch.failed:
            return
        syllabus = branch.syllabi.pop(id, None)
        if syllabus is None:
            made: Syllabus
            try:
                made, _ = await self.ask(branch, "syllabus", id, lambda: self._design(subject), keep=True)
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
            self.tally.exhausted += 1
            log.warning(
                "%s, %s: its syllabus has %d combinations of sessions and concepts, %d questions were planned",
                branch.discipline.name,
                subject.name,
                len(samples),
                s.samples_per_syllabus,
            )
        for sample in samples:
            id = question_id(syllabus, sample)
            if id in branch.settled:
                continue
            if question := branch.unanswered.pop(id, None):
                self._add_answer(branch, question)
            else:
                self._add(
                    branch,
                    "question",
                    [
                        lambda id=id, sample=sample: self._question(  # type: ignore[misc]
                            branch, subject, syllabus, sample, id
                        )
                    ],
                )

    async def _question(self, branch: Branch, subject: Subject, syllabus: Syllabus, sample: Sample, id: str) -> None:
        s = self.settings
        try:
            reply, call = await self.ask(
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
            self._add(branch, "answer", [lambda: self._answer(branch, question)])

    async def _answer(self, branch: Branch, question: Question) -> None:
        s = self.settings
        try:
            reply, call = await self.ask(
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

        self._add(branch, "question", [job])


def make_question(
    settings: Settings,
    subject: Subject,
    syllabus: Syllabus,
    sample: Sample,
    *,
    question: str = "",
    question_call: str = "",
) -> Question:
    """The record of a question: its text, and everything that it was asked about."""
    return Question(
        id=question_id(syllabus, sample),
        syllabus_id=syllabus.id,
        subject_id=subject.id,
        question=question,
        discipline=subject.discipline,
        subject=subject.name,
        level=subject.level,
        subtopics=subject.subtopics,
        sessions=tuple(syllabus.sessions[index].name for index in sample.sessions),
        key_concepts=sample.key_concepts,
        strategy=sample.strategy,
        language=settings.language,
        question_model=settings.question_model,
        question_call=question_call,
        simulated=is_rehearsal(settings.question_model),
    )


def make_instruction(settings: Settings, question: Question, answer: str, call: Call) -> Instruction:
    """The record of an accepted pair."""
    simulated = question.simulated or is_rehearsal(settings.answer_model)
    return Instruction(
        **{**question.model_dump(), "simulated": simulated},
        answer=answer,
        answer_model=settings.answer_model,
        answer_call=call.id,
        reasoning=reasoning_of(call.response) if call.response else "",
    )


def refused_request(error: LMError) -> BadReply | LMError:
    """A request that the endpoint refuses for what it says is an outcome of that item, not of the endpoint."""
    if isinstance(error, ContextWindowExceededError):
        return BadReply("context_length", "", first_line(error), again=False)
    if "content_filter" in f"{getattr(error, 'provider_code', '')} {error}":
        return BadReply("content_filter", "", first_line(error), again=False)
    return error


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]
