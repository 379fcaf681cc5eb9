"""An OpenAI-compatible server on loopback whose model is `rehearsal`: for tests and measurements.

    python -m benchmarks.loopback --port 8123 --model 'rehearsal?latency=0.2'

It counts what it was asked, so that a test can say what was paid for:
GET /counts gives {"requests", "answered", "distinct"}, distinct by the whole request body.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import time
from collections import Counter
from typing import Any, Protocol

import orjson
from aiohttp import web
from dspy import lm15
from dspy.lm15 import Request, request_from_openai_chat

from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.journal import refusal_of, text_of
from glan_dspy.engines.rehearsal import RehearsalEngine

Json = dict[str, Any]


class Serves(Protocol):
    def app(self) -> web.Application: ...


class Bucket:
    """An account's limit: so many requests a minute, with a burst; the rest gets 429 and Retry-After."""

    def __init__(self, per_minute: float, burst: float) -> None:
        self.rate, self.burst, self.tokens, self.at = per_minute / 60, burst, burst, time.monotonic()
        self.served: list[float] = []
        self.refused: list[float] = []

    def take(self) -> float:
        """0 where the request may pass, else the seconds to wait."""
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            self.refused.append(now)
            return math.ceil((1 - self.tokens) / self.rate)
        self.tokens -= 1
        self.served.append(now)
        return 0.0


class Loopback:
    """The server's state: the simulated model, and how often each request came."""

    def __init__(self, model: str = "rehearsal", bucket: Bucket | None = None) -> None:
        self.engine, self.bucket = RehearsalEngine(model), bucket
        self.requests: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.bodies: list[Json] = []
        """The last 50 requests, newest last."""
        self.in_flight = self.most_in_flight = 0
        self.prompt_tokens = self.completion_tokens = 0

    @property
    def paid(self) -> Counter[str]:
        """How often each request was answered, and so charged for."""
        return self.answered

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_post("/openai/deployments/{deployment}/chat/completions", self.complete)
        app.router.add_get("/counts", self.counts)
        return app

    async def counts(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": sum(self.requests.values()),
                "answered": sum(self.answered.values()),
                "distinct": len(self.answered),
                "most_in_flight": self.most_in_flight,
            }
        )

    async def complete(self, http: web.Request) -> web.Response:
        raw = await http.read()
        if self.bucket and (wait := self.bucket.take()):
            return failed(lm15.RateLimitError("slow down", status=429, retry_after=wait))
        body = orjson.loads(raw)
        self.bodies = [*self.bodies[-49:], body]
        key = hashlib.blake2b(raw, digest_size=12).hexdigest()
        attempt = self.requests[key]
        self.requests[key] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        # The model's faults are drawn from item and attempt: here the item is the request's own text.
        CALL.set(Call(stage="loopback", item=key, attempt=attempt))
        try:
            response = await self.engine.complete(request_of(body))
        except lm15.LM15Error as error:
            return failed(error)
        finally:
            self.in_flight -= 1
        self.answered[key] += 1
        self.prompt_tokens += response.usage.input_tokens or 0
        self.completion_tokens += response.usage.output_tokens or 0
        return web.Response(body=orjson.dumps(reply_of(response)), content_type="application/json")


def request_of(body: Json) -> Request:
    wanted = ("model", "messages", "temperature", "top_p", "max_tokens", "seed", "response_format")
    known = {key: body[key] for key in wanted if key in body}
    if "max_completion_tokens" in body:
        known["max_tokens"] = body["max_completion_tokens"]
    return request_from_openai_chat(known)


def reply_of(response: lm15.Response) -> Json:
    usage = response.usage
    return {
        "id": response.id,
        "object": "chat.completion",
        "model": response.model,
        "choices": [
            {
                "index": 0,
                "finish_reason": response.finish_reason,
                "message": {
                    "role": "assistant",
                    "content": text_of(response),
                    "refusal": refusal_of(response) or None,
                },
            }
        ],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens or 0},
        },
    }


def failed(error: lm15.LM15Error) -> web.Response:
    status = error.status or (504 if isinstance(error, lm15.TimeoutError) else 502)
    headers = {"retry-after": str(error.retry_after)} if error.retry_after is not None else {}
    text = json.dumps({"error": {"message": error.message, "type": type(error).__name__, "code": None}})
    return web.Response(status=status, headers=headers, text=text, content_type="application/json")


async def serve(server: Serves, port: int = 0) -> tuple[web.AppRunner, int]:
    """Starts it on 127.0.0.1 and gives back its runner and port (a free one for 0). It ends without a goodbye."""
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=4096)
    await site.start()
    listening = site._server
    assert isinstance(listening, asyncio.Server)
    return runner, int(listening.sockets[0].getsockname()[1])


async def _forever(model: str, port: int) -> None:
    _, found = await serve(Loopback(model), port)
    print(f"http://127.0.0.1:{found}/v1", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="rehearsal")
    arguments = parser.parse_args()
    asyncio.run(_forever(arguments.model, arguments.port))


if __name__ == "__main__":
    main()
