"""Writes one line about every attempt: what it cost, how it ended, how long it took. Keeps to the budget."""

from __future__ import annotations

import secrets
import time
from typing import Any

from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.engines.base import CALL, NOT_SENT, AsyncEngine, Call
from glan_dspy.engines.budget import Purse
from glan_dspy.engines.tariff import FREE, Tariff

MAY_BE_BILLED = (lm15.TimeoutError, lm15.TransportError)
"""Ends that nobody saw: the endpoint may have answered, and may charge for it."""


class Meter:
    """`lasting`: the engine's calls outlive the process, as in a batch: the next one asks for their replies."""

    def __init__(
        self, engine: AsyncEngine, tariff: Tariff = FREE, budget: Purse | None = None, *, lasting: bool = False
    ) -> None:
        self.engine, self.tariff, self.budget, self.lasting = engine, tariff, budget, lasting

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        if call is None:
            return await self.engine.complete(request)
        call.id = secrets.token_hex(8)
        if self.budget is not None:
            await self.budget.reserve(call.id, self.tariff.worst(request) or 0.0, call.key if self.lasting else "")
        line = {"id": call.id, "stage": call.stage, "item": call.item, "ask": call.ask, "attempt": call.attempt,
                "model": request.model, "time": round(time.time(), 3)}  # fmt: skip
        started = time.perf_counter()
        try:
            response = await self.engine.complete(request)
        except Exception as error:  # of any kind: room that stays reserved would keep others waiting for ever
            call.record({**line, **self._failed(call, error), "seconds": _since(started)})
            raise  # cancelled in flight, by contrast, leaves the reservation standing in its file
        if self.lasting and self._is_noted(call, response):
            return response
        call.record({**line, **self._answered(call, response), "seconds": _since(started)})
        return response

    def _is_noted(self, call: Call, response: Response) -> bool:
        """Whether an earlier process noted this very reply, and died before it had written down what was in it."""
        before = call.noted(call.key)
        if before is None or response.id is None or before.get("reply") != response.id:
            return False
        if self.budget is not None:
            self.budget.release(call.id)
        call.id = before["id"]
        return True

    def _answered(self, call: Call, response: Response) -> dict[str, Any]:
        usage = response.usage
        cost = self.tariff.cost(usage)
        unknown: dict[str, Any] = {}
        if self.budget is not None:
            charged = self.budget.settle(call.id, cost)
            unknown = {"reserved_usd": charged} if cost is None else {}
        reply = {"reply": response.id} if self.lasting and response.id else {}
        return {**reply, "prompt_tokens": usage.input_tokens, "cached_tokens": usage.cache_read_tokens,
                "completion_tokens": usage.output_tokens, "reasoning_tokens": usage.reasoning_tokens,
                "cost_usd": cost, **unknown, "finish_reason": response.finish_reason}  # fmt: skip

    def _failed(self, call: Call, error: Exception) -> dict[str, Any]:
        line: dict[str, Any] = {"error": type(error).__name__, "status": getattr(error, "status", None)}
        if self.budget is None:
            return line
        if may_be_billed(error):
            return {**line, "reserved_usd": self.budget.settle(call.id, None)}
        self.budget.release(call.id)
        return line


def may_be_billed(error: Exception) -> bool:
    """Whether the endpoint may charge for a call that ended so; a bug struck after nobody knows what."""
    if not isinstance(error, lm15.LM15Error):
        return True
    return isinstance(error, MAY_BE_BILLED) and error.provider_code != NOT_SENT


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 3)
