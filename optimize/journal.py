"""What an optimizer's folder holds, and the engine that buys nothing twice.

    FILE.log/replies.jsonl    every reply, written before it is handed on
    FILE.log/calls.jsonl      one line an attempt: model, tokens, cost, finish reason, seconds
    FILE.log/reserved.jsonl   with a cap: what calls in flight may cost

A reply is found again by the whole request and a number. A stage's request has the number 0: equal requests get one
reply, however many threads ask at once, so that a program's score does not hang on who came first. What an optimizer
asks for itself, a better instruction say, comes from one thread; its second request of the same words is number 1 and
gets a reply of its own. So a command that was killed goes the same way again, and pays from where it died.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.engines.background import run_sync
from glan_dspy.engines.base import CALL, AsyncEngine, Call
from glan_dspy.engines.journal import response_from
from glan_dspy.errors import Stopped
from glan_dspy.records import digest
from glan_dspy.run import lines
from glan_dspy.run.lines import Appender, Line

__all__ = ["REFLECTION", "Bought", "Halt", "Log", "request_digest"]

REFLECTION = "reflection"
"""The stage of what an optimizer asks for itself."""

REFLECTION_TOKENS = 8192
"""Limit of a reply to that, where the optimizer sets none: without a limit no cap on the cost could hold."""

OF_THE_ITEM = (lm15.ContextLengthError, lm15.InvalidRequestError)
"""What an endpoint says to one request and not to all."""


class Halt(BaseException):
    """Ends an optimizer. No Exception on purpose: DSPy's threads and GEPA's loop take those for a score of 0."""

    def __init__(self, why: BaseException) -> None:
        super().__init__(str(why))
        self.why = why


class Log:
    """The folder's files while a command writes them. All but `stop` and `close` runs on the background loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replies: dict[str, Line] = {line["id"]: line for line in lines.read(path / "replies.jsonl")}
        self.before = len(self.replies)
        self.bought = 0
        self.in_flight = 0
        self.cost = 0.0
        self.unpriced = False
        self._counts: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}
        self._halt: Halt | None = None
        self._at_stop: list[Callable[[], None]] = []
        self._kept = Appender(path / "replies.jsonl")
        self._calls = Appender(path / "calls.jsonl")

    def keep(self, line: Line) -> None:
        self._kept.append(line)
        self.replies[line["id"]] = orjson.loads(lines.dump(line))
        self.bought += 1

    def record(self, line: Line) -> None:
        self._calls.append(line)
        cost = line.get("cost_usd", line.get("reserved_usd"))
        self.cost += cost or 0.0
        self.unpriced |= cost is None and "error" not in line

    def next_number(self, request: str) -> int:
        """0 for a request that comes for the first time in this process, then 1, 2, …"""
        self._counts[request] += 1
        return self._counts[request] - 1

    def turn(self, key: str) -> asyncio.Lock:
        return self._turns.setdefault(key, asyncio.Lock())

    def refuse_after_halt(self) -> None:
        if self._halt is not None:
            raise self._halt

    def halt(self, why: BaseException) -> Halt:
        """Sends nothing more; gives back what is to be raised."""
        if self._halt is None:
            self._halt = Halt(why)
            for callback in self._at_stop:
                callback()
        return self._halt

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._at_stop.append(callback)
        if self._halt is not None:
            callback()

    async def pause(self, seconds: float) -> None:
        """What a retry waits by; raises Stopped as soon as nothing more is to be sent."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._halt is not None:
                raise Stopped("the command is stopping")
            await asyncio.sleep(min(left, 0.2))

    def stop(self) -> None:
        """Sends nothing more, and waits for the calls in flight: their replies are paid for."""
        run_sync(self._end())
        while self.in_flight:
            time.sleep(0.02)

    async def _end(self) -> None:
        self.halt(Stopped("the command is over"))

    def close(self) -> None:
        self.stop()
        self._kept.close()
        self._calls.close()


class Bought:
    """The outermost engine, around a Journal: answers from the log what it holds, has everything else kept there.

    `where` names what the endpoint adds to each request: another server, or more effort, is another reply.
    """

    def __init__(self, engine: AsyncEngine, log: Log, where: str = "") -> None:
        self.engine, self.log, self.where = engine, log, where

    async def complete(self, request: Request) -> Response:
        self.log.refuse_after_halt()
        named = CALL.get()
        call = named or Call(stage=REFLECTION, item="")
        if named is None:
            request = with_limit(request)
        call.item = request_digest(request, self.where)
        call.ask = 0 if named else self.log.next_number(call.item)
        call.record, call.recall, call.keep = self.log.record, self.log.replies.get, self.log.keep
        token = CALL.set(call)
        try:
            async with self.log.turn(call.key):
                return await self._asked(request, call)
        finally:
            CALL.reset(token)

    async def _asked(self, request: Request, call: Call) -> Response:
        if call.key not in self.log.replies:
            self.log.refuse_after_halt()
        self.log.in_flight += 1
        try:
            await self.engine.complete(request)
            # As it was written: what is handed on now is what a later command is handed.
            call.response = response_from(self.log.replies[call.key], request.model)
            return call.response
        except OF_THE_ITEM as error:
            if call.stage == REFLECTION:
                raise self.log.halt(error) from error
            raise
        except Exception as error:
            raise self.log.halt(error) from error
        finally:
            self.log.in_flight -= 1

    def __deepcopy__(self, memo: dict[int, Any]) -> Bought:
        return self


def with_limit(request: Request) -> Request:
    if request.config.max_tokens is not None:
        return request
    return replace(request, config=replace(request.config, max_tokens=REFLECTION_TOKENS))


def request_digest(request: Request, where: str = "") -> str:
    """20 hex digits of everything that is sent: model, messages, limits, temperature, seed and form; and to whom."""
    config = request.config
    said = [(message.role, message.text) for message in request.messages]
    how = (config.max_tokens, config.temperature, config.top_p, config.seed)
    form = orjson.dumps(config.response_format, option=orjson.OPT_SORT_KEYS, default=str).decode()
    return digest(request.model, str(request.system), said, how, form, *filter(None, [where]))
