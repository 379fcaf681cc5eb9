"""One discipline while it is walked: what its files already hold, and its writer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from glan_dspy.engines.base import Call
from glan_dspy.engines.journal import reply_line
from glan_dspy.gates.line import QuestionGates
from glan_dspy.gates.verdict import Verdict
from glan_dspy.records import Discipline, Instruction, Question, Rejected, Subject, Syllabus
from glan_dspy.run.batches import noted_replies
from glan_dspy.run.course import Course, Goal
from glan_dspy.run.decisions import dropped
from glan_dspy.run.store import Shelf
from glan_dspy.run.tally import Tally
from glan_dspy.settings import Settings

NO_COURSE = Course((), Settings(), Goal())
"""Of a discipline without subjects, and of one whose questions came from a file."""


class Branch:
    """Loaded when its discipline's turn comes, dropped when that is done: memory holds the open ones only."""

    def __init__(
        self, discipline: Discipline, shelf: Shelf, tally: Tally, gates: QuestionGates, *, lasting: bool = False
    ) -> None:
        self.discipline, self.shelf, self.tally, self.gates = discipline, shelf, tally, gates
        self.course = NO_COURSE
        """Which samples are next, once the subjects are there."""
        self.number = 0
        """Its place among all that were opened: what came first is finished first."""
        self.jobs = 0
        """Jobs of this discipline that wait or run; at 0 it is done."""
        self.failed = False
        """Something in it is left open for a rerun, or it has no subjects."""
        self.broken = False
        """A bug struck in it: what it still had to do is not done in this walk."""
        self.subjects: tuple[Subject, ...] = ()
        self.syllabi: dict[str, Syllabus] = {}
        self.replies: dict[str, dict[str, Any]] = {}
        self.lasting = lasting
        """Whether calls outlive the process, as in a batch."""
        self.noted: dict[str, dict[str, Any]] = {}
        """Of calls that outlived an earlier one, what it noted of their replies, where it wrote down no more."""
        self.unanswered: dict[str, Question] = {}
        self.accepted: set[str] = set()
        self.curated: set[str] = set()
        """Ids of pairs that `curate` dropped: with a number of pairs to bring, others take their places."""
        self.held_out: dict[str, str] = {}
        """The test set: each question's id and text."""
        self.rejected: dict[str, str] = {}
        """Ids of questions and syllabi, and why; what was accepted later is not among them."""
        self.answering: set[str] = set()
        """Ids of the questions whose answers are asked for now."""
        self.bought_before = 0
        """Questions for training pairs that earlier commands bought."""
        self.judging = self.judging_soon = False
        self._closed: set[str] = set()
        self._reopened: dict[str, str] = {}
        self._fallen: set[str] = set()
        """Ids of the questions that did not pass their gates."""
        self._remembering, self._remembered = asyncio.Lock(), False
        self.rejections: Counter[str] = Counter()

    def open(self, *, count: bool = True) -> None:
        """Becomes the one writer of its files, then reads them. Raises Fenced where another process stays it."""
        self.shelf.claim()
        self.load(count=count)

    def load(self, *, count: bool = True) -> None:
        """Reads the files, and counts what they hold. Takes a while for a large discipline; run it in a thread."""
        shelf = self.shelf
        self.subjects = shelf.subjects()
        self.syllabi = shelf.syllabi()
        self.replies = {line["id"]: line for line in shelf.replies()}
        everything = shelf.ids("instructions")
        self.curated = everything & dropped(shelf).keys()
        self.accepted = everything - self.curated
        self.held_out = {pair.id: pair.question for pair in shelf.held_out()}
        fallen: set[str] = set()
        apart: set[str] = set()
        for item in shelf.rejected():
            if item.item.get("held_out"):
                apart.add(item.id)
            self.rejections[item.id] += 1
            if item.id not in everything and item.id not in self.held_out:
                self.rejected[item.id] = item.reason
                (fallen.add if item.stage == "question" else fallen.discard)(item.id)
        self._fallen, asked, for_test = fallen, set(fallen), set[str](apart)
        for question in shelf.questions():
            asked.add(question.id)
            if question.held_out:
                for_test.add(question.id)
            if not self.is_settled(question.id):
                self.unanswered[question.id] = question
        if self.lasting:
            # What was rejected may be asked again, and its reply have come.
            done = everything | self.held_out.keys()
            self.noted = {key: line for key, line in noted_replies(shelf).items() if line.get("item") not in done}
        self.bought_before = len(asked - for_test - self.held_out.keys())
        if count:
            self._count(len(asked), len(self.accepted))

    def close(self) -> None:
        """Closes the files and lets go of the course, which knows the branch: a run collects such pairs rarely."""
        self.shelf.close()
        self.course = NO_COURSE

    async def remember(self) -> None:
        """Shows the gates what earlier commands let through, before anything is judged.

        It takes 50 microseconds a question: beside the loop, and not at all for a discipline that is through.
        """
        async with self._remembering:
            if not self._remembered:
                self._remembered = True
                await asyncio.to_thread(self._remember)

    def _remember(self) -> None:
        for question in self.shelf.questions():
            if question.id not in self._fallen and question.id not in self.unanswered:
                self.gates.remember(question.id, question.question)

    def is_settled(self, id: str) -> bool:
        """Whether a question or a syllabus is accepted or rejected: nothing is left to do for it."""
        return id in self.accepted or id in self.rejected or id in self.held_out or id in self.curated

    def came_well(self, id: str) -> bool:
        return id in self.accepted or id in self.held_out

    def pairs(self, phase: str) -> int:
        return len(self.held_out if phase == "holdout" else self.accepted)

    def has_enough(self, *, held_out: bool) -> bool:
        """Whether the answers that are asked for now may already bring all pairs that are wanted of this kind."""
        wanted = self.course.goal.held_out if held_out else self.course.goal.pairs
        have = len(self.held_out if held_out else self.accepted)
        return wanted is not None and have + len(self.answering) >= wanted

    def close_test_set(self) -> None:
        """From now on nothing passes that overlaps with the test set."""
        for id, question in self.held_out.items():
            if id not in self._closed:
                self.gates.hold_out(id, question)
                self._closed.add(id)

    def _count(self, questions: int, instructions: int) -> None:
        tally = self.tally
        tally.subjects += len(self.subjects)
        tally.syllabi += len(self.syllabi)
        tally.questions += questions
        tally.instructions += instructions
        tally.found += instructions
        tally.held_out += len(self.held_out)
        tally.rejected.update(self.rejected.values())

    # --- calls ------------------------------------------------------------------------------------

    def call(self, stage: str, item: str, ask: int, *, keep: bool) -> Call:
        """The identity of one question to a model. `keep` for replies that are not written as records at once."""
        return Call(
            stage=stage,
            item=item,
            ask=ask,
            record=self._record,
            recall=self.replies.get,
            noted=self.noted.get,
            keep=self._keep if keep else None,
        )

    def keep_useless(self, call: Call) -> None:
        """Keeps a reply that could not be used, so that a rerun does not buy it again."""
        if call.response is not None and call.keep is None and call.id:
            self._keep(reply_line(call))

    def _record(self, line: dict[str, Any]) -> None:
        self.shelf.append("calls", line)
        self.tally.call(line)

    def _keep(self, line: dict[str, Any]) -> None:
        known = self.replies.get(line["id"])
        if known is None or known.get("model", line["model"]) != line["model"]:
            self.shelf.append("replies", line)
            self.replies[line["id"]] = line

    # --- records ------------------------------------------------------------------------------------

    def add_subjects(self, subjects: tuple[Subject, ...]) -> None:
        self.shelf.append("subjects", *subjects)
        self.subjects = subjects
        self.tally.subjects += len(subjects)

    def add_syllabus(self, syllabus: Syllabus) -> None:
        self.shelf.append("syllabi", syllabus)
        self.syllabi[syllabus.id] = syllabus
        self.tally.syllabi += 1

    def add_question(self, question: Question) -> None:
        self.shelf.append("questions", question)
        self.tally.questions += 1

    def accept(self, *pairs: Instruction) -> None:
        """Puts the pairs into the files of what is being made: the training pairs, and the test set."""
        if training := [pair for pair in pairs if not pair.held_out]:
            self.shelf.append("instructions", *training)
            self.accepted.update(pair.id for pair in training)
            self.tally.instructions += len(training)
        if held_out := [pair for pair in pairs if pair.held_out]:
            self.shelf.append("holdout", *held_out)
            self.held_out.update((pair.id, pair.question) for pair in held_out)
            self.tally.held_out += len(held_out)
        for pair in pairs:
            self._settled_anew(pair.id)

    def drop(self, question: Question, stage: str, verdict: Verdict, raw: str) -> None:
        """Puts away what did not pass a gate."""
        found, item = dict(verdict.found), question.model_dump()
        self.reject(
            Rejected(
                id=question.id,
                stage=stage,
                reason=verdict.reason,
                detail=verdict.detail,
                raw=raw,
                found=found,
                item=item,
            )
        )

    def reject(self, item: Rejected) -> None:
        self.shelf.append("rejected", item)
        self._settled_anew(item.id)
        self.rejected[item.id] = item.reason
        self.tally.rejected[item.reason] += 1

    def reopen(self, id: str) -> None:
        """Lets the item be asked again; it counts as rejected until it is settled."""
        if reason := self.rejected.pop(id, None):
            self._reopened[id] = reason

    def _settled_anew(self, id: str) -> None:
        self.answering.discard(id)
        if reason := self.rejected.pop(id, None) or self._reopened.pop(id, None):
            self.tally.rejected[reason] -= 1
