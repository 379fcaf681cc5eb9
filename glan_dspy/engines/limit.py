"""Sends a request when its endpoint's pace allows it, and tells the pace how it went."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.engines.base import CALL, AsyncEngine
from glan_dspy.engines.pace import Hard, Pace, Pacer

OnStop = Callable[[Callable[[], None]], None]
"""Takes what is to be called as soon as no more calls shall be sent; calls it at once where that is so already."""


def never(_: Callable[[], None]) -> None:
    """For calls that nobody stops."""


class Limit:
    """Around the Meter, inside the Retry: every attempt asks for leave, a waiting retry holds no place.

    Where the run stops, those that wait for leave are not sent: they raise Stopped, which DSPy wraps.
    """

    def __init__(
        self, engine: AsyncEngine, hard: Hard, on_stop: OnStop = never, pacer: Callable[[Hard], Pacer] = Pace
    ) -> None:
        self.engine, self.hard, self.on_stop, self.pacer = engine, hard, on_stop, pacer
        self._paces: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Pacer] = weakref.WeakKeyDictionary()

    @property
    def pace(self) -> Pacer:
        """Of the running loop; what was learned is the loop's as well."""
        loop = asyncio.get_running_loop()
        pace = self._paces.get(loop)
        if pace is None:
            pace = self._paces[loop] = self.pacer(self.hard)
            self.on_stop(pace.stop)
        return pace

    async def complete(self, request: Request) -> Response:
        pace = self.pace
        sent_at = await pace.enter(prompt_tokens(request) if self.hard.tpm else 0.0)
        try:
            response = await self.engine.complete(request)
        except lm15.RateLimitError as error:
            pace.refused(sent_at, error.retry_after)
            raise
        finally:
            pace.leave()
        call, usage = CALL.get(), response.usage
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        pace.served(tokens, call.headers if call else None)
        return response

    def __deepcopy__(self, memo: dict[int, Any]) -> Limit:
        return self


def prompt_tokens(request: Request) -> float:
    """About how many tokens the prompt has: four characters each."""
    length = len(request.system) if isinstance(request.system, str) else 0
    return (length + sum(len(message.text or "") for message in request.messages)) / 4
