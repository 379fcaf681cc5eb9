"""In which order a command on a run takes up its disciplines: first those that have something to ask.

    1. being made when the last command ended: written to within LATELY of the run's last write
    2. not begun
    3. the others, most of them finished: reading a million pairs to see that takes half a minute

Within each of these in the order of the file. Which samples a discipline gets does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glan_dspy.records import Discipline
from glan_dspy.run.store import Run

LATELY = 60.0
"""Seconds. A reply takes less as a rule; a discipline that waits for one longer is taken up a little later."""


def soonest_first(run: Run, disciplines: Iterable[Discipline]) -> list[Discipline]:
    written = {discipline: _written(run.shelf(discipline).path) for discipline in disciplines}
    last = max(written.values(), default=0.0)

    def turn(discipline: Discipline) -> int:
        at = written[discipline]
        return 1 if not at else 0 if at >= last - LATELY else 2

    return sorted(written, key=turn)


def _written(folder: Path) -> float:
    """When something was last written for a discipline; 0 where nothing was."""
    try:
        return max((path.stat().st_mtime for path in folder.glob("*.jsonl")), default=0.0)
    except OSError:
        return 0.0
