"""Text of strangers, shown without being obeyed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.visible import escaped, one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("red \x1b[31m and \x9b31m", "red ␛[31m and <U+009B>31m"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("a\x00b\x08c\x7fd", "a␀b␈c␡d"),
        ("one\r\ntwo\rthree\tfour", "one\ntwo␍three\tfour"),
        ("\u202eabc\u202c \u2067x\u2069", "<U+202E>abc<U+202C> <U+2067>x<U+2069>"),
        ("مرحبا\u200f 漢字 ẽ 🧑‍🔬", "مرحبا\u200f 漢字 ẽ 🧑‍🔬"),
    ],
)
def test_what_would_steer_a_terminal_is_a_sign(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_cell_is_one_line() -> None:
    assert one_line(" a\n\x1b b\t c ") == "a ␛ b c"


@given(st.text())
def test_escaped_json_holds_the_same_and_no_steering_character(text: str) -> None:
    line = escaped(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(line) == {text: [text]}
    assert visible(line) == line
