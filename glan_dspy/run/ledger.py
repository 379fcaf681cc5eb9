"""RUN/reserved.jsonl: what calls in flight may cost, written before they are sent.

A line a reservation, `{"id", "usd"}`, with a `key` where the call may still be answered after its process died:
then the newest line of a key is the one that counts. What is settled needs no line, its call stands in
calls.jsonl. So the file is put together anew when it has grown much longer than what is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from glan_dspy.engines.base import call_key
from glan_dspy.run import lines
from glan_dspy.run.lines import Appender, Line
from glan_dspy.run.store import write_whole

LONGEST = 50_000
"""Settled lines that the file may hold."""


class Ledger:
    """The file's one writer. `open_ids` gives the ids that are reserved now."""

    def __init__(self, path: Path, standing: Iterable[Line], open_ids: Callable[[], Iterable[str]] = tuple) -> None:
        self.path, self.open_ids = path, open_ids
        self._standing = {name(line): line for line in standing}
        self._new: dict[str, Line] = {}
        self._appender = self._anew()

    def write(self, line: Line) -> None:
        """Puts a reservation down, and those of settled calls away when there are many."""
        if self._added >= LONGEST:
            # Whatever was settled has its line in calls.jsonl by now: both are done in one step of the loop.
            self._new = {id: self._new[id] for id in self.open_ids() if id in self._new}
            self._appender.close()
            self._appender = self._anew()
        self._appender.append(line)
        self._added += 1
        self._standing.pop(name(line), None)
        self._new[line["id"]] = line

    def _anew(self) -> Appender:
        kept = (*self._standing.values(), *self._new.values())
        write_whole(self.path, b"".join(lines.dump(line) for line in kept))
        self._added = 0  # lines since the file was last put together
        return Appender(self.path)

    def sync(self) -> None:
        self._appender.sync()

    def close(self) -> None:
        self._appender.close()


def name(line: Line) -> str:
    """What a reservation is for: the question where it lasts, else the one call."""
    return str(line.get("key") or line["id"])


def standing_in(path: Path, calls: Iterable[Line]) -> list[Line]:
    """The reservations of earlier processes whose calls have no end on record; one for each question that lasts.

    Memory holds the reservations of the last process, not the run's calls.
    """
    reserved = {line["id"]: line for line in lines.read(path) if {"id", "usd"} <= line.keys()}
    newest = {name(line): line for line in reserved.values()}
    ended = set[str]()
    for line in calls:
        if line.get("id") in reserved:
            ended.add(line["id"])
        if "reply" in line and (again := newest.get(call_key(*map(line.get, ("stage", "item", "ask"))))):
            ended.add(again["id"])  # reserved to read once more what was paid for then
    return [line for line in newest.values() if line["id"] not in ended]
