"""How many tokens texts have: as the endpoint counted them when they were written, else estimated from their bytes."""

from __future__ import annotations

from collections import Counter
from math import ceil

BYTES_A_TOKEN = 4.0
"""Of UTF-8, where no text of the run was counted: English has about four; other scripts have more bytes a letter."""


class Lengths:
    """Of one kind of text. `expect` each text of a discipline, `came` for its call, `close` the discipline.

    Memory holds the calls of one discipline and the different lengths.
    """

    def __init__(self) -> None:
        self.tokens: Counter[int] = Counter()
        """Texts by their length."""
        self.estimated = 0
        """How many of them no call tells about."""
        self._expected: dict[str, int] = {}
        self._unknown: Counter[int] = Counter()
        """Texts by their bytes."""
        self._bytes_known = self._tokens_known = 0

    def expect(self, call: object, text: str) -> None:
        """A text, and the id of the call that brought it, if there is one."""
        size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if isinstance(call, str) and call:
            self._expected[call] = size
        else:
            self._unknown[size] += 1

    def came(self, call: str, tokens: int) -> bool:
        """Takes what calls.jsonl says of a call; false for one that brought none of the expected texts."""
        size = self._expected.pop(call, None)
        if size is None:
            return False
        self.tokens[tokens] += 1
        self._bytes_known += size
        self._tokens_known += tokens
        return True

    def close(self) -> None:
        """No more calls of this discipline will come."""
        self._unknown.update(self._expected.values())
        self._expected = {}

    def merge(self, other: Lengths) -> None:
        """Counts in what another has counted of other disciplines."""
        self.tokens.update(other.tokens)
        self._unknown.update(other._unknown)
        self._bytes_known += other._bytes_known
        self._tokens_known += other._tokens_known

    def end(self) -> None:
        """No more texts will come: those that no call tells about get as many tokens as their bytes are worth."""
        known = self._bytes_known / self._tokens_known if self._tokens_known else BYTES_A_TOKEN
        for size, texts in self._unknown.items():
            self.tokens[ceil(size / known)] += texts
        self.estimated, self._unknown = self._unknown.total(), Counter()

    @property
    def texts(self) -> int:
        return self.tokens.total()

    @property
    def total(self) -> int:
        return sum(length * texts for length, texts in self.tokens.items())

    def below(self, share: float) -> int:
        """The length that this share of the texts does not exceed; 0 without texts.

        >>> lengths = Lengths()
        >>> lengths.tokens.update([10, 20, 30, 40])
        >>> lengths.below(0.5), lengths.below(0.95)
        (20, 40)
        """
        wanted, passed = share * self.texts, 0
        for length, texts in sorted(self.tokens.items()):
            passed += texts
            if passed >= wanted:
                return length
        return 0
