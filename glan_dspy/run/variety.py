"""How varied texts are: what share of their words differ, and what share of their phrases is new.

Both look at bounded samples that are the same in every process, so memory is flat and figures can be compared. In
scripts without spaces a character stands for a word.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any
from zlib import crc32

from glan_dspy.gates.contamination_words import words_of

__all__ = ["Novelty", "Phrases", "Sample", "distinct", "share"]

_SAMPLE = 1_000
"""Pairs that `distinct` is counted in."""
_LONGEST = 200
"""Words of a text that it looks at there, from the beginning."""
_ENOUGH = 20_000
"""Questions that novelty is measured on; disciplines are taken whole until there are as many."""
_FEWEST = 10
"""Questions of a discipline that has tenths to compare."""
_REMEMBERED = 500_000
"""Phrases, of about 70 bytes each."""


class Sample:
    """The pairs that come first by a hash of their ids: the same ones in whatever order they are added."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str, str, str]] = []

    def add(self, id: str, question: str, answer: str) -> None:
        place = -crc32(id.encode("utf-8", "replace"))
        if len(self._heap) < _SAMPLE:
            heapq.heappush(self._heap, (place, id, question, answer))
        elif place > self._heap[0][0]:
            heapq.heapreplace(self._heap, (place, id, question, answer))

    def merge(self, other: Sample) -> None:
        """Takes in the pairs that another has kept."""
        for _, id, question, answer in other._heap:
            self.add(id, question, answer)

    def told(self) -> dict[str, Any]:
        """How many pairs they are, and `distinct` of one, two and three words of their questions and answers."""
        questions = [words_of(question)[:_LONGEST] for _, _, question, _ in self._heap]
        answers = [words_of(answer)[:_LONGEST] for _, _, _, answer in self._heap]
        return {
            "pairs": len(self._heap),
            "questions": [distinct(questions, size) for size in (1, 2, 3)],
            "answers": [distinct(answers, size) for size in (1, 2, 3)],
        }


def distinct(texts: Sequence[Sequence[str]], size: int) -> float | None:
    """The share of different ones among the runs of so many words; it falls as texts grow.

    >>> distinct(["a rose is a rose".split()], 2)
    0.75
    """
    runs = chain.from_iterable(zip(*(text[at:] for at in range(size)), strict=False) for text in texts)
    kinds = Counter(map(hash, runs))
    return share(len(kinds), kinds.total())


class Novelty:
    """How much is new in the first tenth of each discipline's questions, in the second, and so on to the last."""

    def __init__(self) -> None:
        self.questions = 0
        self._sums = [(0, 0)] * 10
        self._phrases, self._found = Phrases(), list[tuple[int, int]]()

    @property
    def enough(self) -> bool:
        """Whether so many questions were measured that more would tell nothing new."""
        return self.questions >= _ENOUGH

    def add(self, question: str) -> None:
        """The next question of a discipline; passed over once enough were measured."""
        if not self.enough:
            self._found.append(self._phrases.add(words_of(question)))

    def close(self) -> None:
        """The discipline has no more; one with fewer than 10 questions does not count."""
        if len(self._found) >= _FEWEST:
            tenth = len(self._found) // 10
            starts = [*range(0, 9 * tenth, tenth), len(self._found) - tenth]
            parts = [self._found[start : start + tenth] for start in starts]
            self._sums = [_sum([sums, *part]) for sums, part in zip(self._sums, parts, strict=True)]
            self.questions += len(self._found)
        self._phrases, self._found = Phrases(), []

    @property
    def tenths(self) -> list[float | None]:
        """The share of new phrases in each."""
        return [share(*sums) for sums in self._sums]

    def told(self) -> dict[str, Any]:
        return {"first_tenth": self.tenths[0], "last_tenth": self.tenths[-1], "questions": self.questions}


class Phrases:
    """Which phrases of three words were there before.

    >>> phrases = Phrases()
    >>> phrases.add("find the focal length".split()), phrases.add("find the focal plane".split())
    ((2, 2), (1, 2))

    Once more than `most` are remembered, only every second of all phrases is looked at, then every fourth: shares stay
    what they are.
    """

    def __init__(self, most: int = _REMEMBERED) -> None:
        self.most = most
        self._codes = _Codes()
        self._seen = set[int]()
        self._every = 1

    def add(self, words: Sequence[str]) -> tuple[int, int]:
        """(new phrases, phrases) of one text; one that it has twice counts once."""
        codes, every = list(map(self._codes.__getitem__, words)), self._every
        # One number for three words, in their order; its lowest bits are as good as random.
        phrases = {a * 4294967311 + b * 2147483659 + c for a, b, c in zip(codes, codes[1:], codes[2:], strict=False)}
        if every > 1:
            phrases = {phrase for phrase in phrases if phrase % every == 0}
        before = len(self._seen)
        self._seen |= phrases
        new = len(self._seen) - before
        while len(self._seen) > self.most:
            self._every *= 2
            self._seen = {phrase for phrase in self._seen if phrase % self._every == 0}
        return new, len(phrases)


class _Codes(dict[str, int]):
    """A number for each word, the same in every process."""

    def __missing__(self, word: str) -> int:
        code = self[word] = crc32(word.encode("utf-8", "replace"))
        return code


def share(part: int, whole: int) -> float | None:
    """To four places; None of nothing."""
    return round(part / whole, 4) if whole else None


def _sum(found: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(new for new, _ in found), sum(all for _, all in found)
