"""Whether an answer stops before its end.

Sure signs are the endpoint's own word for it and a code fence that never closes. How a text ends is no sign by
itself (lists, formulas, tables and code end without a full stop), so that counts only where the reply used up its
whole token limit.
"""

from __future__ import annotations

import re

from glan_dspy.gates.prose import has_fence
from glan_dspy.gates.verdict import Verdict

__all__ = ["cut_short"]

_FENCE = re.compile(r"^[ \t]{0,12}(?:[-*+] |\d{1,3}\. )?[ \t]{0,8}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_ENDS = frozenset(".!?…。！？．｡\u0589\u061f\u06d4\u0964\u0965\u0f0d\u104b\u1362\u1367\u17d4")
_UNENDED = re.compile("[\u0e00-\u0eff]")
"""Thai and Lao end a sentence with a blank."""

_CLOSES = "\"'”’»)]}）」』】》*_`$ \t\r\n"
_MARKS = frozenset("|`$}]>")
_CELL = re.compile(r"\s*(?:\||[-*+•] |\d{1,3}[.)] |[#=]|\\)|.*[=<>≤≥≈]")


def cut_short(answer: str, finish_reason: str | None = None, at_limit: bool = False) -> Verdict | None:
    """A verdict "empty" for nothing but blanks, "cut" for an answer that stops too early, or None.

    `at_limit` says that the reply has as many tokens as it was allowed: some servers say "stop" then.

    >>> cut_short("The mass is 3 kg and the", at_limit=True).reason, cut_short("```python\\nprint(1)").reason
    ('cut', 'cut')
    >>> cut_short("| x | 3 |", at_limit=True) is None, cut_short("The mass is 3 kg") is None
    (True, True)
    """
    if not answer.strip("\u200b\ufeff \t\r\n\v\f"):
        return Verdict("empty", "the text is empty")
    if finish_reason == "length":
        return Verdict("cut", "the reply ended at its token limit")
    if has_fence(answer) and _open_fence(answer):
        return Verdict("cut", "a code block is opened and never closed")
    if at_limit and (_open_block(answer) or _mid_sentence(answer)):
        return Verdict("cut", "the reply used up its token limit and stops in the middle", {"ending": answer[-60:]})
    return None


def _open_fence(text: str) -> bool:
    """Whether the last fence of the text opens a block; a block ends with a bare fence of the same kind, as long."""
    opened = ""
    for match in _FENCE.finditer(text):
        fence, after = match.groups()
        if not opened:
            opened = "" if "`" in after else fence
        elif fence.startswith(opened) and not after.strip():
            opened = ""
    return bool(opened)


def _open_block(text: str) -> bool:
    """Whether a displayed formula is open, or an environment begun and not ended."""
    return text.count("$$") % 2 == 1 or text.count("\\begin{") > text.count("\\end{")


def _mid_sentence(text: str) -> bool:
    """Whether the last line reads as prose and has no end: no formula, list item, table, heading or code."""
    line = text.rstrip().rpartition("\n")[2]
    bare = line.rstrip(_CLOSES)
    if not bare or bare[-1] in _ENDS or line.rstrip()[-1] in _MARKS or _UNENDED.match(bare[-1]):
        return False
    return bare[-1] in ",;:、，；：،-–(" or _CELL.match(line) is None
