"""Whether a text was given for another row already: what fits every row was written for none of them."""

from __future__ import annotations

import re
from threading import Lock

from glan_dspy.gates.duplicate import Seen
from glan_dspy.optimize.parts_words import Told

__all__ = ["Others"]

ALIKE = 0.9
"""The similarity (gates/sketch.py) from which two texts are one: a mould with another term filled in."""

_FIGURES = re.compile(r"\d+")


class Others:
    """The texts given so far, each with its row. The first row to have a text keeps it; any thread may ask."""

    def __init__(self) -> None:
        self._seen = Seen(ALIKE)
        self._lock = Lock()

    def unlike(self, row: str, text: str) -> Told:
        """0 for a text that another row was given, in nearly the same words and with whatever figures; else 1.

        The same text for the same row is no repetition: two programs may well write it.
        """
        with self._lock:
            copied = self._seen.judge(row, _FIGURES.sub("0", text))
        if copied:
            return (
                0.0,
                "It is nearly the same text as for other subjects; write for this very subject and its concepts.",
            )
        return 1.0, ""
