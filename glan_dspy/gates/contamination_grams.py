"""Which items may be in a text: an index of short runs of words (grams) that leads from the one to the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress, count
from typing import NamedTuple

CROWD = 16
"""So many items stand under one gram at most; what more of them share says little."""

STEP = 3
"""A text is looked up at every third word: hashing is most of what a look-up costs."""


class Hit(NamedTuple):
    """An item that has a gram of the text, to be looked at more closely."""

    item: int
    at: int
    """The gram's first word in the text."""
    whole_only: bool
    """Nothing of this item is rare enough to find it by: it counts only if all of it is in the text."""


class Index:
    """Items by their grams of `size` words, so chosen that looking up every third gram of a text is enough.

    Wherever an item and a text share `seen` words in a row, one of the grams in them leads from the text to the item.
    A gram under which CROWD items stand already gives way to a neighbour, so that stock phrases lead to few items.
    An entry takes 90 bytes; tables of 25 bytes, made of arrays, took half as long again to look up.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        # By hash, which is of this process only. Most grams have one item: an int is smaller than a list of one.
        self._items = dict[int, int | list[int]]()
        self._crowded = dict[int, list[int]]()

    def add(self, item: int, words: Sequence[str], seen: int) -> None:
        """The item under some of its grams; it must have STEP of them at least."""
        grams = list(_grams(words, self.size, 1))
        gap = max(1, (seen - self.size + 1) // STEP)
        for first in range(STEP):
            chain = grams[first::STEP]
            places = self._places(chain, gap)
            for place in places:
                self._put(chain[place], item)
            if not places:
                self._crowded.setdefault(chain[0], []).append(item)

    def look_up(self, words: list[str]) -> list[Hit]:
        """The items that the text may hold, in the order of the text."""
        # First without the places: most texts have no gram in common with any item, and this is the quickest to see.
        if not self._items or self._items.keys().isdisjoint(_grams(words, self.size, STEP)):
            return []
        known = map(self._items.__contains__, _grams(words, self.size, STEP))
        hits = list[Hit]()
        for at in compress(count(0, STEP), known):
            gram = hash(tuple(words[at : at + self.size]))
            hits += (Hit(item, at, False) for item in self._under(gram))
            hits += (Hit(item, at, True) for item in self._crowded.get(gram, ()))
        return hits

    def _places(self, chain: list[int], gap: int) -> list[int]:
        """Every `gap`-th of these grams, or one a little before it that is less crowded."""
        places = list[int]()
        last = -1
        while last < 0 or last < len(chain) - gap:
            ahead = range(min(last + gap, len(chain) - 1), last, -1)
            free = next((place for place in ahead if len(self._under(chain[place])) < CROWD), None)
            if free is not None:
                places.append(free)
            last = ahead[0] if free is None else free
        return places

    def _under(self, gram: int) -> Sequence[int]:
        found = self._items.get(gram, ())
        return (found,) if isinstance(found, int) else found

    def _put(self, gram: int, item: int) -> None:
        before = self._items.setdefault(gram, item)
        if isinstance(before, list):
            if before[-1] != item:
                before.append(item)
        elif before != item:
            self._items[gram] = [before, item]


def _grams(words: Sequence[str], size: int, step: int) -> Iterator[int]:
    """The hashes of the grams at every `step`-th word."""
    return map(hash, zip(*(words[first::step] for first in range(size)), strict=False))
