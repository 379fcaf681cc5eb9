"""Whether a question holds what it refers to: a table, a figure, a passage or code, in any form a text can have."""

from __future__ import annotations

import re
from itertools import pairwise

__all__ = ["holds"]

ROWS, CELLS, FIGURES = 2, 4, 4
"""Lines that look like rows, bars between cells, and numbers behind the mention: any of them is data enough."""

PASSAGE = 110
"""Characters of another line, or behind a colon, that may be a passage."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ROW = re.compile(r"^[ \t]*(?:[-*•+]|\d{1,3}[.):]|[^\n,;]{1,40}[,;:\t][^\n]*\d)", re.MULTILINE)
_DRAWN = re.compile(r"```|!\[|<svg|<img|\\begin\{tikz|-->|→|──|\|\s|\+--|/\\|https?://")
_QUOTED = re.compile(r"[\"“„«「『‘][^\"“”„«»「」『』]{40,}|^>", re.MULTILINE)
_CODE = re.compile(r"`|^(?: {4}|\t)|[;{}][ \t]*$|\w\(|=|\bdef \w|\bselect\b|#include", re.MULTILINE)


def holds(kind: str, text: str, mention: tuple[int, int]) -> bool:
    """Whether the text, in lower case, holds a "table", "figure", "passage" or "code" beside the mention of it.

    >>> holds("table", "use the table below: 3, 5, 8 and 13", (4, 19)), holds("figure", "see the figure", (0, 14))
    (True, False)
    """
    match kind:
        case "table":
            return _has_rows(text) or len(_NUMBER.findall(text, mention[1], mention[1] + 1500)) >= FIGURES
        case "figure":
            return _DRAWN.search(text) is not None
        case "passage":
            return _has_passage(text, mention) or _QUOTED.search(text) is not None
        case "code":
            return _CODE.search(text) is not None
    return False


def _has_rows(text: str) -> bool:
    return text.count("|") >= CELLS or "\t" in text or "tabular" in text or len(_ROW.findall(text)) >= ROWS


def _has_passage(text: str, mention: tuple[int, int]) -> bool:
    """Whether a line without the mention, or what follows a colon behind it, is long enough to be the passage."""
    start, end = mention
    ends = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    others = (after - before for before, after in pairwise(ends) if not before <= start < after)
    return max(others, default=0) >= PASSAGE or len(text[end:].partition(":")[2]) >= PASSAGE
