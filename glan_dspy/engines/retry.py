"""Sends a request again when the endpoint failed in a way that heals. The only layer that retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.engines.base import CALL, AsyncEngine
from glan_dspy.errors import Stopped

HEALS = (lm15.RateLimitError, lm15.ServerError, lm15.TimeoutError, lm15.TransportError)
"""What passes by itself: 429, 5xx, time-outs, broken connections. A wrong key or a refused request does not."""

FIRST_PAUSE, LONGEST_PAUSE, LONGEST_WISH = 0.5, 60.0, 900.0
"""Seconds. A server's own Retry-After is obeyed up to the last of them."""

Pause = Callable[[float], Awaitable[None]]
"""Waits that many seconds, or raises Stopped when there is nothing to wait for any more."""


class Retry:
    def __init__(self, engine: AsyncEngine, max_attempts: int, pause: Pause = asyncio.sleep) -> None:
        self.engine, self.max_attempts, self.pause = engine, max_attempts, pause

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        attempt = 0
        while True:
            if call:
                call.attempt = attempt
            try:
                return await self.engine.complete(request)
            except HEALS as error:
                attempt += 1
                if attempt >= self.max_attempts:
                    raise
                try:
                    await self.pause(how_long(attempt, error.retry_after))
                except Stopped:
                    raise error from None  # the failure says more, and DSPy takes any other error for a bug


def how_long(attempt: int, retry_after: float | None = None) -> float:
    """Seconds before attempt number `attempt` (from 1): doubling, half of it by chance, never before Retry-After.

    The chance spreads the calls that failed together, so that they do not come back together.
    """
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1))
    jittered = pause * random.uniform(0.5, 1.0)
    return jittered if retry_after is None else min(retry_after, LONGEST_WISH) + jittered * 0.2
