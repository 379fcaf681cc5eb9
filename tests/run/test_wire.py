"""What workers and their coordinator tell one another is plain data, and arrives as it was said."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from glan_dspy.run.shared import SharedPace
from glan_dspy.run.tally import Tally, tally_of


def test_the_numbers_arrive_with_their_counters() -> None:
    tally = Tally(questions=3, cost=0.5, rejected=Counter(refusal=2), errors=Counter(ServerError=7))
    assert tally_of(orjson.loads(orjson.dumps(tally.plain()))) == tally


def test_what_headers_say_of_limits_arrives_however_the_server_writes_them() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"X-RateLimit-Limit-Requests": "60", "Server": "x"}))
    sent: list[Any] = []

    async def main() -> None:
        SharedPace("m", lambda message: sent.append(orjson.loads(orjson.dumps(message)))).served(5, headers)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert sent[0]["pace"]["headers"] == {"x-ratelimit-limit-requests": "60"}
