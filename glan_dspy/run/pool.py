"""Runs jobs depth first and bounded: late stages before early ones, and nothing made faster than it is used up."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

Job = Callable[[], Coroutine[Any, Any, None]]
Key = tuple[int, ...]


@dataclass
class Lane:
    """One stage: its jobs that wait, how many of them run, and how far ahead of the next stage it may get."""

    name: str
    limit: int
    """Jobs of this stage that run at once."""
    window: int
    """Waiting jobs of this stage (those about to come counted in) at which the stage before it pauses."""
    gain: int = 1
    """Jobs of the next stage that one of this one brings, about."""
    waiting: list[tuple[Key, int, Job]] = field(default_factory=list)
    """A heap: the lowest key first, of equal ones the first come."""
    running: int = 0


class Pool:
    """Lanes in the order of the method. A job adds the jobs that follow from it; the pool ends when none is left.

    Memory stays flat: at most `limit` jobs run and about `window` wait in each lane, however large the run.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = list(lanes)
        self._by_name = {lane.name: lane for lane in lanes}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._error: BaseException | None = None
        self.stopping = False

    def add(self, lane: str, *jobs: Job, key: Key = ()) -> None:
        """Puts the jobs into their lane, behind those of a lower or the same key."""
        waiting = self._by_name[lane].waiting
        for job in jobs:
            self._count += 1
            heapq.heappush(waiting, (key, self._count, job))

    def running(self) -> dict[str, int]:
        return {lane.name: lane.running for lane in self.lanes}

    async def run(self) -> None:
        """Until nothing runs and nothing may start. Raises the first error that a job let through.

        It may run again, for jobs that were added meanwhile.
        """
        self._idle.clear()
        self._start()
        if self._tasks:
            await self._idle.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Starts nothing more; what runs goes on to its end."""
        self.stopping = True

    def cancel(self) -> None:
        """Ends at once."""
        self.stop()
        for task in self._tasks:
            task.cancel()

    def _start(self) -> None:
        while not self.stopping:
            lane = next((lane for lane in self._latest_first() if self._may_start(lane)), None)
            if lane is None:
                break
            lane.running += 1
            task = asyncio.get_running_loop().create_task(heapq.heappop(lane.waiting)[2]())
            self._tasks.add(task)
            task.add_done_callback(lambda done, lane=lane: self._finished(done, lane))  # type: ignore[misc]

    def _latest_first(self) -> Sequence[Lane]:
        return self.lanes[::-1]

    def _may_start(self, lane: Lane) -> bool:
        if not lane.waiting or lane.running >= lane.limit:
            return False
        place = self.lanes.index(lane)
        if place + 1 == len(self.lanes):
            return True
        after = self.lanes[place + 1]
        return len(after.waiting) + lane.running * lane.gain < after.window

    def _finished(self, task: asyncio.Task[None], lane: Lane) -> None:
        self._tasks.discard(task)
        lane.running -= 1
        if not task.cancelled() and (error := task.exception()) and self._error is None:
            self._error = error
            self.cancel()
        self._start()
        if not self._tasks:
            self._idle.set()
