"""How a run's coordinator and its workers talk: lists of JSON objects, each object one word and what goes with it.

    worker -> coordinator            coordinator -> worker
    lease      wants a discipline    welcome    settings, the forms of endpoints, whether there is a cap
    tally      numbers so far        lease      a discipline and its goal
    reached    what came of it       end        there is none, and there will be none
    closed     has let go of it      stop       finish what is in flight; said twice: end at once
    pace       calls to send, sent   pace       leave to send
    reserve, settle, release         room       the call's worst case is set aside, or why it is not
    forms      an endpoint takes it      share      its part of the calls that may be in flight
    stopping   why it ends
    bug        a traceback

Plain data only, so that nothing is ever unpickled that came from elsewhere. What is said in one step of an event loop
goes together: a busy process sends one frame where an idle one sends many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

Message = dict[str, Any]

LONGEST = 64 << 20
"""Bytes of a frame; more is no frame of ours."""


class Outbox:
    """Collects messages and hands them to `deliver` together, at the end of the loop's step."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._messages: list[bytes] = []

    def send(self, message: Message) -> None:
        data = orjson.dumps(message)  # here, so that what cannot be said fails whoever says it
        if not self._messages:
            asyncio.get_running_loop().call_soon(self.flush)
        self._messages.append(data)

    def flush(self) -> None:
        if self._messages:
            messages, self._messages = self._messages, []
            self._deliver(b"[%b]" % b",".join(messages))


def frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


async def read_frame(reader: asyncio.StreamReader) -> list[Message] | None:
    """The messages of the next frame; None where the other side has gone."""
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > LONGEST:
            raise ValueError(f"a frame of {length:,} bytes")
        messages: list[Message] = orjson.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return messages
