"""What was tried and what was lost, as a table at the end of the tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

PROPERTY = "fault"


@dataclass
class Row:
    """One case: what was done to a run, and what came of it."""

    what: str
    mode: str
    times: int = 0
    """How often it was done."""
    ends: dict[str, int] = field(default_factory=dict)
    """How often the commands ended in which way."""
    pairs: int = 0
    lost: int = 0
    """Pairs that should be there, once and with their own answer, and are not; records that should not be there."""
    again: int = 0
    """Calls that were paid for once more."""
    in_flight: int = 0
    """Of how many calls in flight at that moment: as many may be paid for again."""


def merged(rows: Iterable[Row]) -> list[Row]:
    """One row for each thing done in each mode."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        sum = found.setdefault((row.what, row.mode), Row(row.what, row.mode))
        for name in ("times", "pairs", "lost", "again", "in_flight"):
            setattr(sum, name, getattr(sum, name) + getattr(row, name))
        for end, count in row.ends.items():
            sum.ends[end] = sum.ends.get(end, 0) + count
    return list(found.values())


def lines(rows: Iterable[Row]) -> list[str]:
    texts = [
        "| what was done | mode | times | the commands ended | pairs | lost | paid again | of in flight |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        ends = ", ".join(f"{end}: {count}" for end, count in sorted(row.ends.items()))
        texts.append(
            f"| {row.what} | {row.mode} | {row.times:,} | {ends} | {row.pairs:,} | {row.lost:,} | {row.again:,} "
            f"| {row.in_flight:,} |"
        )
    return texts


def plain(row: Row) -> dict[str, Any]:
    return asdict(row)


def summary(terminalreporter: Any) -> None:
    reports = [report for some in ("passed", "failed") for report in terminalreporter.stats.get(some, [])]
    rows = [Row(**value) for report in reports for name, value in report.user_properties if name == PROPERTY]
    if rows:
        terminalreporter.section("what was tried, and what was lost")
        for line in lines(merged(rows)):
            terminalreporter.write_line(line)
