"""The openai engine against replies as compatible servers really give them: each ends typed, none in a crash."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web
from dspy import lm15
from dspy.lm15 import Config, Message, Request

from glan_dspy.addresses import endpoint_for
from glan_dspy.engines.base import NOT_SENT
from glan_dspy.engines.endpoint import Endpoint, thinks_first
from glan_dspy.engines.journal import reasoning_of, refusal_of, text_of
from glan_dspy.engines.openai import OpenAIEngine, decode, from_wire, retry_after, to_wire, usage_of
from glan_dspy.optimize.models import where_of
from glan_dspy.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def request(model: str = "m", **config: Any) -> Request:
    return Request(model=model, system="Be brief.", messages=(Message.user("Hello"),), config=Config(**config))


def ask(handler: Handler, path: str = "/v1/chat/completions", **endpoint: Any) -> lm15.Response:
    async def main() -> lm15.Response:
        app = web.Application()
        app.router.add_post(path, handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        engine = OpenAIEngine(Endpoint(**{"base_url": f"http://127.0.0.1:{port}/v1", **endpoint}))
        try:
            return await engine.complete(request())
        finally:
            await engine.aclose()
            await runner.cleanup()

    return asyncio.run(main())


def answering(body: Any, status: int = 200, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(body=raw, status=status, headers=headers, content_type="application/json")

    return handler


def reply(finish: Any = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    return {"id": "x", "model": "m-1", "choices": [{"finish_reason": finish, "message": message}], "usage": usage}


def test_a_plain_reply_with_all_its_counts() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8},
             "completion_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip
    got = ask(answering(reply(usage=usage, content="Hi \\theta", reasoning_content="hm")))
    assert (text_of(got), reasoning_of(got), got.finish_reason) == ("Hi \\theta", "hm", "stop")
    assert (got.usage.input_tokens, got.usage.output_tokens) == (9, 4)
    assert (got.usage.cache_read_tokens, got.usage.reasoning_tokens) == (8, 3)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "many"}, "free", []])
def test_counts_that_are_missing_stay_unknown(usage: Any) -> None:
    got = ask(answering(reply(usage=usage, content="Hi")))
    assert got.usage.input_tokens is None and got.usage.cache_read_tokens is None


def test_a_refusal_is_kept_apart_from_the_text() -> None:
    got = ask(answering(reply(refusal="I cannot.", content=None)))
    assert refusal_of(got) == "I cannot." and text_of(got) == ""


@pytest.mark.parametrize(
    ("finish", "meant"),
    [("length", "length"), ("content_filter", "content_filter"), (None, "stop"), ("weird", "error")],
)
def test_finish_reasons(finish: Any, meant: str) -> None:
    assert ask(answering(reply(finish, content="Hi"))).finish_reason == meant


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}, {"type": "image"}]
    assert text_of(ask(answering(reply(content=parts)))) == "Hello"


def test_half_a_character_does_not_break_the_reply() -> None:
    raw = b'{"choices": [{"finish_reason": "stop", "message": {"content": "a\\ud83d b\\ud83d\\ude00 \\\\ud800"}}]}'
    assert text_of(ask(answering(raw))) == "a\ufffd b\U0001f600 \\ud800"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>Bad gateway</html>", lm15.TransportError),
        (b"", lm15.TransportError),
        (b'{"choices": [{"mess', lm15.TransportError),
        ([], lm15.TransportError),
        ({"choices": []}, lm15.TransportError),
        ({"choices": None}, lm15.TransportError),
        ({"choices": ["x"]}, lm15.TransportError),
        ({"error": {"message": "overloaded"}}, lm15.TransportError),
    ],
)
def test_replies_that_are_none_are_sent_again(body: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(answering(body))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, None, lm15.AuthError),
        (403, None, lm15.AuthError),
        (402, None, lm15.BillingError),
        (429, "insufficient_quota", lm15.BillingError),
        (429, "rate_limit_exceeded", lm15.RateLimitError),
        (404, "model_not_found", lm15.UnsupportedModelError),
        (400, "context_length_exceeded", lm15.ContextLengthError),
        (400, "content_filter", lm15.InvalidRequestError),
        (408, None, lm15.TimeoutError),
        (500, None, lm15.ServerError),
        (503, None, lm15.ServerError),
    ],
)
def test_statuses_are_typed(status: int, code: str | None, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        ask(answering({"error": {"message": "no", "code": code}}, status, **{"retry-after": "7"}))
    assert type(caught.value) is error
    assert caught.value.status == status and caught.value.retry_after == 7.0  # type: ignore[attr-defined]


def test_half_a_body_and_a_dropped_connection_are_transport_failures() -> None:
    async def half(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "5000", "content-type": "application/json"})
        await response.prepare(http)
        await response.write(b'{"choices": [')
        assert http.transport is not None
        http.transport.close()
        return response

    async def dropped(http: web.Request) -> web.StreamResponse:
        assert http.transport is not None
        http.transport.close()
        return web.Response()

    for handler in (half, dropped):
        with pytest.raises(lm15.TransportError):
            ask(handler)


def test_waiting_in_vain_is_a_time_out() -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()

    with pytest.raises(lm15.TimeoutError):
        ask(slow, timeout=0.2)


def test_nobody_there_is_a_transport_failure_that_says_so() -> None:
    with pytest.raises(lm15.TransportError, match="no connection to the endpoint"):
        ask(answering({}), base_url="http://127.0.0.1:9/v1")


def test_a_key_in_an_error_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    with pytest.raises(lm15.AuthError) as caught:
        ask(answering({"error": {"message": "wrong key sk-0123456789 given"}}, 401))
    assert "sk-0123456789" not in str(caught.value) and "[key]" in str(caught.value)


def test_azure_is_addressed_by_deployment_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[web.Request] = []

    async def handler(http: web.Request) -> web.StreamResponse:
        seen.append(http)
        return web.json_response(reply(content="Hi"))

    with azure_at(monkeypatch, handler) as got:
        assert text_of(got()) == "Hi"
    assert seen[0].path == "/openai/deployments/m/chat/completions"
    assert seen[0].query["api-version"] == "2024-10-21" and seen[0].headers["api-key"] == "azure-key"


@contextmanager
def azure_at(monkeypatch: pytest.MonkeyPatch, handler: Handler) -> Iterator[Callable[[], lm15.Response]]:
    async def main() -> lm15.Response:
        app = web.Application()
        app.router.add_post("/openai/deployments/m/chat/completions", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
        engine = OpenAIEngine(Endpoint(azure=True, key_variable="AZURE_OPENAI_API_KEY"))
        try:
            return await engine.complete(request())
        finally:
            await engine.aclose()
            await runner.cleanup()

    yield lambda: asyncio.run(main())


@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.2-mini", "openai/gpt-5-nano"])
def test_models_that_reason_get_their_own_limit_and_no_temperature(model: str) -> None:
    body = to_wire(request(model, max_tokens=100, temperature=0.7, top_p=0.9), Endpoint())
    assert thinks_first(model) and body["max_completion_tokens"] == 100 + 8192
    assert not {"max_tokens", "temperature", "top_p"} & body.keys()


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest", "Qwen/Qwen3-8B", "llama-3.1-70b", "gpt-oss-120b"])
def test_all_others_get_the_common_parameters(model: str) -> None:
    body = to_wire(request(model, max_tokens=100, temperature=0.7, top_p=0.9), Endpoint())
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (100, 0.7, 0.9)
    assert "max_completion_tokens" not in body


def test_headroom_and_effort_and_extra_body_are_passed_on() -> None:
    endpoint = Endpoint(reasoning_headroom=500, reasoning_effort="low", extra_body={"top_k": 3})
    body = to_wire(request(max_tokens=100), endpoint)
    assert (body["max_tokens"], body["reasoning_effort"], body["top_k"]) == (600, "low", 3)


def test_retry_after_in_all_its_forms() -> None:
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after({}) is None and retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "1.5"}) == 1.5 and retry_after({"retry-after-ms": "250"}) == 0.25
    assert 25 < (retry_after({"retry-after": soon}) or 0) <= 30


# --- what a server may send that no reader of JSON or of headers expects ---


def test_numbers_that_json_does_not_have_cost_no_reply() -> None:
    raw = orjson.dumps(reply(content="Hi")).replace(b'"usage":null', b'"usage":null,"logprob":NaN,"x":-Infinity')
    assert text_of(from_wire(decode(raw), "m")) == "Hi"


def test_what_nests_too_deeply_is_no_reply() -> None:
    with pytest.raises(lm15.TransportError, match="not JSON"):
        decode(b'{"a":' * 200_000)


@pytest.mark.parametrize("finish", [[], {}, 3, ["stop"]])
def test_a_finish_reason_that_is_no_word_is_an_unknown_one(finish: Any) -> None:
    assert from_wire(reply(finish, content="Hi"), "m").finish_reason == "error"


@pytest.mark.parametrize("value", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "inf", "nan", "-inf", "soon"])
def test_a_time_to_wait_that_there_is_not_is_none(value: str) -> None:
    assert retry_after({"retry-after": value}) is None and retry_after({"retry-after-ms": value}) is None


def test_an_error_with_odd_letters_in_its_headers_is_that_error() -> None:
    with pytest.raises(lm15.ServerError):
        ask(answering({"error": {"message": "busy"}}, 503, **{"x-message": "\u00fcberlastet"}))


def test_thoughts_that_are_counted_beside_the_reply_are_paid_like_it() -> None:
    def used(total: int) -> dict[str, Any]:
        details = {"reasoning_tokens": 2000}
        return {"prompt_tokens": 1000, "completion_tokens": 2500 if total == 3500 else 500, "total_tokens": total,
                "completion_tokens_details": details}  # fmt: skip

    beside = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 3500,
              "completion_tokens_details": {"reasoning_tokens": 2000}}  # fmt: skip
    assert usage_of(beside).output_tokens == 2500
    assert usage_of(used(3500)).output_tokens == 2500  # among them, as OpenAI counts


def test_a_question_that_a_moderator_flags_is_no_wrong_key() -> None:
    body = {"error": {"message": "Your input was flagged", "code": 403, "metadata": {"reasons": ["violence"]}}}
    with pytest.raises(lm15.InvalidRequestError) as told:
        ask(answering(body, 403))
    assert told.value.provider_code == "content_filter"
    for said in (
        "this key may not use the model",
        "Your account has been flagged for suspicious activity",
        "Project does not have access to model omni-moderation-latest",
    ):
        with pytest.raises(lm15.AuthError):
            ask(answering({"error": {"message": said}}, 403))


def test_a_call_that_found_no_way_to_the_endpoint_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(address: str) -> None:
        engine = OpenAIEngine(Endpoint(base_url=address))
        try:
            await engine.complete(request())
        finally:
            await engine.aclose()

    for address in ("http://127.0.0.1:9/v1", "http://nowhere.invalid/v1"):
        with pytest.raises(lm15.TransportError) as told:
            asyncio.run(main(address))
        assert told.value.provider_code == NOT_SENT


def test_a_proxy_that_refuses_ends_the_run_and_its_password_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2secret@127.0.0.1:{port}")
        monkeypatch.setenv("https_proxy", f"http://user:hunter2secret@127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        engine = OpenAIEngine(Endpoint(base_url="https://models.example/v1"))
        try:
            await engine.complete(request())
        finally:
            await engine.aclose()
            proxy.close()

    with pytest.raises(lm15.ConfigurationError) as told:
        asyncio.run(main())
    assert "hunter2" not in str(told.value) and "proxy" in str(told.value)


def test_the_key_is_hidden_whatever_its_variable_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER", "tgp_v1_abcdefgh")
    with pytest.raises(lm15.AuthError) as told:
        ask(answering({"error": {"message": "Invalid: Bearer tgp_v1_abcdefgh"}}, 401), key_variable="TOGETHER")
    assert "tgp_v1" not in str(told.value)


def test_a_header_with_a_key_goes_to_the_server_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    headers = ("X-API-Key: first-gateway-key", "X-Team: physics")

    def shown(answers: str | None, base_url: str = "https://gw.example/v1/a") -> set[str]:
        settings = Settings(model_name="m", base_url=base_url, answer_base_url=answers, extra_header=headers)
        return set(endpoint_for(settings, True).extra_headers)

    assert shown(None) == shown("https://gw.example/v1/b") == {"X-API-Key", "X-Team"}
    assert shown("http://gw.example/v1/b") == shown("https://other.example/v1") == {"X-Team"}


def test_a_tuning_log_tells_azures_resources_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    assert where_of("gpt-4o", Settings(), False) == ""
    found = set[str]()
    for name in ("one", "two"):
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"https://{name}.openai.azure.com")
        found.add(where_of("gpt-4o", Settings(), False))
    assert len(found) == 2
