"""One discipline while it is walked: what its files already hold, and its writer."""

from __future__ import annotations

from collections import Counter
from typing import Any

from glan_dspy.engines.base import Call
from glan_dspy.engines.journal import reply_line
from glan_dspy.records import Discipline, Instruction, Question, Rejected, Subject, Syllabus
from glan_dspy.run.store import Shelf
from glan_dspy.run.tally import Tally


class Branch:
    """Loaded when its discipline's turn comes, dropped when that is done: memory holds the open ones only."""

    def __init__(self, discipline: Discipline, shelf: Shelf, tally: Tally) -> None:
        self.discipline, self.shelf, self.tally = discipline, shelf, tally
        self.jobs = 0
        """Jobs of this discipline that wait or run; at 0 it is done."""
        self.failed = False
        """Something in it is left open for a rerun, or it has no subjects."""
        self.broken = False
        """A bug struck in it: what it still had to do is not done in this walk."""
        self.subjects: tuple[Subject, ...] = ()
        self.syllabi: dict[str, Syllabus] = {}
        self.replies: dict[str, dict[str, Any]] = {}
        self.unanswered: dict[str, Question] = {}
        self.settled: set[str] = set()
        """Ids of the questions and syllabi that are accepted or rejected: nothing is left to do for them."""
        self.rejections: Counter[str] = Counter()

    def load(self) -> None:
        """Reads the files. Takes a while for a large discipline; run it in a thread."""
        shelf = self.shelf
        self.subjects = shelf.subjects()
        self.syllabi = shelf.syllabi()
        self.replies = {line["id"]: line for line in shelf.read("replies") if {"id", "text", "call"} <= line.keys()}
        accepted = shelf.ids("instructions")
        self.settled |= accepted
        for item in shelf.rejected():
            self.rejections[item.id] += 1
            self.settled.add(item.id)
        asked = 0
        for question in shelf.questions():
            asked += 1
            if question.id not in self.settled:
                self.unanswered[question.id] = question
        self._count(asked, len(accepted))

    def _count(self, questions: int, instructions: int) -> None:
        tally = self.tally
        tally.subjects += len(self.subjects)
        tally.syllabi += len(self.syllabi)
        tally.questions += questions
        tally.instructions += instructions
        tally.found += instructions
        for item in self.shelf.rejected():
            tally.rejected[item.reason] += 1

    # --- calls ------------------------------------------------------------------------------------

    def call(self, stage: str, item: str, ask: int, *, keep: bool) -> Call:
        """The identity of one question to a model. `keep` for replies that are not written as records at once."""
        return Call(
            stage=stage,
            item=item,
            ask=ask,
            record=self._record,
            recall=self.replies.get,
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
        if line["id"] not in self.replies:
            self.shelf.append("replies", line)
            self.replies[line["id"]] = line

    # --- records ------------------------------------------------------------------------------------

    def add_subjects(self, subjects: tuple[Subject, ...]) -> None:
        self.shelf.append("subjects", *subjects)
        self.subjects = subjects
        self.tally.subjects += len(subjects)

    def add_syllabus(self, syllabus: Syllabus) -> None:
        self.shelf.append("syllabi", syllabus)
        self.tally.syllabi += 1

    def add_question(self, question: Question) -> None:
        self.shelf.append("questions", question)
        self.tally.questions += 1

    def add_instruction(self, instruction: Instruction) -> None:
        self.shelf.append("instructions", instruction)
        self.settled.add(instruction.id)
        self.tally.instructions += 1

    def reject(self, item: Rejected) -> None:
        self.shelf.append("rejected", item)
        self.settled.add(item.id)
        self.tally.rejected[item.reason] += 1
