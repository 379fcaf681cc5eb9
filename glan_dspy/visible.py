"""Text that a model or a stranger wrote, safe to put on a terminal: what would steer it is shown instead.

visible("red \\x1b[31m")     "red ␛[31m"
visible("a\\u202eb")        "a<U+202E>b"
"""

from __future__ import annotations

import re

# Left out on purpose: tab and newline; the marks U+200E, U+200F and U+061C, which do no more than Arabic and Hebrew
# need. Embeddings, overrides and isolates turn round whatever follows them, so they are shown.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")


def visible(text: str) -> str:
    """The text with a visible sign for each character that steers a terminal. A line may end in CR LF."""
    if text.isascii() and text.isprintable():  # the same, quicker
        return text
    return _STEERING.sub(_sign, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The visible text with all white space collapsed: for a cell of a table or a line of a message."""
    return " ".join(visible(text).split())


def escaped(json: str) -> str:
    """JSON text whose strings hold the same, and which steers no terminal."""
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", json)


def _sign(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"
