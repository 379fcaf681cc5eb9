"""Whether one item, a candidate, is in a text: the rules, given the words of both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from glan_dspy.gates.contamination_words import characters_a_word, content

Kind = Literal["exact", "13-gram", "8-gram"]

LONG, GRAM, PIECE = 13, 8, 7
"""Words: what alone is a hit; what must be shared for a hit by coverage; the least run that counts as covered. A text
of 20 words with one changed has 13 on one side of it, or 8 on one side and 7 or more on the other."""

COVERED = 0.8
"""Share of an item's words that its shared runs must cover, where none of them has LONG words."""

OWN = 4
"""Words of content that a hit must share beyond stock phrases and beyond what more than FEW items share."""

FEW = 5


class Text:
    """The words of a text as one string, made when first asked for."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    @cached_property
    def joined(self) -> str:
        return spelled(self.words)


class Match(NamedTuple):
    kind: Kind
    coverage: float
    """Share of the item's words that stand in the text in runs of PIECE words or more."""
    span: str
    """The longest shared run, in normalised words."""


def spelled(words: Sequence[str]) -> str:
    """The words between single spaces, with one before and after: substrings are then whole words."""
    return f" {' '.join(words)} "


def near(item: str, text: Text, at: int, per_word: float) -> bool:
    """Whether the item shares a gram that holds the word at this place: cheap, and mostly no."""
    size = round(GRAM * per_word)
    first = max(0, at - size + 1)
    last = min(at, len(text.words) - size)
    return any(spelled(text.words[start : start + size]) in item for start in range(first, last + 1))


def judge(item: str, text: Text, others: Sequence[str]) -> Match | None:
    """How the item, spelled, is in the text without standing there whole; `others` are the text's other candidates."""
    words = item.split()
    per_word = characters_a_word(words)
    runs = shared_runs(words, text.joined, round(PIECE * per_word))
    if not runs:
        return None
    longest = max(runs, key=len)
    coverage = sum(map(len, runs)) / len(words)
    own = content(_without_common(runs, others, round(GRAM * per_word)))
    if len(own) < OWN or all(word.isdigit() for word in own):
        return None
    if len(longest) >= round(LONG * per_word):
        return Match("13-gram", coverage, " ".join(longest))
    if len(longest) >= round(GRAM * per_word) and coverage >= COVERED:
        return Match("8-gram", coverage, " ".join(longest))
    return None


def shared_runs(words: list[str], text: str, least: int) -> list[list[str]]:
    """Runs of so many words or more that stand in the spelled text too, from left to right, each as long as it goes."""
    runs = list[list[str]]()
    start = 0
    while start + least <= len(words):
        end = start + least
        if spelled(words[start:end]) not in text:
            start += 1
            continue
        step = 1
        while end < len(words):  # in growing steps: an item may be a book
            ahead = min(end + step, len(words))
            if spelled(words[start:ahead]) in text:
                end, step = ahead, step * 2
            elif step > 1:
                step = 1
            else:
                break
        runs.append(words[start:end])
        start = end
    return runs


def _without_common(runs: list[list[str]], others: Sequence[str], size: int) -> list[str]:
    """The runs' words, less those inside grams that more than FEW of the other items have as well."""
    if len(others) < FEW:
        return [word for run in runs for word in run]
    own = list[str]()
    for run in runs:
        common = set[int]()
        width = min(size, len(run))
        for start in range(len(run) - width + 1):
            gram = spelled(run[start : start + width])
            if sum(gram in other for other in others) >= FEW:
                common.update(range(start, start + width))
        own += (word for place, word in enumerate(run) if place not in common)
    return own
