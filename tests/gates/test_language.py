"""Texts in another language fall; those in theirs, with code, formulas, foreign terms or quotations, do not."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.gates.language import can_tell, code_of, wrong_language
from glan_dspy.gates.languages import table
from tests.engines.test_rehearsal import CODES, answer, question, texts
from tests.gates.odd import ODD, odd_text
from tests.gates.scored import rows_of, scored

NAMES = dict(
    en="English", ko="Korean", ja="Japanese", zh="Chinese", es="Spanish", hi="Hindi", ar="Arabic", fr="French",
    de="German", pt="Portuguese", ru="Russian", vi="Vietnamese",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Korean", "ko"),
        ("korean", "ko"),
        ("한국어", "ko"),
        ("Brazilian Portuguese", "pt"),
        ("Portuguese (Brazil)", "pt"),
        ("pt-BR", "pt"),
        ("pt_PT", "pt"),
        ("Simplified Chinese", "zh"),
        ("Chinese (Traditional)", "zh"),
        ("zh-Hant", "zh"),
        ("Mandarin", "zh"),
        ("Cantonese", "yue"),
        ("Farsi", "fa"),
        ("Dari", "fa"),
        ("swahili", "sw"),
        ("Norwegian Bokmål", "no"),
        ("Modern Standard Arabic", "ar"),
        ("Egyptian Arabic", "ar"),
        ("American English", "en"),
        ("Mexican Spanish", "es"),
        ("Castilian", "es"),
        ("Filipino", "tl"),
        ("Scottish Gaelic", "gd"),
        ("  Tiếng Việt ", "vi"),
        ("Serbian (Latin script)", "sr"),
        ("Klingon", None),
        ("Zulu", None),
        ("", None),
    ],
)
def test_a_language_is_known_by_its_usual_names(name: str, code: str | None) -> None:
    assert code_of(name) == code
    assert can_tell(name) == (code is not None)


def test_every_name_of_the_table_leads_to_a_language_of_the_detector() -> None:
    assert len(set(table().values())) > 120
    assert all(code_of(name) == code for name, code in table().items())


def test_few_texts_of_the_corpus_are_judged_wrongly() -> None:
    rows = rows_of("language")
    result = scored("language", rows, "wrong", lambda row: wrong_language(row["text"], row["language"]))
    assert result.precision >= 0.98 and result.recall >= 0.95
    assert {row["kind"] for row in rows} == {"right", "wrong", "switches", "mixed", "short", "code", "unknown"}


def test_the_verdict_names_both_languages() -> None:
    verdict = wrong_language("Bitte bestimmen Sie die Dicke der Schicht aus den gemessenen Werten.", "French")
    assert verdict is not None
    assert verdict.reason == "language" and verdict.detail == "German where French was asked for"
    assert verdict.found == {"is": "de", "asked": "fr"}


@pytest.mark.parametrize("code", CODES)
def test_what_the_simulated_model_writes_passes_and_its_wrong_language_falls(code: str) -> None:
    asked = [question(item, code) for item in range(40)]
    questions = texts(asked)
    said = questions + texts([answer(one) for one in questions])
    assert [one for one in said if wrong_language(one, NAMES[code])] == []
    wrong = texts(asked, "rehearsal?wrong_language=1")
    assert all(wrong_language(one, NAMES[code]) for one in wrong)


@pytest.mark.parametrize("language", ["English", "Korean", "Russian", "Chinese", "Japanese", "Klingon"])
@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_texts_are_judged_without_an_error(text: str, language: str) -> None:
    wrong_language(text, language)


@given(odd_text(), st.sampled_from(["English", "Korean", "Russian", "Chinese", "Hindi", "Thai"]))
def test_no_text_raises(text: str, language: str) -> None:
    wrong_language(text, language)


@given(st.text())
def test_no_name_raises(name: str) -> None:
    code_of(name)


def test_nothing_is_fetched_written_or_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the detector asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.DEBUG):
        assert wrong_language("This sentence is plain English, as anyone can see at a glance. " * 40, "German")
    assert not caplog.records and not list(tmp_path.iterdir())
