"""Sampling (§2.4): the paper's counts, its two kinds, and an order that a run can be extended in."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glan_dspy.records import ClassSession, Sample, Syllabus, question_id
from glan_dspy.sampling import count_combinations, sample_syllabus


def syllabus_of(sizes: list[int], shared: bool = False, name: str = "syllabus") -> Syllabus:
    """A syllabus whose sessions have so many concepts; `shared` gives all sessions the same ones."""
    return Syllabus(
        id=name,
        subject_id="subject",
        sessions=tuple(
            ClassSession(name=f"s{i}", key_concepts=tuple(f"c{'' if shared else i}.{j}" for j in range(size)))
            for i, size in enumerate(sizes)
        ),
    )


def paper_single(m: int) -> int:
    return sum(math.comb(m, i) for i in range(1, 6))


def paper_double(m1: int, m2: int) -> int:
    return sum(math.comb(m1 + m2, i) - math.comb(m1, i) - math.comb(m2, i) for i in range(2, 6))


def every_sample(syllabus: Syllabus) -> set[Sample]:
    """All samples there are, by listing every subset: slow, and too simple to be wrong."""

    def subsets(index: int) -> list[tuple[str, ...]]:
        concepts = syllabus.sessions[index].key_concepts
        return [c for size in range(1, 6) for c in itertools.combinations(concepts, size)]

    indices = range(len(syllabus.sessions))
    singles = {Sample(strategy="single", sessions=(i,), concepts=(c,)) for i in indices for c in subsets(i)}
    doubles = {
        Sample(strategy="double", sessions=(i, j), concepts=(a, b))
        for i, j in itertools.combinations(indices, 2)
        for a in subsets(i)
        for b in subsets(j)
        if len(a) + len(b) <= 5
    }
    return singles | doubles


def doubles_in(samples: tuple[Sample, ...]) -> int:
    return sum(sample.strategy == "double" for sample in samples)


sizes = st.lists(st.integers(0, 7), min_size=1, max_size=5)
counts = st.integers(0, 60)
shares = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
seeds = st.integers(0, 2**32)


# --- how many there are ---------------------------------------------------------------------------


@pytest.mark.parametrize("m", range(0, 41))
def test_single_combinations_are_the_papers_sum(m: int) -> None:
    assert count_combinations([m]) == (paper_single(m), 0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_double_combinations_are_the_papers_sum(m1: int, m2: int) -> None:
    assert count_combinations([m1, m2]).double == paper_double(m1, m2)


@given(st.lists(st.integers(0, 60), max_size=12))
def test_a_syllabus_counts_all_its_sessions_and_pairs(sizes: list[int]) -> None:
    pairs = sum(paper_double(a, b) for a, b in itertools.combinations(sizes, 2))
    assert count_combinations(sizes) == (sum(map(paper_single, sizes)), pairs)


@pytest.mark.parametrize("sizes", [[0], [1], [4], [7], [1, 1], [3, 3], [6, 2], [7, 6], [0, 3], [2, 3, 1], [4, 4, 4]])
def test_the_counts_are_those_of_listing_every_subset(sizes: list[int]) -> None:
    every = every_sample(syllabus_of(sizes))
    single = sum(sample.strategy == "single" for sample in every)
    assert count_combinations(sizes) == (single, len(every) - single)


# --- what a sample is -----------------------------------------------------------------------------


@given(sizes, counts, shares, seeds, st.booleans())
def test_no_sample_comes_twice_and_all_are_ones_the_paper_allows(
    sizes: list[int], count: int, share: float, seed: int, shared: bool
) -> None:
    syllabus = syllabus_of(sizes, shared)
    samples = sample_syllabus(syllabus, count, share, seed)
    assert len(set(samples)) == len(samples) == min(count, sum(count_combinations(sizes)))
    for sample in samples:
        assert list(sample.sessions) == sorted(set(sample.sessions))
        assert len(sample.sessions) == len(sample.concepts) == (1 if sample.strategy == "single" else 2)
        assert len(sample.sessions) <= sum(map(len, sample.concepts)) <= 5
        for index, group in zip(sample.sessions, sample.concepts, strict=True):
            own = syllabus.sessions[index].key_concepts
            assert group, "each session gives at least one concept"
            assert list(group) == [concept for concept in own if concept in group], "in the session's order, once"


@given(sizes, counts, shares, seeds, st.booleans())
def test_question_ids_are_distinct_within_a_syllabus(
    sizes: list[int], count: int, share: float, seed: int, shared: bool
) -> None:
    syllabus = syllabus_of(sizes, shared)
    ids = [question_id(syllabus, sample) for sample in sample_syllabus(syllabus, count, share, seed)]
    assert len(set(ids)) == len(ids)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), shares, seeds)
def test_exhaustion_gives_every_combination_once(sizes: list[int], share: float, seed: int) -> None:
    syllabus = syllabus_of(sizes)
    every = every_sample(syllabus)
    for count in (len(every), len(every) + 1, len(every) + 1000):
        samples = sample_syllabus(syllabus, count, share, seed)
        assert len(samples) == len(every)
        assert set(samples) == every


def test_a_big_syllabus_is_sampled_without_being_listed() -> None:
    syllabus = syllabus_of([500] * 30)
    assert sum(count_combinations([500] * 30)) > 10**12
    assert len(set(sample_syllabus(syllabus, 300, 0.5, seed=1))) == 300


# --- how many of each kind ------------------------------------------------------------------------


@given(st.integers(1, 200), st.floats(0, 1))
def test_a_share_of_the_questions_combines_two_sessions(count: int, share: float) -> None:
    samples = sample_syllabus(syllabus_of([7, 7, 7, 7]), count, share, seed=0)
    asked = round(share * count)
    if count >= 2 and 0 < share < 1:
        asked = max(1, min(asked, count - 1))
    assert len(samples) == count
    assert doubles_in(samples) == asked


@given(st.integers(2, 40), st.floats(0, 1, exclude_min=True, exclude_max=True), sizes, seeds)
def test_both_kinds_occur_as_soon_as_there_are_two_questions(
    count: int, share: float, sizes: list[int], seed: int
) -> None:
    have = count_combinations(sizes)
    samples = sample_syllabus(syllabus_of(sizes), count, share, seed)
    if have.single and have.double:
        assert 1 <= doubles_in(samples) < len(samples)


@given(counts, shares, seeds, st.integers(0, 7))
def test_a_syllabus_of_one_session_has_no_doubles(count: int, share: float, seed: int, size: int) -> None:
    samples = sample_syllabus(syllabus_of([size]), count, share, seed)
    assert {sample.strategy for sample in samples} <= {"single"}
    assert len(samples) == min(count, paper_single(size))


def test_a_share_of_nothing_and_of_everything_is_meant_so() -> None:
    syllabus = syllabus_of([5, 5])
    assert doubles_in(sample_syllabus(syllabus, 20, 0.0, seed=3)) == 0
    assert doubles_in(sample_syllabus(syllabus, 20, 1.0, seed=3)) == 20


def test_where_one_kind_has_run_out_the_other_takes_its_place() -> None:
    syllabus = syllabus_of([1, 1, 6])  # 1 + 1 + 62 singles
    samples = sample_syllabus(syllabus, 100, 0.2, seed=0)
    assert len(samples) == 100
    assert doubles_in(samples) == 100 - 64


@given(st.integers(1, 60), shares, seeds)
def test_the_two_kinds_are_spread_evenly_over_the_list(count: int, share: float, seed: int) -> None:
    samples = sample_syllabus(syllabus_of([6, 6, 6]), count, share, seed)
    rate = doubles_in(samples) / len(samples)
    for end in range(1, len(samples) + 1):
        assert abs(doubles_in(samples[:end]) - rate * end) <= 1


# --- which session, which concepts ----------------------------------------------------------------


@given(sizes, counts, shares, seeds)
def test_the_least_used_session_or_pair_is_next(sizes: list[int], count: int, share: float, seed: int) -> None:
    samples = sample_syllabus(syllabus_of(sizes), count, share, seed)
    used = Counter(sample.sessions for sample in samples)
    singles = {(i,): paper_single(m) for i, m in enumerate(sizes) if m}
    doubles = {
        (i, j): paper_double(sizes[i], sizes[j])
        for i, j in itertools.combinations(range(len(sizes)), 2)
        if sizes[i] and sizes[j]
    }
    for units in (singles, doubles):
        most = max((used[unit] for unit in units), default=0)
        for unit, total in units.items():
            assert used[unit] >= min(total, most - 1), "behind by two, and not because it ran out"


def test_every_session_and_every_pair_is_used_before_one_is_used_again() -> None:
    for seed in range(20):
        samples = sample_syllabus(syllabus_of([5] * 6), 6 + 15, 15 / 21, seed)
        assert len({sample.sessions for sample in samples}) == 6 + 15


def chi_square(seen: Counter[Sample], kinds: int) -> float:
    expected = seen.total() / kinds
    return sum((seen[key] - expected) ** 2 / expected for key in seen) + expected * (kinds - len(seen))


@pytest.mark.parametrize(("sizes", "share", "kinds"), [([6], 0.0, 62), ([3, 3], 1.0, 9 + 18 + 15 + 6)])
def test_the_subsets_of_a_session_or_pair_are_equally_likely(sizes: list[int], share: float, kinds: int) -> None:
    # The bound lies five standard deviations above the mean of chi-square; the seeds are fixed.
    assert kinds == sum(count_combinations(sizes)[index] for index in [int(share)])
    bound = (kinds - 1) + 5 * math.sqrt(2 * (kinds - 1))
    syllabus = syllabus_of(sizes)
    first, third = Counter[Sample](), Counter[Sample]()
    for seed in range(40 * kinds):
        samples = sample_syllabus(syllabus, 3, share, seed)
        first[samples[0]] += 1
        third[samples[2]] += 1
    assert chi_square(first, kinds) < bound
    assert chi_square(third, kinds) < bound


def test_the_last_free_subsets_are_drawn_uniformly_too() -> None:
    # 31 subsets, and the second to last of them: by then random tries mostly hit what was taken.
    syllabus, seen = syllabus_of([5]), Counter[Sample]()
    for seed in range(31 * 40):
        seen[sample_syllabus(syllabus, 31, 0, seed)[29]] += 1
    assert chi_square(seen, 31) < 30 + 5 * math.sqrt(60)


# --- order, and growing ---------------------------------------------------------------------------


@given(sizes, counts, shares, seeds)
def test_asking_for_one_more_keeps_all_there_were(sizes: list[int], count: int, share: float, seed: int) -> None:
    syllabus = syllabus_of(sizes)
    fewer = sample_syllabus(syllabus, count, share, seed)
    more = sample_syllabus(syllabus, count + 1, share, seed)
    assert set(fewer) <= set(more)


@given(sizes, counts, shares, seeds)
def test_the_samples_of_a_kind_begin_the_longer_list_of_that_kind(
    sizes: list[int], count: int, share: float, seed: int
) -> None:
    syllabus = syllabus_of(sizes)
    fewer = sample_syllabus(syllabus, count, share, seed)
    more = sample_syllabus(syllabus, count + 7, share, seed)
    for kind in ("single", "double"):
        begun = [sample for sample in fewer if sample.strategy == kind]
        assert begun == [sample for sample in more if sample.strategy == kind][: len(begun)]


def test_equal_seeds_give_equal_lists_and_others_give_others() -> None:
    syllabus = syllabus_of([5, 5, 5])
    lists = [sample_syllabus(syllabus, 10, 0.5, seed) for seed in range(50)]
    assert lists == [sample_syllabus(syllabus, 10, 0.5, seed) for seed in range(50)]
    assert len(set(lists)) == 50


def test_two_syllabi_of_one_shape_are_sampled_differently() -> None:
    lists = {sample_syllabus(syllabus_of([5, 5, 5], name=str(i)), 10, 0.5, seed=0) for i in range(20)}
    assert len(lists) == 20


def test_the_samples_of_a_seed_are_these_for_good() -> None:
    """A run that was begun with another Python or another version goes on with the same questions."""
    samples = sample_syllabus(syllabus_of([5, 5, 5]), 4, 0.5, seed=7)
    assert [(sample.sessions, sample.concepts) for sample in samples] == GOLDEN


GOLDEN = [
    ((1,), (("c1.3", "c1.4"),)),
    ((0, 1), (("c0.0", "c0.2"), ("c1.0", "c1.2"))),
    ((2,), (("c2.2",),)),
    ((1, 2), (("c1.3",), ("c2.1", "c2.3", "c2.4"))),
]
