"""A run's journal of batches: RUN/batch.jsonl, and RUN/batch/ for replies that nobody has used yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from glan_dspy.engines.base import call_key
from glan_dspy.run import lines
from glan_dspy.run.lines import Appender, Line
from glan_dspy.run.store import FILES, Run, Shelf
from glan_dspy.settings import Settings

if TYPE_CHECKING:
    from glan_dspy.engines.batch_journal import BatchJournal

WIDE = 50_000
"""Calls of one stage that wait together with --batch: as many as one batch holds."""


def disciplines_at_once() -> int:
    """How many may be open: breadth first it would be all of them, and each keeps its files open."""
    try:
        import resource
    except ImportError:  # Windows
        return 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass  # what the system allows is less than it says (macOS)
    return max(8, (soft - 128) // len(FILES))


def noted_replies(shelf: Shelf) -> dict[str, Line]:
    """The line about each reply that came out of a batch, by its call's key (`engines.base.Call`)."""
    noted = (line for line in shelf.calls() if "reply" in line)
    return {call_key(line["stage"], line.get("item"), line.get("ask")): line for line in noted}


@contextmanager
def batch_journal(
    run: Run, settings: Settings, sound: Callable[[], bool] = lambda: True
) -> Iterator[BatchJournal | None]:
    """The journal while the context lasts; None without --batch."""
    if not settings.batch:
        yield None
        return
    from glan_dspy.engines.batch_journal import BatchJournal

    appender = Appender(run.path / "batch.jsonl")

    def append(line: Line) -> None:
        appender.append(line)
        appender.sync()  # a power cut must not lose what was ordered

    try:
        yield BatchJournal(append, lines.read(appender.path), run.path / "batch", sound)
    finally:
        appender.close()
