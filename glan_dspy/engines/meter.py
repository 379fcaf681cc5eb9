"""Writes one line about every attempt: what it cost, how it ended, how long it took."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from dspy import lm15
from dspy.lm15 import Request, Response, Usage

from glan_dspy.engines.base import CALL, AsyncEngine

Price = Callable[[str, Usage], float | None]
"""Dollars for a model and its usage; None where the price is not known, which is not 0."""


def unknown_price(model: str, usage: Usage) -> float | None:
    return None


def free(model: str, usage: Usage) -> float | None:
    return 0.0


class Meter:
    def __init__(self, engine: AsyncEngine, price: Price = unknown_price) -> None:
        self.engine, self.price = engine, price

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        if call is None:
            return await self.engine.complete(request)
        call.id = secrets.token_hex(8)
        line = {
            "id": call.id,
            "stage": call.stage,
            "item": call.item,
            "ask": call.ask,
            "attempt": call.attempt,
            "model": request.model,
            "time": round(time.time(), 3),
        }
        started = time.perf_counter()
        try:
            response = await self.engine.complete(request)
        except lm15.LM15Error as error:
            call.record(
                {
                    **line,
                    "error": type(error).__name__,
                    "status": error.status,
                    "seconds": round(time.perf_counter() - started, 3),
                }
            )
            raise
        usage = response.usage
        call.record(
            {
                **line,
                "prompt_tokens": usage.input_tokens,
                "cached_tokens": usage.cache_read_tokens,
                "completion_tokens": usage.output_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
                "cost_usd": self.price(request.model, usage),
                "finish_reason": response.finish_reason,
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
        return response
