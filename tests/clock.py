"""An event loop whose time jumps to the next timer: minutes of waiting in milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Impatient(selectors.SelectSelector):
    """Where the loop would wait, its time goes on by as much."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.clock.now += timeout
        return super().select(timeout and 0)


class Clock(asyncio.SelectorEventLoop):
    """Begins at 0. What would run in a thread runs at once, so that no time passes meanwhile."""

    def __init__(self) -> None:
        super().__init__(Impatient(self))
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = self.create_future()
        done.set_result(func(*args))
        return done


def simulate(main: Callable[[], Awaitable[T]]) -> T:
    """What `main` gives back, on a loop of its own with a clock of its own."""
    loop = Clock()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()
