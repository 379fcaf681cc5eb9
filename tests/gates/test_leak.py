"""Questions that give their answer away, speak of their prompt or lack what they need fall; innocent ones do not."""

from __future__ import annotations

import pytest
from hypothesis import given

from glan_dspy.gates.leak import leaks
from glan_dspy.gates.phrases import spoken
from tests.engines.test_rehearsal import CODES, question, texts
from tests.gates.odd import ODD, odd_text
from tests.gates.scored import rows_of, scored


def test_few_texts_of_the_corpus_are_judged_wrongly() -> None:
    result = scored("leak", rows_of("leak"), "leak", lambda row: leaks(row["text"]))
    assert result.precision >= 0.98 and result.recall >= 0.98


def test_the_language_that_is_told_makes_no_difference_to_the_corpus() -> None:
    result = scored("leak, language told", rows_of("leak"), "leak", lambda row: leaks(row["text"], row["language"]))
    assert result.precision >= 0.98 and result.recall >= 0.98


def test_every_language_of_the_phrases_is_in_the_corpus() -> None:
    rows = rows_of("leak")
    assert {row["language"] for row in rows if row["leak"]} == set(spoken())


@pytest.mark.parametrize(
    ("question", "kind", "phrase"),
    [
        ("What is 6 x 7?\nAnswer: 42", "answer", "Answer"),
        ("Based on the given syllabus, explain osmosis.", "mentions", "based on the given syllabus"),
        ("Find the mean of the table above.", "table", "table above"),
        ("See the diagram and name the forces.", "figure", "see the diagram"),
        ("Read the passage and name its author.", "passage", "read the passage"),
        ("What does the code above print?", "code", "code above"),
    ],
)
def test_the_verdict_says_what_leaks(question: str, kind: str, phrase: str) -> None:
    verdict = leaks(question)
    assert verdict is not None and verdict.reason == "leak"
    assert (verdict.found["kind"], verdict.found["phrase"]) == (kind, phrase)


@pytest.mark.parametrize(
    "there", ["| a | 1 |\n|---|---|\n| b | 2 |", "- a: 1\n- b: 2", "a, 1\nb, 2\nc, 3", "```\na 1\nb 2\n```\n- x\n- y"]
)
def test_a_table_in_any_form_is_a_table(there: str) -> None:
    assert leaks(f"Find the mean of the table below.\n\n{there}") is None


def test_an_answer_inside_code_is_no_label() -> None:
    assert leaks("What does this print?\n\n```yaml\nanswer: 42\n```") is None


@pytest.mark.parametrize("code", CODES)
def test_what_the_simulated_model_asks_passes(code: str) -> None:
    assert [said for said in texts([question(item, code) for item in range(100)]) if leaks(said)] == []


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_texts_are_judged_without_an_error(text: str) -> None:
    leaks(text)


@given(odd_text())
def test_no_text_raises(text: str) -> None:
    leaks(text)
