"""Numbers as people read them."""

from __future__ import annotations

import time
from itertools import pairwise

__all__ = ["filters"]


def n(number: float) -> str:
    """
    >>> n(1234567)
    '1,234,567'
    """
    return f"{number:,.0f}"


def short(number: float) -> str:
    """
    >>> short(950), short(9_500), short(1_234_567), short(2_400_000_000)
    ('950', '9,500', '1.23 M', '2.40 G')
    """
    for size, name in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.2f} {name}"
    return f"{number:,.0f}"


def percent(share: float | None) -> str:
    """
    >>> percent(0.1234), percent(0.0001), percent(1.0), percent(None)
    ('12.3 %', '< 0.1 %', '100 %', '–')
    """
    if share is None:
        return "–"
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def money(dollars: float) -> str:
    """
    >>> money(0.0), money(0.0042), money(761.2)
    ('$0.00', '$0.0042', '$761.20')
    """
    return f"${dollars:,.4f}" if 0 < dollars < 0.01 else f"${dollars:,.2f}"


def seconds(length: float) -> str:
    """
    >>> seconds(0.0002), seconds(0.02), seconds(0.2), seconds(75), seconds(7_300)
    ('< 1 ms', '20 ms', '0.2 s', '1 min 15 s', '2 h 1 min')
    """
    if length < 0.1:
        return f"{1000 * length:.0f} ms" if length >= 0.001 or not length else "< 1 ms"
    if length < 60:
        return f"{length:.1f} s" if length < 10 else f"{length:.0f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    for (name, size), (below, part) in pairwise(units):
        if length >= size:
            rest = int(length % size) // part
            return f"{int(length) // size} {name}" + (f" {rest} {below}" if rest else "")
    raise AssertionError


def when(moment: float) -> str:
    """The day and minute, in UTC.

    >>> when(0)
    '1970-01-01 00:00'
    """
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))


filters = {one.__name__: one for one in (n, short, percent, decimal, money, seconds, when)}
