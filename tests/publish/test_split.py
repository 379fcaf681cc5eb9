"""Parts and balance: told by ids alone, so that nothing moves when a run grows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.publish.balance import balance
from glan_dspy.publish.split import parse_split, place, whole
from tests.publish.made import add, ids, make_run, pair, put

IDS = [pair(number).id for number in range(10_000)]


def test_parts_have_about_their_shares() -> None:
    split = parse_split("train=0.9, val=0.06,test=0.04")
    counts = Counter(map(split.part, IDS))
    assert split.names == ("train", "val", "test")
    # Four standard deviations of a fair draw.
    for name, share in {"train": 0.9, "val": 0.06, "test": 0.04}.items():
        assert abs(counts[name] - share * 10_000) < 4 * (10_000 * share * (1 - share)) ** 0.5


def test_a_larger_last_part_only_takes_from_the_one_before() -> None:
    small, large = parse_split("train=0.98,val=0.02"), parse_split("train=0.9,val=0.1")
    assert all(large.part(id) == "val" for id in IDS if small.part(id) == "val")


def test_pairs_that_are_added_later_move_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", map(pair, range(100)))
    put(run, tmp_path / "a.jsonl", split="train=0.8,val=0.2")
    add(run, map(pair, range(100, 200)))
    put(run, tmp_path / "b.jsonl", split="train=0.8,val=0.2")
    for part in ("train", "val"):
        before, after = (ids(tmp_path / f"{name}-{part}.jsonl") for name in "ab")
        assert 0 < len(before) < len(after) and set(before) < set(after)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.text())
def test_every_id_has_one_part(weights: list[int], id: str) -> None:
    shares = [weight / 1000 for weight in weights[:-1]]
    text = ",".join(f"p{n}={share:.3f}" for n, share in enumerate([*shares, 1 - sum(shares)]))
    split = parse_split(text)
    assert split.part(id) == split.part(id) and split.part(id) in split.names


def test_another_purpose_gives_another_place() -> None:
    assert place("a", "split") != place("a", "balance")
    assert whole("train").part("anything") == "train"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train=0.9,val=0.2", "add up to 1.1, not to 1"),
        ("train=0.9", "add up to 0.9"),
        ("train=98,val=2", "the share 98 of 'train' is not above 0"),
        ("train=1,val=0", "the share 0 of 'val'"),
        ("train=1.1,val=-0.1", "1.1"),
        ("train=nan,val=1", ""),
        ("train=0.5,Train=0.5", "'Train' comes twice"),
        ("train=half,val=half", "'half' is no number"),
        ("train", "'train' is no NAME=SHARE"),
        ("", "is no NAME=SHARE"),
        ("train=0.5,", "is no NAME=SHARE"),
        ("../x=0.5,val=0.5", "'../x=0.5' is no NAME=SHARE"),
        ("all=1", "is not 'all'"),
    ],
)
def test_shares_that_do_not_fit_are_refused_with_an_example(text: str, said: str) -> None:
    with pytest.raises(UserError, match=r"for example train=0.98,val=0.02") as caught:
        parse_split(text)
    assert said in str(caught.value) and f"--split {text!r}" in str(caught.value)


def test_every_discipline_gives_as_many_as_the_smallest_in_any_order() -> None:
    pairs = [pair(n, name) for name, count in {"A": 30, "B": 7, "C": 12}.items() for n in range(count)]
    chosen = list(balance(pairs).of(pairs))
    assert Counter(one.discipline for one in chosen) == {"A": 7, "B": 7, "C": 7}
    assert [one for one in pairs if one in chosen] == chosen
    shuffled = Random(0).sample(pairs, len(pairs))
    assert {one.id for one in balance(shuffled).of(shuffled)} == {one.id for one in chosen}


def test_a_growing_run_stays_balanced() -> None:
    pairs = [pair(n, name) for name in "AB" for n in range(10)]
    more = [*pairs, *(pair(n, name) for name in "ABC" for n in range(10, 300))]
    assert Counter(one.discipline for one in balance(pairs).of(more)) == {"A": 10, "B": 10}


def test_a_discipline_without_chosen_pairs_does_not_cut_the_others_to_none(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", [pair(n, name) for name, count in {"A": 5, "B": 3, "C": 1}.items() for n in range(count)]
    )
    done = put(run, tmp_path / "out.jsonl", balance="discipline", only="discipline != 'C'")
    assert done.contents.disciplines == {"A": 3, "B": 3}
    assert done.balanced and done.balanced.each == 3 and done.left_out == "1 do not fit --only"
