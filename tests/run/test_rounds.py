"""Rounds, shares and the order of judging, without a model: properties of what is asked next."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.records import ClassSession, Discipline, Question, Subject, Syllabus
from glan_dspy.run.course import Course, Goal
from glan_dspy.run.quota import Quota, Reached, read_weights, shares_of, spread
from glan_dspy.run.rounds import Candidate, Plot, fill
from glan_dspy.run.tally import Short
from glan_dspy.settings import Settings


def subject(number: int) -> Subject:
    return Subject(id=f"s{number}", discipline="Optics", name=f"Subject {number}", level=100, subtopics=())


def syllabus(owner: Subject, sessions: int = 4, concepts: int = 4) -> Syllabus:
    made = (
        ClassSession(name=f"Session {n}", key_concepts=tuple(f"concept {n}.{c}" for c in range(concepts)))
        for n in range(sessions)
    )
    return Syllabus(id=f"y{owner.id}", subject_id=owner.id, sessions=tuple(made))


def course(subjects: int, goal: Goal, **changes: object) -> Course:
    return Course([subject(n) for n in range(subjects)], Settings.model_validate(changes), goal)


def walk(course: Course, falls: Callable[[str], bool], shuffle: random.Random, concepts: int = 4) -> list[list[str]]:
    """Goes through all rounds, whatever order questions arrive in. Gives back the ids judged in each round."""
    judged = []
    while (round := course.next_round()) is not None:
        groups = list(round.groups)
        shuffle.shuffle(groups)
        arriving = [c for group in groups for c in course.open(group, syllabus(group.subject, concepts=concepts))]
        shuffle.shuffle(arriving)
        order: list[Candidate] = []
        for candidate in arriving:
            round.arrive(candidate, Question(id=candidate.id, question="?", subject="", level=1))
            order += round.due()
        order += round.due()
        assert len(order) == len(arriving) and round.waiting == 0
        over = [course.settle(candidate, made=not falls(candidate.id)) for candidate in order]
        assert over.count(True) == (1 if over else 0) and round.over
        judged.append([candidate.id for candidate in order])
    return judged


@given(st.integers(1, 6), st.integers(1, 60), st.integers(0, 5), st.integers(0, 9), st.randoms(use_true_random=False))
def test_what_is_asked_does_not_depend_on_the_order_of_arrival(
    subjects: int, pairs: int, held_out: int, unlucky: int, shuffle: random.Random
) -> None:
    def falls(id: str) -> bool:
        return int(id[0], 16) < unlucky

    goal, more = Goal(pairs, 2 * pairs, held_out), {"holdout": held_out}
    first = walk(course(subjects, goal, **more), falls, random.Random(0))
    again = walk(course(subjects, goal, **more), falls, shuffle)
    assert first == again
    everything = [id for round in first for id in round]
    assert len(everything) == len(set(everything))


@given(st.integers(1, 6), st.integers(1, 60), st.integers(0, 12))
def test_rounds_bring_the_goal_exactly_or_use_their_allowance_up(subjects: int, pairs: int, unlucky: int) -> None:
    made, walked = [], course(subjects, Goal(pairs, 2 * pairs))
    judged = walk(walked, lambda id: int(id[0], 16) < unlucky, random.Random(1))
    made = [id for round in judged for id in round if int(id[0], 16) >= unlucky]
    assert len(made) == walked.phase.made <= pairs
    assert walked.phase.asked <= 2 * pairs
    assert len(made) == pairs or walked.phase.asked == 2 * pairs or walked.phase.dry


def test_without_a_goal_there_is_one_round_of_all_samples() -> None:
    judged = walk(course(3, Goal(), num_iterations=1, num_questions_per_iteration=4), lambda id: True, random.Random(2))
    assert [len(round) for round in judged] == [12]


def test_combinations_that_run_out_end_the_rounds() -> None:
    walked = course(1, Goal(10_000, 10_000))
    judged = walk(walked, lambda id: False, random.Random(3), concepts=1)
    assert walked.phase.dry and sum(map(len, judged)) == 4 + 6  # four sessions alone, and their pairs


def test_the_test_set_stays_as_it_is_when_a_run_grows() -> None:
    small = walk(course(3, Goal(12, 20, 6), holdout=6), lambda id: False, random.Random(4))
    large = walk(course(3, Goal(40, 60, 6), holdout=6), lambda id: False, random.Random(5))
    assert small[0] == large[0] and len(small[0]) == 6
    assert set(small[1]) <= set(large[1]) and not set(large[0]) & set(large[1])


def test_the_subject_with_the_fewest_pairs_is_asked_first() -> None:
    plots = [Plot(subject(0), made=5), Plot(subject(1), made=2), Plot(subject(2), made=2), Plot(subject(3), dry=True)]
    assert fill(plots, 3) == [0, 2, 1, 0]
    assert fill(plots, 8) == [1, 4, 3, 0]
    assert fill([Plot(subject(0), dry=True)], 5) == [0]


def test_a_group_that_waits_for_room_is_let_in_when_its_turn_comes() -> None:
    walked, begun = course(3, Goal(6, 6)), list[int]()
    round = walked.next_round()
    assert round is not None
    first, second, third = round.groups
    late = walked.open(third, syllabus(third.subject))
    round.let_in(third, lambda: begun.append(2), most=1)
    for candidate in late:
        round.arrive(candidate, Question(id=candidate.id, question="?", subject="", level=1))
    round.let_in(second, lambda: begun.append(1), most=1)
    assert begun == [2] and not round.admit(1)
    walked.open(first, None)
    walked.open(second, syllabus(second.subject))
    assert list(round.due()) == [] and round.admit(1) and begun == [2, 1]


# --- shares -----------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_shares_add_up_and_follow_the_weights(whole: int, weights: list[float]) -> None:
    found = spread(whole, weights)
    total = sum(weights)
    if total < 1e-6:
        return
    assert sum(found) == whole
    assert all(abs(share - whole * weight / total) < 1 + 1e-6 for share, weight in zip(found, weights, strict=True))


@given(st.data(), st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_no_share_falls_below_its_floor(data: st.DataObject, floors: list[int]) -> None:
    whole = sum(floors) + data.draw(st.integers(0, 300))
    found = spread(whole, [1.0] * len(floors), floors)
    assert sum(found) == whole and all(share >= floor for share, floor in zip(found, floors, strict=True))


def test_raising_the_whole_only_raises_shares() -> None:
    disciplines = [Discipline(name=f"D{n}") for n in range(7)]
    before = shares_of(100, disciplines[:5], {}, {})
    after = shares_of(180, disciplines, {"d1": 3.0}, before)
    assert sum(after.values()) == 180 and all(after[id] >= share for id, share in before.items())
    with pytest.raises(UserError, match="has 100 planned already"):
        shares_of(90, disciplines, {}, before)


def test_what_one_discipline_leaves_over_goes_to_those_that_lack_and_only_once() -> None:
    disciplines = [Discipline(name=name) for name in ("A", "B", "C")]
    kept: list[dict[str, int]] = []
    shares = {d.id: 10 for d in disciplines}
    quota = Quota(Settings(num_pairs=30, candidate_budget=1.5), shares, save=lambda extra: kept.append(dict(extra)))
    for discipline, made, asked in zip(disciplines, (10, 4, 10), (10, 15, 11), strict=True):
        quota.done(discipline, Reached(made, asked))
    assert quota.grant(disciplines) == [disciplines[1]]
    assert quota.goal(disciplines[1]).allowance == 15 + 6 and kept == [{disciplines[1].id: 6}]
    assert quota.grant(disciplines) == []  # it is not through yet
    quota.done(disciplines[1], Reached(8, 21))
    assert quota.grant(disciplines) == [disciplines[1]] and quota.goal(disciplines[1]).allowance == 23
    quota.done(disciplines[1], Reached(9, 23, dry=True))
    assert quota.grant(disciplines) == [] and quota.shortfall(disciplines) == {"B": Short(1, dry=True)}


@pytest.mark.parametrize("text", ['{"Optics": 2, "law": 0.5}', "Optics,2\nLaw,0.5\n", "Optics\t2\n\nLaw\t0.5"])
def test_weights_come_as_json_or_lines(tmp_path: Path, text: str) -> None:
    (tmp_path / "weights").write_text(text)
    found = read_weights(tmp_path / "weights", [Discipline(name="Optics"), Discipline(name="Law")])
    assert found == {"optics": 2.0, "law": 0.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Optics,much", "'much' for 'Optics' is no weight"),
        ("Botany,1", "'Botany' is none of the run's 1 disciplines"),
        ("Optics", "'Optics' is not 'discipline,weight'"),
        ("{", "is no JSON object"),
        ("Optics,0", "all weights are 0"),
        ("Optics,-1", "0 or more"),
        ("Optics,nan", "no weight"),
    ],
)
def test_bad_weights_are_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "weights").write_text(text)
    with pytest.raises(UserError, match=said):
        read_weights(tmp_path / "weights", [Discipline(name="Optics")])
