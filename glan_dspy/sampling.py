"""Which class sessions and key concepts each question is asked about (§2.4): pure, seeded, without a model.

Strategy 1, "single": one session and 1-5 of its concepts. Strategy 2, "double": two sessions and 2-5
concepts with at least one from each; of m1 and m2 concepts that is the sum over i of
C(m1+m2, i) - C(m1, i) - C(m2, i) possibilities.

Each question has a sample of its own. A session (or pair) is taken when it was used least so far, ties
by seed; of its concept subsets each is equally likely, and none is given out twice. The list for n
questions begins the list for n+1 of the same kind, so a run that is extended keeps all it has.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple

from glan_dspy.records import Sample, Strategy, Syllabus

MAX_CONCEPTS = 5
"""Most concepts one question is asked to use, in both strategies."""


class Combinations(NamedTuple):
    """How many different samples a syllabus allows."""

    single: int
    double: int


def count_combinations(concepts_per_session: Sequence[int]) -> Combinations:
    """The number of samples of each kind, given how many key concepts each session has."""
    single = sum(_count_single(m) for m in concepts_per_session)
    double = sum(_count_double(a, b) for a, b in itertools.combinations(concepts_per_session, 2))
    return Combinations(single, double)


def sample_syllabus(syllabus: Syllabus, count: int, double_share: float, seed: int) -> tuple[Sample, ...]:
    """At most `count` different samples; fewer only when the syllabus has no more combinations.

    `round(double_share * count)` of them combine two sessions, at least one of each kind where count
    allows and the share is not exactly 0 or 1. Where one kind has run out the other takes its place, also
    then. The two kinds are spread evenly over the list.
    """
    have = count_combinations([len(session.key_concepts) for session in syllabus.sessions])
    single, double = _split(count, double_share, have)
    return tuple(
        _interleave(
            list(itertools.islice(_stream(syllabus, "single", seed), single)),
            list(itertools.islice(_stream(syllabus, "double", seed), double)),
        )
    )


# --- how many of each kind ----------------------------------------------------------------------


def _split(count: int, share: float, have: Combinations) -> tuple[int, int]:
    double = round(share * count)
    if count >= 2 and 0 < share < 1:
        double = min(max(double, 1), count - 1)
    single = count - double
    spare_single = max(0, have.single - single)
    spare_double = max(0, have.double - double)
    short_single = max(0, single - have.single)
    short_double = max(0, double - have.double)
    single = min(single, have.single) + min(short_double, spare_single)
    double = min(double, have.double) + min(short_single, spare_double)
    return single, double


def _interleave(first: list[Sample], second: list[Sample]) -> Iterator[Sample]:
    placed = [
        ((2 * i + 1) / (2 * len(group)), kind, item)
        for kind, group in enumerate((first, second))
        for i, item in enumerate(group)
    ]
    return (item for _, _, item in sorted(placed, key=lambda p: p[:2]))


# --- one unit (a session, or a pair) and its concept subsets, numbered 0..total-1 -----------------


class _Unit:
    """A session or a pair of them, and which of its concept subsets were given out."""

    def __init__(self, sessions: tuple[int, ...], total: int, subset: Callable[[int], list[list[int]]]) -> None:
        self.sessions, self.total, self.subset = sessions, total, subset
        self.taken: set[int] = set()

    def draw(self, rng: random.Random) -> int:
        """A number not drawn before, uniformly. Few are taken as a rule, so a second try is rare."""
        for _ in range(16):
            number = rng.randrange(self.total)
            if number not in self.taken:
                break
        else:
            number = self._draw_among_the_rest(rng)
        self.taken.add(number)
        return number

    def _draw_among_the_rest(self, rng: random.Random) -> int:
        """Uniform without listing: the k-th free number, found by stepping over the taken ones."""
        number = rng.randrange(self.total - len(self.taken))
        for taken in sorted(self.taken):
            if taken > number:
                break
            number += 1
        return number


def _stream(syllabus: Syllabus, strategy: Strategy, seed: int) -> Iterator[Sample]:
    """All samples of one kind, without end until the last combination is given out."""
    rng = random.Random(f"{seed}/{syllabus.id}/{strategy}")
    units = _singles(syllabus) if strategy == "single" else _doubles(syllabus)
    rng.shuffle(units)
    while units:  # each round takes every unit once, so that none is used twice before all are used once
        for unit in units:
            groups = unit.subset(unit.draw(rng))
            concepts = tuple(
                tuple(syllabus.sessions[session].key_concepts[i] for i in group)
                for session, group in zip(unit.sessions, groups, strict=True)
            )
            yield Sample(strategy=strategy, sessions=unit.sessions, concepts=concepts)
        units = [unit for unit in units if len(unit.taken) < unit.total]


def _singles(syllabus: Syllabus) -> list[_Unit]:
    sizes = [len(session.key_concepts) for session in syllabus.sessions]
    return [_Unit((i,), _count_single(m), partial(_nth_single, m)) for i, m in enumerate(sizes) if m]


def _doubles(syllabus: Syllabus) -> list[_Unit]:
    sizes = [len(session.key_concepts) for session in syllabus.sessions]
    return [
        _Unit((i, j), _count_double(sizes[i], sizes[j]), partial(_nth_double, sizes[i], sizes[j]))
        for i, j in itertools.combinations(range(len(sizes)), 2)
        if sizes[i] and sizes[j]
    ]


# --- counting and numbering subsets ---------------------------------------------------------------


@cache
def _count_single(m: int) -> int:
    return sum(math.comb(m, i) for i in range(1, MAX_CONCEPTS + 1))


def _shapes() -> Iterator[tuple[int, int]]:
    """(how many from the first session, how many from the second)."""
    return ((a, b) for a in range(1, MAX_CONCEPTS) for b in range(1, MAX_CONCEPTS - a + 1))


@cache
def _count_double(m1: int, m2: int) -> int:
    """The same as the paper's sum over i = 2..5 of C(m1+m2, i) - C(m1, i) - C(m2, i)."""
    return sum(math.comb(m1, a) * math.comb(m2, b) for a, b in _shapes())


def _nth_single(m: int, number: int) -> list[list[int]]:
    for size in range(1, MAX_CONCEPTS + 1):
        block = math.comb(m, size)
        if number < block:
            return [_nth_combination(m, size, number)]
        number -= block
    raise IndexError(number)


def _nth_double(m1: int, m2: int, number: int) -> list[list[int]]:
    for a, b in _shapes():
        block = math.comb(m1, a) * math.comb(m2, b)
        if number < block:
            first, second = divmod(number, math.comb(m2, b))
            return [_nth_combination(m1, a, first), _nth_combination(m2, b, second)]
        number -= block
    raise IndexError(number)


def _nth_combination(m: int, size: int, number: int) -> list[int]:
    """The `number`-th of the C(m, size) ascending index lists, in lexicographic order."""
    chosen, start = [], 0
    for remaining in range(size, 0, -1):
        for index in range(start, m):
            block = math.comb(m - index - 1, remaining - 1)
            if number < block:
                chosen.append(index)
                start = index + 1
                break
            number -= block
    return chosen
