"""The prose of a text: what is left of it without code, formulas, addresses and figures."""

from __future__ import annotations

import re

MOST = 24_000
"""Characters of a text that are looked at: half of them from its beginning, half from its end."""

_MARKED = re.compile(
    r"`[^`\n]{1,400}`"
    r"|\$\$[^$]{1,2000}\$\$"
    r"|\$(?=[^\s$])[^$\n]{1,400}(?<=[^\s$])\$(?!\d)"
    # The next opening ends the search for a closing: without that, a row of openings takes quadratic time.
    r"|\\\((?:(?!\\\().){1,400}?\\\)"
    r"|\\\[(?:(?!\\\[).){1,2000}?\\\]"
    r"|\\begin\{(\w{1,20}\*?)\}(?:(?!\\begin\{\1\}).){1,4000}?\\end\{\1\}"
    r"|\\[a-zA-Z]{1,30}\*?"
    r"|<[a-zA-Z/][^<>\n]{0,200}>",
    re.DOTALL,
)
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]{1,500}")
_NOT_LETTERS = dict.fromkeys(
    map(ord, '0123456789*_#|=+<>{}[]()/\\~^&%$@"“”«»„\n\r\t\0\v\f\x1c\x1d\x1e\x85\u2028\u2029'), " "
)
_SET_APART = re.compile(r" {4}|\t|\s*[>|]")
_STATEMENT = re.compile(
    r"\s*(?:def|class|import|from|return|print|if|for|while|else|elif|try|SELECT|INSERT|UPDATE|FROM|WHERE|public|private"
    r"|static|void|int|double|float|const|let|var|function|#include|using|package|fn)\b[^.?!]*$"
    r"|.*(?:[;{}]\s*$|[^=!<>]==?[^=>]|->|=>|\w\(\w*\)|&&|\|\|)"
)
_QUOTED = re.compile(r"[「『][^「」『』\n]{1,3000}[」』]|[\"“„«‘][^\"“”„«»’\n]{20,3000}[\"“”»’]")


def prose(text: str) -> str:
    """The text without fenced and inline code, LaTeX, tags and addresses; long texts by their two ends."""
    if has_fence(text):
        text = _unfenced(text)
    if len(text) > MOST:
        text = f"{text[: MOST // 2]} {text[-MOST // 2 :]}"
    if "`" in text or "$" in text or "\\" in text or "<" in text:
        text = _MARKED.sub(" ", text)
    if (":" in text and "://" in text) or "www." in text:
        text = _ADDRESS.sub(" ", text)
    return text


def has_fence(text: str) -> bool:
    """Whether a line of code may be set apart in it; a single character is looked for first, which is quicker."""
    return ("`" in text and "```" in text) or ("~" in text and "~~~" in text)


def own_prose(prose: str) -> str:
    """Prose without its lines of code, tables and block quotations, and without what stands in quotes."""
    lines = (line for line in prose.split("\n") if line and not _is_code(line))
    return _QUOTED.sub(" ", "\n".join(lines))


def whole_words(piece: str) -> str:
    """A piece cut out of a text without the halves of words at its two ends."""
    return piece[piece.find(" ") + 1 : end] if (end := piece.rfind(" ")) > 0 else piece


def _is_code(line: str) -> bool:
    """Whether a line is set apart, or reads as a statement of a program; a long one is a paragraph that mentions it."""
    return _SET_APART.match(line) is not None or (len(line) < 120 and _STATEMENT.match(line) is not None)


def letters(text: str) -> str:
    """The text on one line, with blanks for figures, brackets and marks; lower case where it is all capitals."""
    text = " ".join(text.translate(_NOT_LETTERS).split())
    return text.lower() if text.isupper() else text


def slices(text: str, size: int, count: int = 4) -> list[str]:
    """`count` pieces of `size` characters at equal distances, the first and last character among them; or the text."""
    if len(text) <= size * count:
        return [text]
    step = (len(text) - size) / (count - 1)
    return [text[(start := round(step * number)) : start + size] for number in range(count)]


def _unfenced(text: str) -> str:
    for fence in ("```", "~~~"):
        if fence in text:
            text = "\n".join(text.split(fence)[::2])
    return text
