"""Abstention: told in all its usual forms, and not seen where it is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.gates.abstention import abstains

ABSTAINS = [
    "DO NOT KNOW",
    "do not know",
    "Do Not Know.",
    "I DO NOT KNOW.",
    "I do not know!",
    "I don't know",
    "I don’t know.",
    "Don't know",
    "**DO NOT KNOW**",
    "# DO NOT KNOW",
    '"DO NOT KNOW"',
    "「DO NOT KNOW」",
    "(DO NOT KNOW)",
    "`DO NOT KNOW`",
    "```\nDO NOT KNOW\n```",
    "  \n DO \t NOT\n KNOW \n",
    "ＤＯ ＮＯＴ ＫＮＯＷ",
    "DO\u00a0NOT\u00a0KNOW",
    "DO NOT KNOW。",
    "Answer: DO NOT KNOW",
    "**Answer:** do not know",
    "<answer>DO NOT KNOW</answer>",
    "DO NOT KNOW, since no data is given",
    "DO NOT KNOW the value of k, which the question leaves out.",
    "DO NOT KNOW\n\n질문에 자료가 없습니다.",
    "I do not know; the figure is missing.",
    "I do not know enough to answer.",
    "I DO NOT KNOW what is asked here.",
]

ANSWERS = [
    "",
    " ",
    "-",
    "O",
    "DO",
    "NOT",
    "KNOW",
    "DO NOT",
    "NOT KNOW",
    "O NOT KNO",
    "DONUT KNOW",
    "do",
    "Not necessarily.",
    "Know thyself.",
    "Knowledge is what we do not know we have.",
    "Do not know your enemy? Then know yourself.",
    "Do not knowingly mislead.",
    "DO NOT KNOWINGLY MISLEAD",
    "Don't know where to start? Begin with the free-body diagram.",
    "I do not know whether P holds, so assume that it does.",
    "We do not know x, so let x = 2.",
    "The prompt says: DO NOT KNOW.",
    "Socrates said: I know that I do not know.",
    "x = 5. The initial value we do not know.",
    "Ce que nous ne savons pas",
    "모르는 것이 약이다",
    "그래프는 DO NOT KNOW 상태를 나타낸다.",
    "42",
]

MISSED = [
    "I do not know the answer.",
    "I do not know the answer to this question.",
    "I don't know how to answer this.",
    "I'm sorry, but I do not know.",
    "Sorry, I do not know.",
    "Final answer: DO NOT KNOW",
    "The answer: DO NOT KNOW",
    "답변: DO NOT KNOW",
    "\\boxed{DO NOT KNOW}",
    "$\\text{DO NOT KNOW}$",
    "DO_NOT_KNOW",
    "_DO NOT KNOW_",
    "__do not know__",
    "DO-NOT-KNOW",
]


@pytest.mark.parametrize("answer", ABSTAINS)
def test_an_answer_that_says_it_does_not_know_abstains(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_only_holds_these_words_is_an_answer(answer: str) -> None:
    assert not abstains(answer)


@pytest.mark.parametrize("answer", MISSED)
def test_an_abstention_in_other_dress_abstains(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize("start", range(11))
def test_no_part_of_the_phrase_abstains(start: int) -> None:
    phrase = "DO NOT KNOW"
    parts = {phrase[start:end] for end in range(start + 1, len(phrase) + 1)} - {phrase}
    assert not any(abstains(part) for part in parts)


@given(st.text(alphabet=" \n\t*#>`\"'([{-.!…"), st.text(alphabet=" \n*`\"')]}.!。"))
def test_marks_around_the_phrase_do_not_matter(before: str, after: str) -> None:
    assert abstains(f"{before}DO NOT KNOW{after}")


@given(st.text(), st.text())
def test_words_before_the_phrase_make_it_a_part_of_an_answer(before: str, after: str) -> None:
    assert not abstains(f"Let us see {before} DO NOT KNOW {after}")
