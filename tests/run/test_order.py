"""What a command on a large run takes up first."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.records import Discipline
from glan_dspy.run.order import LATELY, soonest_first
from glan_dspy.run.store import Run

NOW = 1_700_000_000.0


def written(run: Run, discipline: Discipline, at: float) -> None:
    folder = run.shelf(discipline).path
    folder.mkdir(parents=True)
    (folder / "calls.jsonl").touch()
    os.utime(folder / "calls.jsonl", (at, at))


def test_what_was_in_work_comes_first_then_what_was_not_begun_then_what_is_done(tmp_path: Path) -> None:
    run, names = Run(tmp_path), ["done long ago", "in work", "new", "also done", "in work too", "also new"]
    disciplines = [Discipline(name=name) for name in names]
    for number, at in ((0, NOW - 5 * LATELY), (1, NOW), (3, NOW - 2 * LATELY), (4, NOW - LATELY / 2)):
        written(run, disciplines[number], at)
    assert [d.name for d in soonest_first(run, disciplines)] == [
        "in work", "in work too", "new", "also new", "done long ago", "also done"]  # fmt: skip


def test_a_new_run_keeps_the_order_of_its_file(tmp_path: Path) -> None:
    disciplines = [Discipline(name=f"Discipline {n}") for n in range(9)]
    assert soonest_first(Run(tmp_path), disciplines) == disciplines


@given(st.lists(st.text(min_size=1), unique=True))
def test_none_is_lost_and_none_comes_twice(names: list[str]) -> None:
    disciplines = [Discipline(name=name) for name in names]
    assert sorted(d.name for d in soonest_first(Run(Path("nowhere")), disciplines)) == sorted(names)
