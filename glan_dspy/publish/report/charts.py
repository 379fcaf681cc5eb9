"""From counts to what is drawn: places and sizes in percent of the picture, and what they stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import NamedTuple

from glan_dspy.publish.report.lengths import Lengths
from glan_dspy.publish.report.numbers import n, short, when
from glan_dspy.publish.report.timeline import WIDTHS, Bar
from glan_dspy.publish.report.tree import brief

BINS = 24
"""Columns of a histogram, at most; the last one has all that is longer than nearly every text."""


class Part(NamedTuple):
    """A bar of a list: how many, of all."""

    label: str
    number: int
    share: float
    """Of all counted."""
    width: float
    """In percent of the longest bar."""


def parts(counts: Iterable[tuple[str, int]], most: int = 12, whole: int | None = None) -> list[Part]:
    """In the order given; what is beyond `most` is one part together, as long as it is."""
    listed = [(label, count) for label, count in counts if count]
    if len(listed) > most:
        rest = listed[most - 1 :]
        listed = [*listed[: most - 1], (f"{len(rest):,} others", sum(count for _, count in rest))]
    longest = max((count for _, count in listed), default=0)
    total = whole if whole is not None else sum(count for _, count in listed)
    return [Part(brief(label), count, count / total, round(100 * count / longest, 2)) for label, count in listed]


def in_level_order(levels: Counter[str]) -> list[tuple[str, int]]:
    """By number; then those that are none, as a questions file may have them."""

    def place(item: tuple[str, int]) -> tuple[bool, int]:
        is_number = item[0].isdecimal()  # ① is a digit, and no number to int()
        return not is_number, int(item[0]) if is_number else 0

    return sorted(levels.items(), key=place)


class Column(NamedTuple):
    x: float
    width: float
    height: float
    """All in percent."""
    title: str


class Histogram(NamedTuple):
    columns: list[Column]
    ticks: list[str]
    """Evenly spread below it."""
    most: int
    """Texts in the highest column."""


def histogram(lengths: Lengths) -> Histogram:
    """Texts by their tokens, in columns of a round width."""
    if not lengths.texts:
        return Histogram([], [], 0)
    shortest, end = min(lengths.tokens), lengths.below(0.99)
    width = _round((end - shortest) / BINS)
    start = shortest // width * width
    bins = Counter[int]()
    last = (end - start) // width
    for length, texts in lengths.tokens.items():
        bins[min((length - start) // width, last)] += texts
    spans = [(start + at * width, start + (at + 1) * width - 1) for at in range(last + 1)]
    more = max(lengths.tokens) > spans[-1][1]
    names = [f"{low:,} to {high:,}" if high > low else f"{low:,}" for low, high in spans]
    names[-1] = f"{spans[-1][0]:,} and more" if more else names[-1]
    titles = [f"{name} tokens: {n(bins[at])} texts" for at, name in enumerate(names)]
    ends = [start, start + (last + 1) * width // 2, start + (last + 1) * width]
    ticks = [*map(n, ends[:2]), n(ends[2]) + "+" * more]
    return Histogram(columns([bins[at] for at in range(last + 1)], titles), ticks, max(bins.values()))


def columns(values: Sequence[float], titles: Sequence[str], gap: float = 0.12) -> list[Column]:
    """Side by side over the whole width; the highest has the whole height."""
    step, highest = 100 / max(1, len(values)), max(values, default=0) or 1
    return [
        Column(round((at + gap / 2) * step, 3), round((1 - gap) * step, 3), round(100 * value / highest, 2), title)
        for at, (value, title) in enumerate(zip(values, titles, strict=True))
    ]


class Piece(NamedTuple):
    """Of one column of a stack."""

    stage: str
    x: float
    width: float
    y: float
    height: float
    """All in percent, `y` from the top."""


class Stack(NamedTuple):
    """One measure over time, each column's stages on top of one another."""

    name: str
    most: str
    """What the highest column stands for."""
    pieces: list[Piece]
    titles: list[Column]
    """Of whole columns, as high as the picture."""


class Times(NamedTuple):
    every: str
    """What a column is: hour, minute, …"""
    stacks: list[Stack]
    ticks: list[str]
    rows: list[tuple[str, float, float, float]]
    """The same in numbers: when, calls, tokens, dollars."""
    stages: list[str]


_NAMES = dict(zip(WIDTHS, ("second", "10 seconds", "minute", "10 minutes", "hour", "day", "week", "year"), strict=True))


def times(width: int, bars: Sequence[Bar], order: Sequence[str], dollars: Callable[[float], str]) -> Times:
    """Calls, tokens and dollars over time; without dollars where nothing cost any."""
    stages = [stage for stage in order if any(stage in bar.stages for bar in bars)]
    rows = [(_moment(bar.start, width), _sum(bar, 0), _sum(bar, 1), _sum(bar, 2)) for bar in bars]
    measures = [("Calls", 0, short), ("Tokens", 1, short), ("Dollars", 2, dollars)]
    stacks = [
        _stack(name, at, bars, stages, told, [row[0] for row in rows])
        for name, at, told in measures
        if any(_sum(bar, at) for bar in bars)
    ]
    middle = rows[len(rows) // 2][0] if len(rows) > 4 else ""
    ticks = [rows[0][0], middle, rows[-1][0]] if len(rows) > 1 else [row[0] for row in rows]
    return Times(_NAMES[width], stacks, ticks, rows, stages)


def _stack(
    name: str, at: int, bars: Sequence[Bar], stages: Sequence[str], told: Callable[[float], str], moments: Sequence[str]
) -> Stack:
    sums = [_sum(bar, at) for bar in bars]
    highest, pieces = max(sums) or 1, list[Piece]()
    wholes = columns(
        [1] * len(bars), [f"{moment}: {told(value)}" for moment, value in zip(moments, sums, strict=True)], 0.14
    )
    for bar, whole in zip(bars, wholes, strict=True):
        top = 100.0
        for stage in stages:
            if value := bar.stages.get(stage, (0, 0, 0))[at]:
                height = 100 * value / highest
                top -= height
                pieces.append(Piece(stage, whole.x, whole.width, round(max(0, top), 2), round(height, 2)))
    return Stack(name, told(max(sums)), pieces, wholes)


def _sum(bar: Bar, at: int) -> float:
    return sum(sums[at] for sums in bar.stages.values())


def _moment(start: float, width: int) -> str:
    import time

    if width >= 86_400:
        return when(start)[:10]
    return time.strftime("%H:%M:%S", time.gmtime(start)) if width < 60 else when(start)


def _round(width: float) -> int:
    """The next number of the row 1, 2, 5, 10, 20, …

    >>> _round(0.3), _round(3), _round(12), _round(51)
    (1, 5, 20, 100)
    """
    size = 1
    while True:
        for step in (1, 2, 5):
            if step * size >= ceil(width):
                return step * size
        size *= 10
