"""Whether a question has been asked before, in the same words or in nearly the same.

`duplicate` is equal after NFKC, case and white space; `near_duplicate` is a similarity (gates/sketch.py) at or
above the threshold. The default of 0.7 lies between the two clouds of the corpus in tests/gates: rewordings that
ask the same thing lie above it, other questions in the same mould below.

Numbers count apart from words. Two questions with at most half of their numbers in common are two exercises with
two answers, so both stay, however alike their words: the area of a circle of radius 5, and that of one of
radius 7. One number of four that differs is another matter: that is the same exercise told twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from itertools import compress, count

from glan_dspy.gates.sketch import SIZE, alike, bands, sketch
from glan_dspy.gates.verdict import Verdict
from glan_dspy.records import normalise

NEAR = 0.7
"""The similarity from which a question falls, unless told otherwise."""

_LONGEST = 16
"""Steps along the table for one band. A mould that thousands of questions share fills no more of it than this."""


class Seen:
    """The questions of one discipline, about 1.2 KB each; the first of a kind stays.

    >>> seen = Seen()
    >>> seen.judge("a", "What is the boiling point of water at sea level?")
    >>> seen.judge("b", "What is the  boiling point of water at sea level?").reason
    'duplicate'

    The same questions in the same order give the same verdicts in every process.
    """

    def __init__(self, threshold: float = NEAR) -> None:
        self.threshold = threshold
        parts = tuple(bands(threshold))
        self._bands = len(parts)
        self._width = parts[0].stop if parts else 1
        self._ids: list[str] = []
        self._exact: dict[bytes, int] = {}
        self._sketches = bytearray()
        self._table = array("I", bytes(64 << 10))
        """Numbers of questions, counted from 1, at the hash of each of their bands; open addressing."""

    def __len__(self) -> int:
        return len(self._ids)

    def judge(self, id: str, question: str) -> Verdict | None:
        """Why the question falls, or None, and then it is remembered. It is no duplicate of its own id."""
        text = normalise(question)
        key = _key(text)
        if (twin := self._exact.get(key)) is not None:
            return None if self._ids[twin] == id else _verdict("duplicate", self._ids[twin], 1.0)
        mine = self._sketch(text)
        places = self._places(mine)
        nearest = self._nearest(mine, places)
        if nearest is not None and self._ids[nearest[0]] != id:
            return _verdict("near_duplicate", self._ids[nearest[0]], nearest[1])
        self._put(id, key, mine, places)
        return None

    def add(self, id: str, question: str) -> None:
        """Remembers a question that was accepted before."""
        text = normalise(question)
        key = _key(text)
        if key not in self._exact:
            mine = self._sketch(text)
            self._put(id, key, mine, self._places(mine))

    def _sketch(self, text: str) -> bytes:
        return sketch(text) if self._bands else b""

    def _places(self, mine: bytes) -> list[int]:
        """Where the table has a question's bands, one after the other."""
        mask, values = len(self._table) - 1, iter(mine[: self._bands * self._width])
        # Hashes of small numbers, unlike those of text, are the same in every process.
        return [hash(part) & mask for part in zip(*[values] * self._width, strict=True)]

    def _nearest(self, mine: bytes, places: list[int]) -> tuple[int, float] | None:
        """The number and the similarity of the question most like it, the first of several."""
        found: set[int] = set()
        for band in compress(count(), map(self._table.__getitem__, places)):
            start = band * self._width
            found.update(self._with(mine[start : start + self._width], start, places[band]))
        best = None
        for number in sorted(found):
            score = alike(mine, self._sketch_of(number), self.threshold)
            if score is not None and (best is None or score > best[1]):
                best = number, score
        return best

    def _with(self, part: bytes, start: int, place: int) -> Iterator[int]:
        """The questions that have this band, from its place in the table on."""
        table, mask, sketches = self._table, len(self._table) - 1, self._sketches
        for _ in range(_LONGEST):
            if not (number := table[place]):
                return
            at = (number - 1) * SIZE + start
            if sketches[at : at + len(part)] == part:
                yield number - 1
            place = place + 1 & mask

    def _sketch_of(self, number: int) -> bytes:
        return bytes(self._sketches[number * SIZE : (number + 1) * SIZE])

    def _put(self, id: str, key: bytes, mine: bytes, places: list[int]) -> None:
        self._exact[key] = len(self._ids)
        self._ids.append(id)
        self._sketches += mine
        # Mostly empty: then one look at a band's place is nearly always enough.
        if len(self._ids) * self._bands * 6 > len(self._table):
            self._table = array("I", bytes(8 * len(self._table)))
            for number in range(len(self._ids)):
                self._enter(number, self._places(self._sketch_of(number)))
        else:
            self._enter(len(self._ids) - 1, places)

    def _enter(self, number: int, places: list[int]) -> None:
        table, mask = self._table, len(self._table) - 1
        if not any(map(table.__getitem__, places)):  # as nearly always
            for place in places:
                table[place] = number + 1
            return
        for place in places:
            for _ in range(_LONGEST):
                if not table[place]:
                    table[place] = number + 1
                    break
                place = place + 1 & mask


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).digest()


def _verdict(reason: str, id: str, score: float) -> Verdict:
    same = "the same question as" if reason == "duplicate" else f"{score:.0%} of its phrases are those of"
    return Verdict(reason, f"{same} {id}", {"id": id, "similarity": score})
