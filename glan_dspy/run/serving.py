"""The coordinator's side of what it keeps for all workers: one pace an endpoint, one budget for the run.

Whatever a worker holds of them comes back when the worker dies: its calls in flight are no longer waited for, and
count in the budget at their worst, since nobody saw how they ended.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dspy import lm15

from glan_dspy.engines.budget import Budget
from glan_dspy.engines.pace import Hard, Pace
from glan_dspy.errors import Stopped
from glan_dspy.run.wire import Message

Send = Callable[[Message], None]


@dataclass
class Endpoint:
    """What all workers have together of one endpoint."""

    pace: Pace
    eased: set[Paces] = field(default_factory=set)
    """Whose workers were told that the pace is easy: they pass the place of a call that ended on to the next one."""


class Paces:
    """Leave to send calls, given to one worker: what it has of each endpoint's pace."""

    def __init__(self, hard: Hard, endpoints: dict[str, Endpoint], send: Send) -> None:
        self.hard, self.endpoints, self.send = hard, endpoints, send
        self._given: defaultdict[str, int] = defaultdict(int)
        """Places in flight that it has."""
        self._gone: defaultdict[str, int] = defaultdict(int)
        """How often leave was given to it, ever."""
        self._asked: defaultdict[str, dict[asyncio.Future[bool], None]] = defaultdict(dict)
        """Its places in line, in the order of asking."""
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self._lost = False

    @property
    def in_flight(self) -> int:
        return sum(self._given.values())

    def hear(self, news: dict[str, Any]) -> None:
        """What a worker tells of its calls: which ended and how, and how many wait for leave."""
        name = news["name"]
        if name not in self.endpoints:
            self.endpoints[name] = Endpoint(Pace(self.hard))
        pace = self.endpoints[name].pace
        pace.passed_on(news["passed_on"])
        for sent_at, retry_after in news["refused"]:
            pace.refused(sent_at, retry_after)
        for tokens in news["served"]:
            pace.served(tokens)
        if news["headers"]:
            pace.heed(news["headers"])
        self._given[name] -= news["left"]
        for _ in range(news["left"]):
            pace.leave()
        # Leave that is on its way will be taken by some of those that waited when this was said.
        self._line_up(name, news["waiting"] - (self._gone[name] - news["heard"]), news["want"])
        if not pace.is_easy:
            for eased in self.endpoints[name].eased:
                eased._soon(name)

    def _line_up(self, name: str, count: int, wants: list[float]) -> None:
        """Has so many places in line; `wants` are the prompt tokens of those that have come now."""
        asked, missing = self._asked[name], count - len(self._asked[name])
        if missing > 0:
            for tokens in [0.0] * (missing - len(wants)) + wants[-missing:]:
                if turn := self.endpoints[name].pace.ask(tokens, lambda time: self._go(name, time)):
                    asked[turn] = None
                    turn.add_done_callback(lambda turn: asked.pop(turn, None))
        elif missing < 0:
            for turn in [*reversed(asked)]:
                if len(asked) > max(0, count) and turn.cancel():
                    del asked[turn]

    def _go(self, name: str, time: float) -> None:
        if self._lost:
            self.endpoints[name].pace.leave()
            return
        self._given[name] += 1
        self._gone[name] += 1
        self._soon(name).append(time)

    def _soon(self, name: str) -> list[float]:
        """The leave that will be told of at the end of this step of the loop."""
        if not self._times:
            asyncio.get_running_loop().call_soon(self._tell)
        return self._times[name]

    def _tell(self) -> None:
        times, self._times = self._times, defaultdict(list)
        if self._lost:
            return
        for name, go in times.items():
            endpoint = self.endpoints[name]
            easy = endpoint.pace.is_easy
            (endpoint.eased.add if easy else endpoint.eased.discard)(self)
            self.send({"pace": {"name": name, "go": go, "easy": easy}})

    def lose(self) -> None:
        """The worker is dead: its place in line, and its places in flight, are others'."""
        self._lost = True
        for turn in [turn for turns in self._asked.values() for turn in turns]:
            turn.cancel()
        for name, count in self._given.items():
            self.endpoints[name].eased.discard(self)
            for _ in range(count):
                self.endpoints[name].pace.leave()
        self._given.clear()


class Purse:
    """Room in the budget, given to one worker. `broken` hears that a reservation cannot be written down."""

    def __init__(self, budget: Budget, send: Send, broken: Callable[[OSError], None]) -> None:
        self.budget, self.send, self.broken = budget, send, broken
        self._held: set[str] = set()
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def reserve(self, id: str, worst: float, key: str) -> None:
        self._waiting[id] = asyncio.get_running_loop().create_task(self._reserve(id, worst, key))

    async def _reserve(self, id: str, worst: float, key: str) -> None:
        why = ""
        try:
            await self.budget.reserve(id, worst, key)
            self._held.add(id)
        except lm15.BillingError as error:
            why = str(error)
        except Stopped:
            why = "stopped"
        except OSError as error:
            why = "stopped"
            self.broken(error)
        finally:
            self._waiting.pop(id, None)
        self.send({"room": [id, why]})

    def settle(self, id: str, cost: float | None) -> None:
        self._held.discard(id)
        self.budget.settle(id, cost)

    def release(self, id: str) -> None:
        """The call was refused, or given up before it was sent."""
        if waiting := self._waiting.pop(id, None):
            waiting.cancel()
        elif id in self._held:
            self._held.discard(id)
            self.budget.release(id)

    def lose(self) -> None:
        for waiting in list(self._waiting.values()):
            waiting.cancel()
        for id in self._held:
            self.budget.lose(id)
        self._held.clear()
