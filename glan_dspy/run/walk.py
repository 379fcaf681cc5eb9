"""The tree walked whole: every discipline down to its answers, depth first, many calls in flight.

    discipline -> its subjects -> each one's syllabus -> a question for every sample -> its answer

A job asks one thing and adds what follows from it. What is there already, from an earlier command on the
same run, is not asked again. Each result is in its file before the next job is begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from dspy.utils.exceptions import LMError

from glan_dspy.engines.rehearsal import written_in
from glan_dspy.gates.contamination import Overlap
from glan_dspy.gates.line import AnswerGates, QuestionGates
from glan_dspy.gates.verdict import Verdict
from glan_dspy.program import GLAN
from glan_dspy.records import Discipline, Question, Subject
from glan_dspy.run.arrivals import Arrivals
from glan_dspy.run.asking import Asking
from glan_dspy.run.branch import Branch
from glan_dspy.run.course import Course
from glan_dspy.run.crew import Crew, Work
from glan_dspy.run.lanes import lanes
from glan_dspy.run.order import soonest_first
from glan_dspy.run.pool import Job, Key, Pool
from glan_dspy.run.quota import Quota, Reached
from glan_dspy.run.rounds import Candidate, Group
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Tally, planned_questions

log = logging.getLogger("glan")


MOST_WAITING = 5_000
"""Questions of a discipline that may wait for slower ones before them, until no more of it are begun."""


MOMENT = 0.03
"""Seconds that a question waits for others to be judged together with it."""


class Walk:
    """One walk over a run's disciplines, with the models that `glan` is connected to."""

    def __init__(
        self,
        run: Run,
        glan: GLAN,
        disciplines: Iterable[Discipline],
        quota: Quota | None = None,
        benchmarks: Overlap | None = None,
    ) -> None:
        self.glan, self.settings = glan, glan.settings
        self.disciplines = tuple(disciplines)
        self.quota = quota or Quota(self.settings)
        self.benchmarks = benchmarks
        self.pool = Pool(lanes(self.settings))
        self.tally = Tally(disciplines=len(self.disciplines))
        self.crew = Crew(run, self.settings, self.pool, self.tally)
        self.asking = Asking(self.crew, glan)
        written = partial(written_in, self.settings.answer_model)
        self.arrivals = Arrivals(AnswerGates(self.settings, benchmarks, written), self.settings.answer_max_tokens)
        self.keep_questions = False
        """Whether a question's reply is kept before it is judged; else its record is."""
        self.most_waiting = 1 << 60 if self.settings.batch else MOST_WAITING

    async def __call__(self) -> Outcome:
        """Walks until nothing is left, a stop is asked for, or something ends the run."""
        self._open(soonest_first(self.crew.run, filter(self.quota.wants, self.disciplines)))
        outcome = await self.crew.work(lambda: self._open(self.quota.grant(self.disciplines)))
        outcome.short = self.quota.shortfall(self.disciplines)
        return outcome

    def _open(self, disciplines: Sequence[Discipline]) -> bool:
        """Adds the jobs that open these disciplines; false where there are none."""
        self.pool.add("discipline", *map(self.opening, disciplines))
        return bool(disciplines)

    def opening(self, discipline: Discipline) -> Job:
        """The job that opens a discipline and begins with it."""
        return self.crew.opening(discipline, self.begin, self._gates)

    def _gates(self) -> QuestionGates:
        return QuestionGates(self.settings, self.benchmarks, partial(written_in, self.settings.question_model))

    def stop(self) -> None:
        """Finishes what is in flight and starts nothing more; said twice, ends at once."""
        self.crew.stop()

    @property
    def in_flight(self) -> int:
        """Jobs that run, and wait for a reply as a rule."""
        return sum(count for lane, count in self.pool.running().items() if lane != "judging")

    def planned_questions(self) -> int:
        return planned_questions(self.settings, self.tally, self.tally.disciplines_done + len(self.crew.open))

    # --- rounds -------------------------------------------------------------------------------------

    async def begin(self, branch: Branch) -> None:
        """What a discipline begins with, once its files are read."""
        if not branch.subjects:
            subjects = await self.asking.subjects(branch)
            if not subjects:
                branch.failed = True
                self.crew.outcome.why = "the model gave no usable list of subjects; rejected.jsonl has its replies"
                return
            branch.add_subjects(subjects)
        goal = self.quota.goal(branch.discipline)
        branch.course = Course(branch.subjects, self.settings, goal, branch.pairs)
        self._next_round(branch)

    def _next_round(self, branch: Branch) -> None:
        course = branch.course
        round = course.next_round()
        if course.phase.name == "training":
            branch.close_test_set()
        if round is None:
            self._through(branch)
        else:
            self.crew.add(branch, "syllabus", [partial(self._syllabus, branch, group) for group in round.groups])

    def _through(self, branch: Branch) -> None:
        """Tells the quota what came of a discipline whose rounds are over."""
        course, phase = branch.course, branch.course.phase
        made = branch.pairs("training")
        if self.settings.generate_question_only:
            made = max(made, phase.made)
        elif phase.goal is not None and made >= phase.goal:
            branch.failed = False  # what is left open is not needed any more
        self.quota.done(
            branch.discipline,
            Reached(
                made=made,
                # A discipline that had all its pairs before did not go through its rounds: then what is on file.
                asked=max(phase.asked, branch.bought_before),
                test_lacks=0 if self.settings.generate_question_only else course.goal.held_out - len(branch.held_out),
                dry=phase.dry,
                unplanned=sum(plot.bare for plot in phase.plots),
            ),
        )

    async def _syllabus(self, branch: Branch, group: Group) -> None:
        try:
            syllabus = await self.asking.syllabus(branch, group.subject)
        except LMError as error:
            if self.crew.leaves_open(error):
                branch.course.lose(group)
                if branch.course.current.over:
                    self._next_round(branch)
                else:
                    self._judge(branch)  # those that waited for it; the last of them ends the round
            raise
        candidates = branch.course.open(group, syllabus)
        if not all(branch.is_settled(candidate.id) for candidate in candidates):
            await branch.remember()
        if syllabus and len(candidates) < group.wanted:
            self._tell_exhausted(branch, group.subject, len(candidates), group.wanted)
        if branch.course.current.over:
            self._next_round(branch)
        else:
            branch.course.current.let_in(group, lambda: self._questions(branch, candidates), self.most_waiting)
            self._judge(branch)

    def _tell_exhausted(self, branch: Branch, subject: Subject, found: int, wanted: int) -> None:
        branch.tally.exhausted += 1
        log.warning(
            "%s, %s: its syllabus had %d combinations of sessions and concepts left, %d questions were planned",
            branch.discipline.name,
            subject.name,
            found,
            wanted,
        )

    def _questions(self, branch: Branch, candidates: Sequence[Candidate]) -> None:
        """Adds a job for each candidate whose question is not there; what is settled is counted."""
        jobs: list[Work] = []
        for candidate in candidates:
            if branch.is_settled(candidate.id):
                self._settle(branch, candidate, made=branch.came_well(candidate.id))
            elif question := branch.unanswered.pop(candidate.id, None):
                # Asked for the one kind, and now wanted for the other: a test set that fell short takes what is next.
                same = question.held_out == candidate.held_out
                branch.course.current.arrive(
                    candidate, question if same else question.model_copy(update={"held_out": candidate.held_out})
                )
            else:
                jobs.append(partial(self._question, branch, candidate))
        if jobs:
            # In the order of judging: whatever is asked later waits for what comes before it.
            self._add_questions(branch, jobs, (branch.number, branch.course.current.number, candidates[0].group.place))
        self._judge(branch)

    def _judge_soon(self, branch: Branch) -> None:
        """Judges, and with it whatever arrives within a moment: one question at a time costs twice as much."""

        async def job() -> None:
            await asyncio.sleep(MOMENT)
            branch.judging_soon = False
            self._judge(branch)

        if not branch.judging_soon:
            branch.judging_soon = True
            self.crew.add(branch, "judging", [job])

    def _judge(self, branch: Branch) -> None:
        """Judges the questions whose turn has come; those that pass get their answers."""
        if branch.judging:
            return  # further down on the stack: it goes on there
        branch.judging = True
        try:
            while (round := branch.course.round) is not None:
                candidates = list(round.due())
                questions = [candidate.hand_over() for candidate in candidates]
                verdicts = branch.gates.judge(questions)
                for candidate, question, verdict in zip(candidates, questions, verdicts, strict=True):
                    self._judged(branch, candidate, question, verdict)
                if not round.admit(self.most_waiting):
                    break
        finally:
            branch.judging = False

    def _judged(self, branch: Branch, candidate: Candidate, question: Question, verdict: Verdict | None) -> None:
        if verdict:
            branch.drop(question, "question", verdict, question.question)
            self._settle(branch, candidate, made=False)
        elif self.settings.generate_question_only:
            self._settle(branch, candidate, made=True)
        elif branch.has_enough(held_out=candidate.held_out):
            self._settle(branch, candidate, made=False)
        else:
            self._add_answer(branch, question, candidate)

    def _add_answer(self, branch: Branch, question: Question, candidate: Candidate | None = None) -> None:
        branch.answering.add(question.id)
        self.crew.add(branch, "answer", [partial(self._answer, branch, question, candidate)])

    def _settle(self, branch: Branch, candidate: Candidate, *, made: bool) -> None:
        if branch.course.settle(candidate, made=made):
            self._next_round(branch)

    def _add_questions(self, branch: Branch, jobs: list[Work], key: Key) -> None:
        """The first alone, and the rest when it is through: they find the syllabus in the endpoint's prefix cache."""
        first, rest = jobs[:1], jobs[1:]

        async def lead() -> None:
            try:
                await first[0]()
            finally:
                self.crew.add(branch, "question", rest, key=key)

        if self.settings.batch or not rest:
            self.crew.add(branch, "question", jobs, key=key)
        else:
            self.crew.add(branch, "question", [lead], key=key)

    async def _question(self, branch: Branch, candidate: Candidate) -> None:
        round = branch.course.current
        try:
            question = await self.asking.question(branch, candidate, keep=self.keep_questions)
        except LMError as error:
            if self.crew.leaves_open(error):
                self._settle(branch, candidate, made=False)
            raise
        else:
            if question:
                round.arrive(candidate, question)
            else:
                self._settle(branch, candidate, made=False)
        finally:
            self._judge_soon(branch)

    async def _answer(self, branch: Branch, question: Question, candidate: Candidate | None) -> None:
        try:
            answered = await self.asking.answer(branch, question)
            made = answered is not None and await self.arrivals.judged(branch, question, *answered)
        except LMError as error:
            if candidate is not None and self.crew.leaves_open(error):
                self._settle(branch, candidate, made=False)
            raise
        finally:
            branch.answering.discard(question.id)
        if candidate is not None:
            self._settle(branch, candidate, made=made)


class Answering(Walk):
    """Answers the questions that the run has, and makes none."""

    async def begin(self, branch: Branch) -> None:
        branch.unanswered.clear()  # there may be a million: they are read again as their turns come
        self._next_imported(branch, (q for q in branch.shelf.questions() if not branch.is_settled(q.id)))

    def _next_imported(self, branch: Branch, questions: Iterator[Question]) -> None:
        """Adds a few answers at a time, by a job of the lane before them, which waits while they pile up."""

        async def job() -> None:
            for question in (some := list(islice(questions, 16))):
                self._add_answer(branch, question)
            if some:
                self._next_imported(branch, questions)

        self.crew.add(branch, "question", [job])
