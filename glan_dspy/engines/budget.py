"""A cap on what a run may cost, over all its commands: the worst case is reserved before a call is sent.

    spent      what answered calls cost, and the worst case of those whose end nobody saw
    reserved   the worst case of the calls in flight
    standing   of `spent`, what an earlier process reserved for calls that may still be answered: those in a batch

A call is sent when spent + reserved + its own worst case stay within the cap. While others are in flight it
waits for what they give back, the first come first; when none is, the cap is reached. Reservations are written
down before the call is sent, so that a killed process's calls count at their worst.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dspy import lm15

from glan_dspy.errors import Stopped

REACHED = "max_cost_reached"
"""The `provider_code` of the error that says so: the one billing error that is nobody's mistake."""

Write = Callable[[dict[str, Any]], None]


def _nowhere(_: dict[str, Any]) -> None:
    """Where reservations go that no other process will look for."""


class Purse(Protocol):
    """What a Meter keeps to: a Budget, or one that another process keeps for several."""

    async def reserve(self, id: str, worst: float, key: str = "") -> None: ...
    def settle(self, id: str, cost: float | None) -> float: ...
    def release(self, id: str) -> None: ...


class Budget:
    """All methods are called on one event loop; none but `reserve` waits."""

    def __init__(
        self, cap: float, spent: float = 0.0, write: Write = _nowhere, standing: Mapping[str, float] | None = None
    ) -> None:
        self.cap, self.spent, self.write = cap, spent, write
        self.standing = dict(standing or {})
        self.reserved: dict[str, float] = {}
        self.lost: set[str] = set()
        """Of `spent`, calls at their worst whose end nobody will write down: whoever sent them is dead."""
        self.needed = 0.0
        """The cap with which the call could have been sent that found none; 0 while there was no such call."""
        self._held, self._holders = 0.0, 0
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()

    async def reserve(self, id: str, worst: float, key: str = "") -> None:
        """Sets the call's worst case aside. Raises BillingError (REACHED) when no room is left for it.

        With `key` it takes over what stands for the same question from an earlier process.
        """
        if key and (before := self.standing.pop(key, None)) is not None:
            self.spent -= before
            self._hold(worst)
        else:
            await self._room_for(worst)
        self.reserved[id] = worst
        self.write({"id": id, "usd": worst, **({"key": key} if key else {})})

    async def _room_for(self, worst: float) -> None:
        """Waits in line, and holds the room when it comes back."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, worst))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back(worst)
            raise

    def stop(self) -> None:
        """Sends away who still waits for room."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(Stopped("the run is stopping"))

    def settle(self, id: str, cost: float | None) -> float:
        """The call's end: what it cost, or its worst case where that is unknown. Gives back what is now spent on it."""
        worst = self.reserved.pop(id)
        charged = worst if cost is None else cost
        self.spent += charged
        self._give_back(worst)
        return charged

    def lose(self, id: str) -> None:
        """The call's end will never be known: who sent it is dead."""
        self.settle(id, None)
        self.lost.add(id)

    def release(self, id: str) -> None:
        """The call was refused: it cost nothing."""
        self._give_back(self.reserved.pop(id))

    def _hold(self, amount: float) -> None:
        self._held += amount
        self._holders += 1

    def _give_back(self, amount: float) -> None:
        self._holders -= 1
        self._held = self._held - amount if self._holders else 0.0
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            turn, worst = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif self.spent + self._held + worst <= self.cap:
                self._waiting.popleft()
                self._hold(worst)
                turn.set_result(None)
            elif self._holders:
                return
            else:
                self._waiting.popleft()
                turn.set_exception(self._reached(worst))

    def _reached(self, worst: float) -> lm15.BillingError:
        self.needed = max(self.needed, self.spent + worst)
        return lm15.BillingError(
            f"{dollars(self.spent)} of {dollars(self.cap)} are spent, and the next call may cost {dollars(worst)}",
            provider_code=REACHED,
        )


def dollars(amount: float) -> str:
    """With cents, and as many more digits as a small amount needs."""
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:,.4f}" if amount >= 0.001 else f"${amount:g}"
