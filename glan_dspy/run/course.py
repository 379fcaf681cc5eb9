"""One discipline's way through its phases and rounds: which samples are next, and which the run already knows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from glan_dspy.records import Sample, Subject, Syllabus, digest, question_id
from glan_dspy.run.rounds import Candidate, Group, Phase, Plot, Round
from glan_dspy.sampling import sample_syllabus
from glan_dspy.settings import Settings

SPARE = 5
"""Candidates that a test set may have beyond twice its size: it is small, and it was asked for."""


class Goal(NamedTuple):
    """What a discipline is to bring."""

    pairs: int | None = None
    """For training; None: whatever comes of the samples of every syllabus."""
    allowance: int = 0
    """Most candidates bought for them."""
    held_out: int = 0
    """For the test set, besides."""


class Course:
    """`have` tells how many pairs of a phase there are already, whichever round they are of."""

    def __init__(
        self, subjects: Sequence[Subject], settings: Settings, goal: Goal, have: Callable[[str], int] = lambda name: 0
    ) -> None:
        self.settings, self.goal, self.have = settings, goal, have
        self.phases = list(phases(subjects, settings, goal))
        self.round: Round | None = None
        self._asked: defaultdict[str, set[str]] = defaultdict(set)
        """By subject, the ids of the questions that are asked or were."""

    @property
    def phase(self) -> Phase:
        return self.phases[0]

    @property
    def current(self) -> Round:
        assert self.round is not None, "no round has begun"
        return self.round

    def next_round(self) -> Round | None:
        """The next round, of the next phase where this one has come to its end; None after the last."""
        while True:
            self.round = None if self.reached else self.phase.next_round()
            if self.round is not None or len(self.phases) == 1:
                return self.round
            del self.phases[0]

    @property
    def reached(self) -> bool:
        """Whether all pairs are there: then the rounds need not be gone through again.

        Those of the test set are: what was asked for it is not asked for training.
        """
        goal = self.phase.goal
        return self.phase.name == "training" and goal is not None and self.have("training") >= goal

    def open(self, group: Group, syllabus: Syllabus | None) -> list[Candidate]:
        """The group's candidates, none without a syllabus. Fewer than wanted: there are no more combinations."""
        plot, group.syllabus = self.phase.plots[group.place], syllabus
        candidates = list(self._candidates(syllabus, group)) if syllabus else []
        plot.asked += len(candidates)
        plot.dry, plot.bare = len(candidates) < group.wanted, syllabus is None
        self.current.open(group, candidates)
        return candidates

    def lose(self, group: Group) -> None:
        """Goes on without a group whose syllabus does not come in this walk."""
        self.phase.plots[group.place].lost = True
        self.current.skip(group)

    def settle(self, candidate: Candidate, *, made: bool) -> bool:
        """Counts a candidate as accepted or fallen. True when that was its round's last."""
        self.phase.plots[candidate.group.place].made += made
        candidate.state = "passed"
        self.current.unsettled -= 1
        return self.current.over

    def _candidates(self, syllabus: Syllabus, group: Group) -> Iterator[Candidate]:
        """The next `wanted` samples of the syllabus that no question was asked about."""
        asked, held_out = self._asked[group.subject.id], self.phase.name == "holdout"
        pool = self._held_out(syllabus) if held_out else self._training(syllabus, group.wanted)
        for id, sample in [named for named in pool if named[0] not in asked][: group.wanted]:
            asked.add(id)
            yield Candidate(id, sample, group, held_out=held_out)

    def _training(self, syllabus: Syllabus, wanted: int) -> Iterator[tuple[str, Sample]]:
        s = self.settings
        count = len(self._asked[syllabus.subject_id]) + wanted
        for sample in sample_syllabus(syllabus, count, s.double_share, s.seed):
            yield question_id(syllabus, sample), sample

    def _held_out(self, syllabus: Syllabus) -> list[tuple[str, Sample]]:
        """Of a beginning of the syllabus's samples, of a length that never changes, those of lowest hash first."""
        s = self.settings
        count = max(20, 4 * math.ceil(s.holdout / max(1, len(self.phase.plots))))
        samples = sample_syllabus(syllabus, count, s.double_share, s.seed)
        named = ((question_id(syllabus, sample), sample) for sample in samples)
        return sorted(named, key=lambda pair: digest("holdout", pair[0]))


def test_allowance(settings: Settings) -> int:
    """Most candidates that may be bought for one discipline's test set."""
    return max(2 * settings.holdout + SPARE, math.ceil(settings.holdout * settings.candidate_budget))


def phases(subjects: Sequence[Subject], settings: Settings, goal: Goal) -> Iterator[Phase]:
    """The held-out pairs first: what training pairs are compared with must be there before them."""

    def plots() -> list[Plot]:
        return [Plot(subject) for subject in subjects]

    if goal.held_out:
        yield Phase("holdout", goal.held_out, test_allowance(settings), 0, plots())
    yield Phase("training", goal.pairs, goal.allowance, settings.samples_per_syllabus, plots())
