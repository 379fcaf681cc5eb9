"""The language of --where and --only: what it can say, what it refuses, and that it never raises on an item."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.filtering import KNOWN, compile_filter

ITEM = {
    "discipline": "Optics",
    "level": 300,
    "question": "How does a laser work?",
    "answer": "By stimulated emission.",
    "key_concepts": ["laser", "gain"],
    "reason": "truncated",
    "simulated": False,
}


@pytest.mark.parametrize(
    "text",
    [
        'level <= 300 and discipline in ("Optics")',
        'discipline in ("Optics", "Botany")',
        'reason in ("truncated", "refusal")',
        '"laser" in question and len(answer) > 10 and not simulated',
        '"gain" in key_concepts',
        '100 < level < 400 or reason == "x"',
        'startswith(lower(discipline), "opt")',
        "level - 100 == 200",
        "strategy == None",
        'not (discipline not in ("Optics",))',
        "level > -1",
        "level in (300)",
        "level not in (200)",
        "simulated in (False)",
        "(level == 300\n and not simulated)",
        "not held_out and not score and key_concepts",  # what an item may lack, or is or is not
        "True",
    ],
)
def test_what_holds_for_the_item(text: str) -> None:
    assert compile_filter(text)(ITEM)


@pytest.mark.parametrize(
    "text",
    [
        'discipline in ("Optics and more")',
        'discipline in ("Opt")',
        '"maser" in question',
        "level > 300",
        "score >= 3",  # a key that it does not have
        "len(strategy) > 0",
        "level < discipline",
        'subject in ("Waves")',
        '"x" in subject',
        "lower(level) == 300",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not compile_filter(text)(ITEM)


def test_a_part_that_cannot_be_compared_leaves_the_rest_to_decide() -> None:
    assert compile_filter('score > 3 or discipline == "Optics"')(ITEM)
    assert compile_filter("not score > 3")(ITEM)


@pytest.mark.parametrize(
    "text", ["level <= 300", "level == 300", "level in (300, 400)", "level in (300)", "200 < level"]
)
def test_a_level_that_is_text_counts_as_its_number(text: str) -> None:
    assert compile_filter(text)({"level": "300"})
    assert not compile_filter(text)({"level": "beginner"})


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("level <= 300 and lvl == 1", 18, r"unknown name 'lvl' \(did you mean 'level'\?\)"),
        ("level <=", 9, "invalid syntax"),
        ("open('/etc/passwd')", 1, "unknown function 'open'"),
        ("len(answer, 3)", 1, "takes 1 argument, not 2"),
        ("question.upper() == 'X'", 1, "not part of the language"),
        ("level is None", 1, "use == or !="),
        ("level ** 9 > 1", 1, "not part of the language"),
        ("[x for x in question]", 1, "not part of the language"),
        ("(lambda: 1)()", 1, "not part of the language"),
        ("level := 3", 7, "invalid syntax"),
        ('discipline == "광학" and lvl == 1', 24, "unknown name 'lvl'"),
        ("  lvl == 1", 1, "unknown name 'lvl'"),
        ("(level == 1 and\n lvl == 1)", 18, "unknown name 'lvl'"),
        ('"a"', 1, "is compared with nothing; write for example level >= 300"),
        ("level", 1, "'level' is compared with nothing"),
        ('stage or reason == "x"', 1, "'stage' is compared with nothing"),
        ("simulated and not len(answer)", 19, r"'len\(answer\)' is compared with nothing"),
        ("level - 100", 1, "'level - 100' is compared with nothing"),
        ('("Optics", "Botany")', 1, "is compared with nothing"),
    ],
)
def test_what_is_no_expression_is_shown_by_its_column(text: str, column: int, why: str) -> None:
    with pytest.raises(UserError, match=rf"^--where .*: column {column}: .*{why}"):
        compile_filter(text, "--where")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "len(" * 90 + "1" + ")" * 90,
        "not " * 60 + "simulated",
        "level" + ".a" * 900,
        "~" * 1900 + "1",
        "1" * 3000,
        "\0",
        "level == '\ud800",
    ],
)
def test_strange_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as refused:
        compile_filter(text)
    assert "\n" not in str(refused.value)


WORDS = [*sorted(KNOWN)[:6], "and", "or", "not", "in", "(", ")", ",", "==", "<", "len", "'a'", "3", "-", "+", ".", "x"]
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(), max_size=3))


@given(
    st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)),
    st.dictionaries(st.sampled_from(sorted(KNOWN)), VALUES, max_size=8),
)
def test_any_text_is_a_filter_that_never_raises_or_a_told_mistake(text: str, item: dict[str, Any]) -> None:
    try:
        holds = compile_filter(text)
    except UserError:
        return
    assert holds(item) in (True, False)
