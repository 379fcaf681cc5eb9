"""Duplicates: the same question in the same or nearly the same words falls, another question stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glan_dspy.gates.duplicate import NEAR, Seen
from glan_dspy.gates.sketch import SIZE, SLOTS, alike, bands, other_numbers, similarity, sketch

CORPUS = [
    json.loads(line)
    for line in (Path(__file__).parent / "corpora" / "duplicate.jsonl").read_text(encoding="utf-8").splitlines()
]
"""Pairs of questions: `near` ask the same in other words; `other` is another question, often in the same mould;
`numbers` differ in their numbers only."""

LIGHT = (
    "A beam of light passes from water into glass. The refractive index of water is {}, that of the glass is {}, and "
    "the angle of incidence is {} degrees. Compute the angle of refraction and say whether the beam bends."
)

texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=200)


def falls(first: str, second: str, threshold: float = NEAR) -> str:
    """The reason for which the second falls after the first, or nothing."""
    seen = Seen(threshold)
    assert seen.judge("first", first) is None
    verdict = seen.judge("second", second)
    return verdict.reason if verdict else ""


def survivors(questions: list[str]) -> list[int]:
    seen = Seen()
    return [place for place, question in enumerate(questions) if seen.judge(str(place), question) is None]


def moulded(count: int) -> list[str]:
    """Questions that share seven words of ten."""
    rng = Random(7)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(5000)]
    mould = rng.sample(words, 42)
    return [" ".join(mould + rng.sample(words, 18)) for _ in range(count)]


# --- the corpus -----------------------------------------------------------------------------------


def test_rewordings_fall_and_other_questions_stay() -> None:
    fallen = [(pair["kind"], bool(falls(pair["a"], pair["b"]))) for pair in CORPUS]
    right = sum(fell for kind, fell in fallen if kind == "near")
    wrong = sum(fell for kind, fell in fallen if kind != "near")
    every = sum(kind == "near" for kind, _ in fallen)
    print(f"\n{right} of {every} rewordings fell, and {wrong} of {len(fallen) - every} others")
    assert len({pair["language"] for pair in CORPUS}) >= 8
    assert right / every >= 0.95
    assert right / (right + wrong) >= 0.95


@pytest.mark.parametrize(
    "pair", [pair for pair in CORPUS if pair["kind"] == "numbers"], ids=lambda pair: pair["b"][:30]
)
def test_other_numbers_make_another_exercise(pair: dict[str, str]) -> None:
    assert not falls(pair["a"], pair["b"])


def test_one_number_of_several_does_not() -> None:
    told, again = LIGHT.format(1.33, 1.52, 30), LIGHT.format(1.33, 1.52, 35)
    assert falls(told, again) == "near_duplicate"
    assert not falls(told, LIGHT.format(1.34, 1.61, 35))


# --- equal texts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What is osmosis?", "  what   is\nOSMOSIS? "),
        ("What is osmosis?", "Ｗｈａｔ is osmosis?"),
        ("삼투란 무엇인가?", "삼투란\t무엇인가?"),
        ("", " "),
    ],
)
def test_case_width_and_white_space_make_no_difference(first: str, second: str) -> None:
    assert falls(first, second) == "duplicate"


def test_another_operator_makes_another_question() -> None:
    assert not falls("Solve x + 1 = 0.", "Solve x - 1 = 0.")


def test_only_equal_texts_fall_at_a_threshold_of_one() -> None:
    assert not falls("Define osmosis!", "Define osmosis?", 1.0)
    assert falls("Define osmosis!", "Define  osmosis!", 1.0) == "duplicate"


def test_questions_without_words_are_told_apart() -> None:
    assert not falls("???", "!!!")
    assert not falls("∀∃", "∃∀")


# --- what is said, what is remembered -----------------------------------------------------------------


def test_the_verdict_names_the_other_question_and_how_alike_they_are() -> None:
    seen = Seen()
    seen.add("one", LIGHT.format(1.33, 1.52, 30))
    verdict = seen.judge("two", LIGHT.format(1.33, 1.52, 30).replace("beam", "ray", 1))
    assert verdict is not None
    assert verdict.found["id"] == "one" and NEAR <= verdict.found["similarity"] < 1
    assert "one" in verdict.detail


def test_what_falls_is_not_remembered() -> None:
    seen = Seen()
    assert [bool(seen.judge(id, "What is osmosis?")) for id in "abc"] == [False, True, True]
    assert len(seen) == 1


def test_the_closest_of_several_is_named() -> None:
    questions = moulded(1)[0].split()
    far = " ".join([*questions[:50], *(letter * 9 for letter in "qrstuvwxyz")])
    close = " ".join([*questions[:55], *(letter * 8 for letter in "qrstu")])
    seen = Seen(0.6)
    seen.add("far", far)
    seen.add("close", close)
    verdict = seen.judge("it", " ".join(questions))
    assert verdict is not None and verdict.found["id"] == "close"


def test_a_question_is_no_duplicate_of_itself() -> None:
    seen = Seen()
    seen.add("a", "What is osmosis?")
    assert seen.judge("a", "What is osmosis?") is None


def test_a_near_duplicate_in_a_crowd_is_found() -> None:
    crowd = moulded(3000)
    seen = Seen(0.8)
    assert sum(seen.judge(str(place), question) is None for place, question in enumerate(crowd)) > 2950
    changed = [question.rsplit(" ", 1)[0] + " otherwise" for question in crowd[::30]]
    assert sum(seen.judge(f"again{place}", question) is not None for place, question in enumerate(changed)) >= 95


def test_every_process_lets_the_same_questions_through() -> None:
    script = (
        "from tests.gates.test_duplicate import moulded, survivors\n"
        "print(survivors(moulded(400)[:200] + [q + ' again' for q in moulded(400)[100:300]]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and said != {""}


# --- any text -------------------------------------------------------------------------------------


@given(st.lists(texts, max_size=6))
@example(["\ud800", "\x00", "\u202e\u200f", "١٢٣ 3²", "\U000e0001"])
def test_no_text_breaks_it_and_the_first_always_passes(questions: list[str]) -> None:
    passed = survivors(questions)
    assert passed[:1] == [0][: len(questions)]
    assert passed == survivors(questions)


def test_a_long_text_is_judged_like_a_short_one() -> None:
    long = " ".join(moulded(2000))
    assert falls(long, f"{long} again") == "near_duplicate"
    assert falls("a" * 1_000_000, "A" * 1_000_000) == "duplicate"


@given(texts, texts)
def test_a_falls_after_b_as_b_after_a(first: str, second: str) -> None:
    assert falls(first, second) == falls(second, first)
    one, other = sketch(first), sketch(second)
    assert len(one) == SIZE and similarity(one, other) == similarity(other, one)
    assert other_numbers(one, other) == other_numbers(other, one)


@given(st.lists(st.sampled_from(["light", "wave", "index", "5", "7", "光", "빛"]), min_size=1, max_size=30))
def test_a_sketch_is_wholly_like_itself(words: list[str]) -> None:
    mine = sketch(" ".join(words))
    assert (similarity(mine, mine) == 1.0 and not other_numbers(mine, mine)) or not any(w in "57" for w in words)
    assert alike(mine, mine, 1.0) == 1.0


@settings(max_examples=30)
@given(st.floats(0.01, 1.0))
def test_bands_are_parts_of_the_slots_that_do_not_overlap(threshold: float) -> None:
    parts = list(bands(threshold))
    places = [place for part in parts for place in range(part.start, part.stop)]
    assert places == list(range(len(places))) and len(places) <= SLOTS
    assert bool(parts) == (threshold < 1)
