"""Refusals written as prose fall in every language of phrases/; answers that only speak of them do not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from glan_dspy.gates.phrases import spoken
from glan_dspy.gates.refusal import refuses
from tests.engines.test_rehearsal import CODES, answer, question, texts
from tests.gates.odd import ODD, odd_text
from tests.gates.scored import rows_of, scored


def test_few_texts_of_the_corpus_are_judged_wrongly() -> None:
    result = scored("refusal", rows_of("refusal"), "refusal", lambda row: refuses(row["text"]))
    assert result.precision >= 0.98 and result.recall >= 0.98


def test_every_language_of_the_phrases_is_in_the_corpus() -> None:
    assert {row["language"] for row in rows_of("refusal") if row["refusal"]} == set(spoken())
    assert set(CODES) <= set(spoken())


def test_the_verdict_names_the_language_and_the_words() -> None:
    verdict = refuses("Es tut mir leid, aber dabei kann ich nicht helfen.")
    assert verdict is not None and verdict.reason == "refusal"
    assert verdict.found["language"] == "de" and "nicht helfen" in verdict.found["phrase"]


def test_a_refusal_falls_in_capitals_mark_up_and_another_apostrophe() -> None:
    assert refuses("I'M SORRY, BUT I CAN'T HELP WITH THAT.")
    assert refuses("> **I’m sorry**, but I can’t help with that.")
    assert refuses("\n\n# Sorry\n\nI cannot answer this question.")


def test_a_refusal_at_the_end_of_a_long_answer_is_left_alone() -> None:
    assert (
        refuses("The load is 3 kN, as the sum of the two forces shows. " * 8 + "Sorry, I can't help with (b).") is None
    )


@pytest.mark.parametrize("code", CODES)
def test_what_the_simulated_model_writes_passes_and_its_refusals_fall(code: str) -> None:
    asked = [question(item, code) for item in range(40)]
    questions = texts(asked)
    assert [said for said in questions + texts([answer(one) for one in questions]) if refuses(said)] == []
    refused = texts(asked, "rehearsal?refuse=1")
    assert len(set(refused)) > 1
    for said in refused:
        verdict = refuses(said)
        assert verdict is not None and verdict.found["language"] == code


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_texts_are_judged_without_an_error(text: str) -> None:
    refuses(text)


@given(odd_text())
def test_no_text_raises(text: str) -> None:
    refuses(text)


@pytest.mark.parametrize("code", sorted(spoken()))
def test_patterns_that_open_a_refusal_begin_with_the_letter_they_match(code: str) -> None:
    for kind in ("sorry", "alone"):
        for pattern in spoken()[code]["refusal"][kind]:
            assert pattern[0].isalpha() and not re.match(r".[?*|{]", pattern), pattern
            assert "|" not in re.sub(r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|\[[^\]]*\]", "", pattern), pattern
