"""A server on a thread of its own, which can be gone for a while and come back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from aiohttp import web

from benchmarks.loopback import Serves, serve

T = TypeVar("T")


class Host:
    """Where a server is served: the same address each time."""

    def __init__(self, server: Serves) -> None:
        self.server = server
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self._thread.start()
        self.come()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def come(self) -> None:
        if self._runner is None:
            self._runner, self.port = self._run(serve(self.server, self.port))

    def go(self) -> None:
        """Breaks every connection, and takes no new one."""
        if self._runner is not None:
            self._run(self._runner.cleanup())
            self._runner = None

    def close(self) -> None:
        self.go()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def hosted(server: Serves) -> Iterator[Host]:
    host = Host(server)
    try:
        yield host
    finally:
        host.close()
