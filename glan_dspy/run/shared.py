"""A worker's side of what its coordinator keeps for all workers: the pace of each endpoint, and the budget.

Both look to the engines like their own `Pace` and `Budget`; each question and each answer is a message.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from dspy import lm15

from glan_dspy.engines.budget import REACHED
from glan_dspy.errors import Stopped
from glan_dspy.run.wire import Message

Send = Callable[[Message], None]


NEWS = 0.1
"""Seconds after which the coordinator hears of calls that asked nothing of it."""


class SharedPace:
    """Leave to send calls to one endpoint, asked of the coordinator's Pace.

    While that is easy, the place of a call that ended is passed on to the next one here: to one that waits, or to one
    that comes later and need not ask. What no call has taken from one report to the next goes back.
    """

    def __init__(self, name: str, send: Send) -> None:
        self.name, self.send = name, send
        self.stopped = False
        self._easy = False
        self._waiting: deque[asyncio.Future[float | None]] = deque()
        self._spare = self._least_spare = 0
        """Places in flight without a call: now, and the fewest since the last report."""
        self._ahead = -math.inf
        """Seconds that the coordinator's clock is ahead of ours, by the message that took the least time."""
        self._heard = 0
        """How often leave was given."""
        self._news = _no_news()
        self._timer: asyncio.Handle | None = None
        self._told_soon = False

    async def enter(self, tokens: float = 0.0) -> float:
        """Waits for leave; gives back when it was given, by the coordinator's clock. Raises Stopped."""
        if self.stopped:
            raise Stopped("the run is stopping")
        if self._spare and self._easy:
            self._spare -= 1
            self._least_spare = min(self._least_spare, self._spare)
            self._news["passed_on"] += 1
            self._tell_later()
            return self._now()
        turn: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._news["want"].append(tokens)
        self._tell_soon()
        try:
            given = await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(turn)
                self._tell_soon()
            elif turn.result() is not None:
                self._unused()
            raise
        if given is None:
            raise Stopped("the run is stopping")
        return given

    def go(self, times: list[float], easy: bool) -> None:
        """So many calls may be sent, or only: whether the pace is easy has changed."""
        self._easy = easy
        self._heard += len(times)
        if times:
            self._ahead = max(self._ahead, times[-1] - asyncio.get_running_loop().time())
        for time in times:
            if not self._let_go(time):
                self._unused()
        if self._timer is not None and not easy:
            self._tell_soon()

    def leave(self) -> None:
        if not self._easy:
            self._news["left"] += 1
            self._tell_soon()
        elif self._let_go(self._now()):
            self._news["passed_on"] += 1
            self._tell_soon()  # that it waits no more
        else:
            self._spare += 1
            self._tell_later()

    def served(self, tokens: float | None = None, headers: Mapping[str, str] | None = None) -> None:
        self._news["served"].append(tokens or 0)
        if headers:
            self._news["headers"] = headers
        self._tell_later()

    def refused(self, sent_at: float, retry_after: float | None = None) -> None:
        self._easy = False
        self._news["refused"].append([sent_at, retry_after])
        self._tell_soon()

    def stop(self) -> None:
        self.stopped = True
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        if self._waiting:
            self._waiting.clear()
            self._tell_soon()

    def _now(self) -> float:
        return asyncio.get_running_loop().time() + self._ahead

    def _let_go(self, time: float) -> bool:
        """Lets the first call in line go; whether there is one."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(time)
                return True
        return False

    def _unused(self) -> None:
        """Leave was given, and so counted as a call, that nobody waits for any more."""
        self._news["passed_on"] -= 1
        self.leave()

    def _tell_soon(self) -> None:
        """Tells the coordinator at the end of this step of the loop."""
        if not self._told_soon:
            if self._timer is not None:
                self._timer.cancel()
            self._told_soon = True
            self._timer = asyncio.get_running_loop().call_soon(self._tell)

    def _tell_later(self) -> None:
        if not self._easy:
            self._tell_soon()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(NEWS, self._tell)

    def _tell(self) -> None:
        self._timer, self._told_soon = None, False
        news, self._news = self._news, _no_news()
        unused = self._least_spare if self._easy else self._spare
        self._spare -= unused
        self._least_spare = self._spare
        news["left"] += unused
        news["waiting"], news["heard"] = len(self._waiting), self._heard
        if news["headers"]:
            news["headers"] = {k.lower(): str(v) for k, v in news["headers"].items() if "ratelimit" in k.lower()}
        self.send({"pace": {"name": self.name, **news}})
        if self._spare:
            self._tell_later()


def _no_news() -> dict[str, Any]:
    return {"want": [], "left": 0, "passed_on": 0, "served": [], "refused": [], "headers": None}


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
