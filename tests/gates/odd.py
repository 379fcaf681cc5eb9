"""Texts that no one writes and every gate must survive, fast: a gate of quadratic time would take minutes on them."""

from __future__ import annotations

from hypothesis import strategies as st

MILLION = 1_000_000

ODD = {
    "nothing": "",
    "one blank": " ",
    "a million letters": "a" * MILLION,
    "a million blanks": " " * MILLION,
    "a million lines": "\n" * MILLION,
    "a million colons": ":" * MILLION,
    "many words": "word " * (MILLION // 5),
    "many sentences": "Sorry. " * (MILLION // 7),
    "many tables": "table " * (MILLION // 6),
    "many fences": "```\n" * (MILLION // 4),
    "open fences": "```x\n" * (MILLION // 5),
    "one line of backticks": "`" * MILLION,
    "dollars": "$" * MILLION,
    "dollars and letters": "$a " * (MILLION // 3),
    "open formulas": "\\[ x " * (MILLION // 5),
    "open brackets": "\\( x " * (MILLION // 5),
    "open environments": "\\begin{a} " * (MILLION // 10),
    "backslashes": "\\" * MILLION,
    "tags": "<a " * (MILLION // 3),
    "addresses": "https://a" * (MILLION // 9),
    "stars": "*" * MILLION,
    "headings": "## x\n" * (MILLION // 5),
    "bold": "**a**\n" * (MILLION // 6),
    "quotes": '"' * MILLION,
    "quotes and letters": "“a " * (MILLION // 3),
    "Hangul": "가나다 " * (MILLION // 4),
    "Han": "漢" * MILLION,
    "Cyrillic": "слово " * (MILLION // 6),
    "control characters": "".join(map(chr, range(32))) * 100 + "\x7f\x85\u2028\u2029",
    "lone surrogates": "\ud800 text that says \udfff something \ud83d and goes on for a while, as a text does",
    "right to left": "\u202e\u200f\u2067abc\u2069 text \u200e\u061c",
    "combining marks": "a" + "\u0301" * 10_000,
    "zero width": "\u200b\u200d\ufeff" * 1000,
    "emoji": "👩‍👩‍👧‍👦🇰🇷" * 1000,
}


_MARKS = '``` ~~~ $$ $ \\[ \\] \\( \\begin{a} \\end{a} ** ( ) | > " “ ” : ` <a https:// 【 ：'
_WORDS = ["Answer:", "答案：", "sorry, ", "I can't help", "죄송", "수 없습니다", "the table above", "the figure below"]


def odd_text() -> st.SearchStrategy[str]:
    """Free text, surrogates too, and text made of what the gates look for."""
    pieces = st.sampled_from([*_MARKS.split(), *_WORDS, "\n"])
    anything = st.text(alphabet=st.characters(exclude_categories=()))
    return st.one_of(anything, st.lists(st.one_of(pieces, anything), max_size=40).map("".join))
