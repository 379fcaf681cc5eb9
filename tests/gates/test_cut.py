"""Answers that stop too early fall; whole ones do not, however they end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.gates.cut import cut_short
from tests.engines.test_rehearsal import CODES, answer, complete, question, text_of, texts
from tests.gates.odd import ODD, odd_text
from tests.gates.scored import rows_of, scored


def test_few_texts_of_the_corpus_are_judged_wrongly() -> None:
    def gate(row: dict[str, Any]) -> object:
        return cut_short(row["text"], row["finish_reason"], row["at_limit"])

    result = scored("cut", rows_of("cut"), "cut", gate)
    assert result.precision >= 0.98 and result.recall >= 0.98


@pytest.mark.parametrize("text", ["", " ", "\n\t\r\n", "\u200b", "\ufeff \u200b"])
def test_a_text_without_a_visible_letter_is_empty(text: str) -> None:
    verdict = cut_short(text)
    assert verdict is not None and verdict.reason == "empty"


@pytest.mark.parametrize("code", CODES)
def test_what_the_simulated_model_answers_is_whole(code: str) -> None:
    answers = texts([answer(one) for one in texts([question(item, code) for item in range(60)])])
    assert [said for said in answers if cut_short(said, "stop", at_limit=True)] == []


@pytest.mark.parametrize("code", CODES)
def test_what_the_simulated_model_truncates_is_cut_with_its_reason_and_mostly_without(code: str) -> None:
    replies = [complete(answer(one), "rehearsal?truncate=1") for one in texts([question(n, code) for n in range(20)])]
    assert all(cut_short(text_of(reply), reply.finish_reason) for reply in replies)
    assert sum(bool(cut_short(text_of(reply), at_limit=True)) for reply in replies) >= 16


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_texts_are_judged_without_an_error(text: str) -> None:
    cut_short(text, "stop", at_limit=True)


@given(odd_text(), st.one_of(st.none(), st.text()), st.booleans())
def test_no_text_raises(text: str, finish_reason: str | None, at_limit: bool) -> None:
    cut_short(text, finish_reason, at_limit)
