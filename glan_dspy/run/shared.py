"""A worker's side of what its coordinator keeps for all workers: the pace of each endpoint, and the budget.

Both look to the engines like their own `Pace` and `Budget`; each question and each answer is a message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from dspy import lm15

from glan_dspy.engines.budget import REACHED
from glan_dspy.errors import Stopped
from glan_dspy.run.wire import Message

Send = Callable[[Message], None]


class SharedPace:
    """Leave to send calls to one endpoint, asked of the coordinator's Pace."""

    def __init__(self, name: str, send: Send) -> None:
        self.name, self.send = name, send
        self.stopped = False
        self._waiting: deque[asyncio.Future[float | None]] = deque()
        self._news = _no_news()
        self._telling = False

    async def enter(self, tokens: float = 0.0) -> float:
        """Waits for leave; gives back when it was given, by the coordinator's clock. Raises Stopped."""
        if self.stopped:
            raise Stopped("the run is stopping")
        turn: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._tell()["want"].append(tokens)
        try:
            given = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result() is not None:
                self.leave()
            raise
        if given is None:
            raise Stopped("the run is stopping")
        return given

    def go(self, times: list[float]) -> None:
        """So many calls may be sent. Leave that nobody waits for any more goes back."""
        for time in times:
            while self._waiting and self._waiting[0].done():
                self._waiting.popleft()
            if self._waiting:
                self._waiting.popleft().set_result(time)
            else:
                self.leave()

    def leave(self) -> None:
        self._tell()["left"] += 1

    def served(self, tokens: float | None = None, headers: Mapping[str, str] | None = None) -> None:
        news = self._tell()
        news["served"].append(tokens or 0)
        if headers:
            news["headers"] = {str(k).lower(): str(v) for k, v in headers.items() if "ratelimit" in k.lower()}

    def refused(self, sent_at: float, retry_after: float | None = None) -> None:
        self._tell()["refused"].append([sent_at, retry_after])

    def stop(self) -> None:
        self.stopped = True
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()

    def _tell(self) -> dict[str, Any]:
        """What will be told at the end of this step of the loop."""
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._told)
        return self._news

    def _told(self) -> None:
        self._telling = False
        news, self._news = self._news, _no_news()
        self.send({"pace": {"name": self.name, **news}})


def _no_news() -> dict[str, Any]:
    return {"want": [], "left": 0, "served": [], "refused": [], "headers": None}


class SharedPurse:
    """Room in the run's budget, asked of the coordinator before each call."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self._asked: dict[str, asyncio.Future[str]] = {}
        self._worst: dict[str, float] = {}

    async def reserve(self, id: str, worst: float, key: str = "") -> None:
        """Waits for room. Raises BillingError (REACHED) or Stopped where there is none."""
        answer = self._asked[id] = asyncio.get_running_loop().create_future()
        self.send({"reserve": [id, worst, key]})
        try:
            why = await answer
        except asyncio.CancelledError:
            self.send({"release": id})  # it was not sent, whatever the answer is
            raise
        finally:
            del self._asked[id]
        if why == "stopped":
            raise Stopped("the run is stopping")
        if why:
            raise lm15.BillingError(why, provider_code=REACHED)
        self._worst[id] = worst

    def room(self, id: str, why: str) -> None:
        """The coordinator's answer; empty where there is room."""
        if (answer := self._asked.get(id)) and not answer.done():
            answer.set_result(why)

    def settle(self, id: str, cost: float | None) -> float:
        self.send({"settle": [id, cost]})
        worst = self._worst.pop(id)
        return worst if cost is None else cost

    def release(self, id: str) -> None:
        self._worst.pop(id)
        self.send({"release": id})

    def stop(self) -> None:
        """Sends away who still waits for room."""
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result("stopped")
