"""The disciplines of a run in portions, each of them worked through by one of several processes.

A process takes half a second to begin, so a small run is worked through in this one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from glan_dspy.records import Discipline
from glan_dspy.run.store import Run

__all__ = ["Portion", "at_work", "portions"]

SMALL = 100 << 20
"""Bytes of a run up to which one process does everything."""
_A_PORTION = 32 << 20

Portion = tuple[Discipline, ...]
R = TypeVar("R")


def portions(run: Run, disciplines: Sequence[Discipline]) -> list[Portion]:
    """The disciplines in their order, so many together as have some 32 MB; all in one where the run is small."""
    sizes = [_size(run.shelf(discipline).path) for discipline in disciplines]
    limit = _A_PORTION if sum(sizes) > SMALL else SMALL
    found: list[Portion] = []
    filled = limit
    for discipline, size in zip(disciplines, sizes, strict=True):
        if filled >= limit:
            found.append(())
            filled = 0
        found[-1] += (discipline,)
        filled += size
    return found


@contextmanager
def at_work(task: Callable[[Portion], R], some: Sequence[Portion]) -> Iterator[Iterator[R]]:
    """What the task makes of each portion, in their order, while the caller has other things to do.

    The task is pickled, and what it makes too.
    """
    workers = min(len(some), os.cpu_count() or 1)
    if workers < 2:
        yield map(task, some)
        return
    # Started anew and not forked: a fork would take over the threads of whoever calls this.
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        with _deaf_to_ctrl_c():  # and so is who is begun here: the first process ends the others
            results = pool.map(task, some)
        yield results
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A Ctrl-C that comes meanwhile is heard afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.jsonl"))
