"""What leaves this process: openai's address and authentication, over one aiohttp session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import orjson
import pytest
from aiohttp import web

from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.openai import open_client
from glan_dspy.engines.post import Post, Reply, proxy_for

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def posted(
    bodies: list[dict[str, Any]], answer: Callable[[web.Request], web.Response], **endpoint: Any
) -> tuple[list[Reply | Exception], list[tuple[web.Request, bytes]], int]:
    """(what each post gave, the requests with their bodies, the connections they came over)."""
    seen: list[tuple[web.Request, bytes]] = []

    async def handler(http: web.Request) -> web.Response:
        seen.append((http, await http.read()))
        return answer(http)

    async def main() -> tuple[list[Reply | Exception], int]:
        app = web.Application()
        app.router.add_post("/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        where = Endpoint(**{"base_url": f"http://127.0.0.1:{port}/v1", **endpoint})
        post = Post(where, lambda http: open_client(where, http))
        got: list[Reply | Exception] = []
        try:
            for body in bodies:
                try:
                    got.append(await post(body))
                except openai.OpenAIError as error:
                    got.append(error)
        finally:
            await post.aclose()
            await runner.cleanup()
        return got, len({id(http.transport) for http, _ in seen})

    got, connections = asyncio.run(main())
    return got, seen, connections


def fine(_: web.Request) -> web.Response:
    return web.json_response({"ok": True}, headers={"x-ratelimit-limit-requests": "600"})


def test_address_key_and_extra_headers_are_openais_and_one_connection_serves_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    got, seen, connections = posted([BODY, {**BODY, "n": 1}, BODY], fine, extra_headers={"X-Team": "blue"})
    assert [orjson.loads(raw) for _, raw in seen] == [BODY, {**BODY, "n": 1}, BODY] and connections == 1
    for http, _ in seen:
        assert http.path == "/v1/chat/completions" and http.headers["content-type"] == "application/json"
        assert http.headers["authorization"] == "Bearer sk-0123456789" and http.headers["x-team"] == "blue"
        assert http.headers["user-agent"].startswith("AsyncOpenAI/Python")
        assert not [name for name in http.headers if name.lower().startswith("x-stainless")]
    assert isinstance(got[0], Reply) and got[0].content == b'{"ok": true}'
    assert got[0].headers["X-RateLimit-Limit-Requests"] == "600"


def test_an_error_is_raised_as_openai_raises_it_with_code_param_body_and_headers() -> None:
    error = {"message": "no such parameter", "code": "unsupported_parameter", "param": "seed"}

    def refusing(_: web.Request) -> web.Response:
        response = web.json_response({"error": error}, status=400, headers={"x-request-id": "r1", "retry-after": "3"})
        response.enable_compression()
        return response

    (got, after), _, _ = posted([BODY, BODY], refusing)
    assert isinstance(got, openai.BadRequestError) and isinstance(after, openai.BadRequestError)
    assert (got.code, got.param, got.body, got.request_id) == (error["code"], "seed", error, "r1")
    assert got.response.headers["retry-after"] == "3" and str(got.request.url).endswith("/v1/chat/completions")


def test_what_json_allows_and_orjson_does_not_is_sent_too() -> None:
    _, seen, _ = posted([{**BODY, "big": 2**70, "half": "\ud800"}], fine)
    assert b"1180591620717411303424" in seen[0][1] and b"\\ud800" in seen[0][1]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"all_proxy": "http://all:1"}, "http://all:1"),
        ({"http_proxy": "http://proxy:3128"}, None),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "example.com"}, None),
    ],
)
def test_the_environments_proxy_is_used(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for("https://api.example.com/v1/chat/completions") == expected
