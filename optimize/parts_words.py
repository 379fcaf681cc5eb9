"""Texts as the metric counts them: stems of words, and how much two texts have of each other.

A stem is the same for most forms of a word in most scripts, and is never shown to anybody: five letters where there
are letters, two syllables of Hangul, two neighbouring characters where no spaces stand between words, a number whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from glan_dspy.gates.little_words import LITTLE
from glan_dspy.gates.sketch import MARKS, NO_SPACES

__all__ = ["Told", "content", "quote", "repeated", "rising", "size", "stems", "term"]

Told = tuple[float, str]
"""A part's value from 0 to 1, and what is wrong and what would be right; no words where nothing is wrong."""

_HANGUL = "\uac00-\ud7a3"
_WORD = re.compile(rf"(?P<dense>[{NO_SPACES}]+)|(?P<number>\d+(?:[.,]\d+)*)|(?:[^\W\d_{NO_SPACES}]|[{MARKS}])+")
_DENSE = re.compile(f"[{NO_SPACES}{_HANGUL}]")
_KANA_ONLY = re.compile("[\u3041-\u309f]+")
"""Hiragana alone is grammar: endings and particles."""

_LITTLE = frozenset().union(*LITTLE.values())
MOST = 20_000
"""Characters of a text that are read for its words; a longer one is far over any limit."""

_RUN = 5
"""Words in a row that make a phrase, when repetitions are counted."""


def stems(text: str) -> list[str]:
    """The stems of a text in its order.

    >>> stems("Two waves interfere."), stems("波の干渉"), stems("파동은")
    (['two', 'wave', 'inter'], ['波の', 'の干', '干渉'], ['파동'])
    """
    found: list[str] = []
    for word in _WORD.finditer(unicodedata.normalize("NFKC", text[:MOST]).casefold()):
        said = word[0]
        if word["dense"]:
            found += map("".join, pairwise(said)) if len(said) > 1 else [said]
        elif word["number"]:
            found.append(said)
        else:
            found.append(said[:2] if "\uac00" <= said[0] <= "\ud7a3" else _stem(said))
    return found


def content(text: str) -> set[str]:
    """The stems that carry the sense: without little words and single digits."""
    return {stem for stem in stems(text) if _carries(stem)}


@lru_cache(maxsize=1024)
def term(concept: str) -> frozenset[str]:
    """The stems of a key concept; short words count here, for "pH" and "gap" are concepts."""
    return frozenset(stem for stem in stems(concept) if stem not in _LITTLE) or frozenset(stems(concept))


def size(text: str) -> int:
    """Letters and digits of the part that is read, those that stand for two or three of another script counted so."""
    text = text[:MOST]
    return sum(map(str.isalnum, text)) + len(_DENSE.findall(text)) * 3 // 2


def repeated(text: str) -> float:
    """The share of a text's phrases that it has said before: near 0 as a rule, 0.9 for a text said ten times."""
    said = stems(text)
    phrases = [tuple(said[at : at + _RUN]) for at in range(len(said) - _RUN + 1)]
    return 1 - len(set(phrases)) / len(phrases) if phrases else 0.0


def rising(value: float, zero: float, one: float) -> float:
    """0 up to `zero`, 1 from `one` on, and a straight line between them; `zero` may be the larger.

    >>> rising(5, 0, 10), rising(0.9, 1.0, 0.5), rising(20, 0, 10)
    (0.5, 0.2, 1.0)
    """
    return round(min(1.0, max(0.0, (value - zero) / (one - zero))), 4)


def quote(names: Iterable[str]) -> str:
    """The names in quotation marks, the last of them behind an "and"."""
    quoted = [f'"{name}"' for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _stem(word: str) -> str:
    return (word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word)[:5]


def _carries(stem: str) -> bool:
    if stem in _LITTLE or _KANA_ONLY.fullmatch(stem):
        return False
    return len(stem) >= (4 if stem.isascii() and stem.isalpha() else 2)
