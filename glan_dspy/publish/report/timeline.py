"""What was called when, in bars of a width that fits how long the run took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

WIDTHS = (1, 10, 60, 600, 3_600, 86_400, 604_800, 31_536_000)
"""Seconds of a bar: from a second to a year."""
BARS = 96
"""At most so many are drawn; a run over the width of one more gets the next width."""
_HELD = 2_000

Sums = list[float]
"""Calls, tokens, dollars."""


_Bars = dict[int, dict[str, Sums]]
"""By place and stage."""


class Bar(NamedTuple):
    start: float
    """Seconds since the epoch."""
    stages: dict[str, Sums]


class Timeline:
    """Memory holds 2,000 bars: when there would be more, they become wider."""

    def __init__(self) -> None:
        self.first, self.last = float("inf"), 0.0
        self._rung = 0
        self._bars: _Bars = {}

    def add(self, at: float, stage: str, tokens: int, dollars: float) -> None:
        if at < self.first:
            self.first = at
        if at > self.last:
            self.last = at
        bar = self._bars.get(place := int(at) // WIDTHS[self._rung])
        if bar is None:
            bar = self._bars[place] = {}
            if len(self._bars) > _HELD and self._rung < len(WIDTHS) - 1:
                self._widen()
                bar = self._bars[int(at) // WIDTHS[self._rung]]
        sums = bar.get(stage)
        if sums is None:
            sums = bar[stage] = [0, 0, 0.0]
        sums[0] += 1
        sums[1] += tokens
        sums[2] += dollars

    def merge(self, other: Timeline) -> None:
        """Counts in what another has counted."""
        while self._rung < other._rung:
            self._widen()
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        _pour(other._bars, WIDTHS[other._rung], self._bars, WIDTHS[self._rung])
        while len(self._bars) > _HELD and self._rung < len(WIDTHS) - 1:
            self._widen()

    def _widen(self) -> None:
        before, self._rung = self._bars, self._rung + 1
        self._bars = {}
        _pour(before, WIDTHS[self._rung - 1], self._bars, WIDTHS[self._rung])

    def drawn(self) -> tuple[int, list[Bar]]:
        """The width in seconds, and the bars from the first call to the last, empty ones too; no bars without calls."""
        if not self._bars:
            return WIDTHS[0], []
        while self._rung < len(WIDTHS) - 1 and len(range(*self._ends())) > BARS:
            self._widen()
        width = WIDTHS[self._rung]
        return width, list(self._from_first_to_last(width))

    def _ends(self) -> tuple[int, int]:
        width = WIDTHS[self._rung]
        return int(self.first) // width, int(self.last) // width + 1

    def _from_first_to_last(self, width: int) -> Iterator[Bar]:
        for place in range(*self._ends()):
            yield Bar(place * width, self._bars.get(place, {}))


def _pour(bars: _Bars, width: int, into: _Bars, wider: int) -> None:
    for place, bar in bars.items():
        stages = into.setdefault(place * width // wider, {})
        for stage, sums in bar.items():
            stages[stage] = [a + b for a, b in zip(sums, stages.get(stage, [0, 0, 0.0]), strict=True)]
