"""Which of the replies that were given out are used: kept by whoever asked, so that they may be forgotten here.

An engine is awaited in the task that goes on to write the reply down. So a reply is used when that task has
ended well, or when it asks the next thing: what it was given before it has then kept or dropped. A task that
was cancelled, or broke, has used nothing: the next process gives the reply out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from glan_dspy.engines.batch_journal import Intent


class Receipts:
    def __init__(self, used: Callable[[Intent, str], None]) -> None:
        self.used = used
        self._given: dict[asyncio.Task[Any], tuple[Intent, str]] = {}
        self._fewer = asyncio.Event()

    def give(self, task: asyncio.Task[Any] | None, intent: Intent, id: str) -> None:
        """Notes that the task is given the reply to `id`. Without a task (no caller to watch) it counts as used."""
        if task is None:
            self.used(intent, id)
            return
        self._given[task] = (intent, id)
        task.add_done_callback(self._ended)

    def asks_again(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None and task in self._given:
            task.remove_done_callback(self._ended)
            self._sign(task)

    async def below(self, most: int, patience: float = 1.0) -> None:
        """Waits until fewer than `most` replies are in use, so that they are not all in memory at once.

        Not for ever: a task may hold its reply while it waits for something else.
        """
        deadline = asyncio.get_running_loop().time() + patience
        while len(self._given) >= most and (rest := deadline - asyncio.get_running_loop().time()) > 0:
            self._fewer.clear()
            try:
                await asyncio.wait_for(self._fewer.wait(), rest)
            except TimeoutError:
                return

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._given.pop(task, None)
            self._fewer.set()
        else:
            self._sign(task)

    def _sign(self, task: asyncio.Task[Any]) -> None:
        if given := self._given.pop(task, None):
            self.used(*given)
        self._fewer.set()
