"""Which candidates a discipline is asked for, round by round, and in which order they are judged. Without a model.

    a round      so many samples of each subject as bring the discipline to its goal, if all of them pass
    the next     so many as fell, asked of the subjects that have the fewest pairs

A question is judged when all before it in its round are, however early it arrives: so of two near copies the
same one stays at any concurrency. A round begins when the one before it is through. What is asked is then
decided by what came out and by nothing else, and a run that was killed goes through the same rounds again,
with the replies that it has.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from glan_dspy.records import Question, Sample, Subject, Syllabus

State = Literal["waiting", "arrived", "passed"]


@dataclass(slots=True, eq=False)
class Candidate:
    """One sample's place in a round."""

    id: str
    sample: Sample
    group: Group
    state: State = "waiting"
    """waiting for its question; arrived, to be judged; passed: nothing is to be judged any more."""
    question: Question | None = None
    held_out: bool = False
    """Whether it is for the test set."""

    def hand_over(self) -> Question:
        """Its question, which is not kept here any longer."""
        question, self.question = self.question, None
        assert question is not None
        return question


@dataclass(slots=True, eq=False)
class Group:
    """The candidates of one subject in a round."""

    subject: Subject
    place: int
    wanted: int
    syllabus: Syllabus | None = None
    candidates: deque[Candidate] | None = None
    """Those that are not judged yet; None while its syllabus is not there."""


@dataclass(slots=True)
class Plot:
    """One subject over all rounds."""

    subject: Subject
    asked: int = 0
    made: int = 0
    dry: bool = False
    """It has no syllabus, or no combination that was not asked about."""
    bare: bool = False
    """The model gave no usable syllabus."""
    lost: bool = False
    """Its syllabus does not come in this walk: a rerun asks for it again."""


class Round:
    """One round's groups in the order of the subjects. Tells what is due to be judged, and when all is settled."""

    def __init__(self, groups: Sequence[Group], number: int = 1) -> None:
        self.number = number
        self.groups = deque(groups)
        """Those that are not all judged; the others wait for the first."""
        self.unsettled = 0
        """Candidates that are neither accepted nor rejected."""
        self.unknown = len(self.groups)
        """Groups whose candidates are not known yet."""
        self.waiting = 0
        """Questions that have arrived and wait for those before them."""
        self._held: list[tuple[int, Callable[[], None]]] = []

    @property
    def over(self) -> bool:
        return not self.unknown and not self.unsettled

    def open(self, group: Group, candidates: Sequence[Candidate]) -> None:
        """Gives a group its candidates; none where it has no syllabus."""
        group.candidates = deque(candidates)
        self.unknown -= 1
        self.unsettled += len(candidates)

    def skip(self, group: Group) -> None:
        """Lets the others pass a group whose syllabus does not come in this walk: a rerun asks for it again."""
        group.candidates = deque()
        self.unknown -= 1

    def arrive(self, candidate: Candidate, question: Question) -> None:
        candidate.state, candidate.question = "arrived", question
        self.waiting += 1

    def let_in(self, group: Group, begin: Callable[[], None], most: int) -> None:
        """Begins with the group's questions: at once, or later where `most` wait for others already."""
        if self.waiting < most or self.groups[0] is group:
            begin()
        else:
            heapq.heappush(self._held, (group.place, begin))

    def admit(self, most: int) -> bool:
        """Begins with a group that was kept back, where there is room now; whether there was one."""
        if not self._held or (self.waiting >= most and self.groups[0].place < self._held[0][0]):
            return False
        heapq.heappop(self._held)[1]()
        return True

    def due(self) -> Iterator[Candidate]:
        """Those whose turn to be judged has come, in their order."""
        while self.groups and (candidates := self.groups[0].candidates) is not None:
            while candidates:
                if candidates[0].state == "waiting":
                    return
                candidate = candidates.popleft()
                if candidate.state == "arrived":
                    candidate.state = "passed"
                    self.waiting -= 1
                    yield candidate
            self.groups.popleft()


@dataclass
class Phase:
    """What a discipline is to bring: its held-out pairs, or its pairs for training."""

    name: Literal["holdout", "training"]
    goal: int | None
    """Pairs; None: whatever comes of `each` samples of every subject, in one round."""
    allowance: int
    """Most candidates that may be bought for it."""
    each: int
    plots: list[Plot] = field(default_factory=list)
    rounds: int = 0

    @property
    def asked(self) -> int:
        return sum(plot.asked for plot in self.plots)

    @property
    def made(self) -> int:
        return sum(plot.made for plot in self.plots)

    @property
    def dry(self) -> bool:
        return all(plot.dry for plot in self.plots)

    @property
    def lacks(self) -> int:
        return max(0, (self.goal or 0) - self.made)

    def next_round(self) -> Round | None:
        """None when the goal is reached, the allowance bought, or no combination is left."""
        self.rounds += 1
        if self.goal is None:
            wanted = [self.each] * len(self.plots) if self.rounds == 1 else []
        else:
            wanted = fill(self.plots, min(self.lacks, self.allowance - self.asked))
        groups = [
            Group(plot.subject, place, count)
            for place, (plot, count) in enumerate(zip(self.plots, wanted, strict=False))
            if count
        ]
        return Round(groups, self.rounds) if groups else None


def fill(plots: Sequence[Plot], count: int) -> list[int]:
    """How many of `count` candidates each subject gives: always the one with the fewest pairs, the first of equals."""
    wanted = [0] * len(plots)
    heap = [(plot.made, place) for place, plot in enumerate(plots) if not (plot.dry or plot.lost)]
    heapq.heapify(heap)
    for _ in range(count if heap else 0):
        made, place = heap[0]
        wanted[place] += 1
        heapq.heapreplace(heap, (made + 1, place))
    return wanted
