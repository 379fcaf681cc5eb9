"""A cap on what a run may cost, over all its commands: the worst case is reserved before a call is sent.

    spent      what answered calls cost, and the worst case of those whose end nobody saw
    reserved   the worst case of the calls in flight

A call is sent when spent + reserved + its own worst case stay within the cap. While others are in flight it
waits for what they give back; when none is, the cap is reached. Reservations are written down before the
call is sent, so that a killed process's calls count at their worst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dspy import lm15

REACHED = "max_cost_reached"
"""The `provider_code` of the error that says so: the one billing error that is nobody's mistake."""


class Budget:
    def __init__(self, cap: float, spent: float, write: Callable[[dict[str, Any]], None] = lambda line: None) -> None:
        self.cap, self.spent, self.write = cap, spent, write
        self.reserved: dict[str, float] = {}
        self._changed: asyncio.Event | None = None

    async def reserve(self, id: str, worst: float) -> None:
        """Sets the call's worst case aside. Raises BillingError (REACHED) when no room is left for it."""
        while self.spent + sum(self.reserved.values()) + worst > self.cap:
            if not self.reserved:
                raise lm15.BillingError(
                    f"${self.spent:,.4f} of ${self.cap:,.2f} are spent, and the next call may cost ${worst:,.4f}",
                    provider_code=REACHED,
                )
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()
        self.reserved[id] = worst
        self.write({"id": id, "usd": worst})

    def settle(self, id: str, cost: float | None) -> float:
        """The call's end: what it cost, or its worst case where that is unknown. Gives back what is now spent on it."""
        worst = self.reserved.pop(id, 0.0)
        charged = worst if cost is None else cost
        self.spent += charged
        self._wake()
        return charged

    def release(self, id: str) -> None:
        """The call was refused: it cost nothing."""
        self.reserved.pop(id, None)
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
