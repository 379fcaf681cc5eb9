"""One event loop in a thread, so that the async code serves callers who have none.

The project is async inside. A synchronous caller (an optimizer's threads, a notebook cell, a script)
runs the same coroutines here; there is no second implementation.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from dspy.lm15 import Request, Response

from glan_dspy.engines.base import AsyncEngine

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def background_loop() -> asyncio.AbstractEventLoop:
    """The loop, started at first use; its thread is a daemon and ends with the process."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="glan-background", daemon=True).start()
        return _loop


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, computed on the background loop in the caller's context variables.

    The context matters: DSPy keeps its settings and traces there, and we the identity of a call.
    """
    done: Future[T] = Future()
    context = contextvars.copy_context()
    loop = background_loop()

    def start() -> None:
        task = loop.create_task(coroutine, context=context)
        task.add_done_callback(finish)

    def finish(task: asyncio.Task[T]) -> None:
        if task.cancelled():
            done.cancel()
        elif error := task.exception():
            done.set_exception(error)
        else:
            done.set_result(task.result())

    loop.call_soon_threadsafe(start)
    return done.result()


class SyncFace:
    """The synchronous twin that `dspy.LM` wants beside an async engine."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "top_p", "max_tokens", "seed"})

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    def complete(self, request: Request) -> Response:
        return run_sync(self.engine.complete(request))

    def __deepcopy__(self, memo: dict[int, Any]) -> SyncFace:
        return self  # optimizers copy programs; the connection stays one
