"""Providers that DSPy serves itself, against a loopback server that speaks Anthropic's Messages API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from dspy import lm15
from dspy.lm15 import Config, Message, Request

from glan_dspy.addresses import bare_name
from glan_dspy.connect import connect, engine_for
from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.forms import Forms
from glan_dspy.engines.journal import text_of
from glan_dspy.engines.openai import OpenAIEngine
from glan_dspy.engines.provider import Provider, ProviderEngine, provider_of
from glan_dspy.errors import UserError
from glan_dspy.program import open_program
from glan_dspy.run.command import bulk
from glan_dspy.settings import Settings

Json = dict[str, Any]
SUBJECTS = '{"subjects": [{"name": "Wave Optics", "level": 200, "subtopics": ["Interference"]}]}'
MODEL = "anthropic/claude-sonnet-4-5"


class Anthropic:
    """The Messages API in its least: a reply, or what `refuse` says instead."""

    def __init__(self, refuse: Callable[[Json], Any] = lambda body: None) -> None:
        self.refuse, self.bodies, self.keys = refuse, [], []  # type: ignore[var-annotated]

    async def messages(self, http: web.Request) -> web.Response:
        body = orjson.loads(await http.read())
        self.bodies.append(body)
        self.keys.append(http.headers.get("x-api-key"))
        if isinstance(refused := self.refuse(body), (bytes, tuple)):
            status, raw = refused if isinstance(refused, tuple) else (200, refused)
            return web.Response(status=status, body=raw, content_type="application/json")
        structured = "output_config" in body or "JSON" in str(body.get("system"))
        return web.json_response(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": [{"type": "text", "text": SUBJECTS if structured else "An answer: \\theta"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 3},
            }
        )


def error(text: str, status: int = 400, type: str = "invalid_request_error") -> tuple[int, bytes]:
    return status, orjson.dumps({"type": "error", "error": {"type": type, "message": text}})


def served(server: Anthropic, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> Any:
    """What the coroutine function brings while the server stands where ANTHROPIC_BASE_URL says."""

    async def main() -> Any:
        app = web.Application()
        app.router.add_post("/v1/messages", server.messages)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}/v1")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "ant-key")
        try:
            return await work()
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def settings(**changes: Any) -> Settings:
    return Settings(**{"model_name": MODEL, "language": "English", "max_attempts": 1, **changes})


def stages(server: Anthropic, monkeypatch: pytest.MonkeyPatch, forms: Forms | None = None) -> tuple[Any, list[Json]]:
    """(the subjects and the answer that two stages bring over the server, the lines recorded)."""
    lines: list[Json] = []

    async def work() -> Any:
        models = connect(settings(), forms=forms)
        glan = open_program(settings()).connect(models)
        CALL.set(Call("subjects", "s1", record=lines.append))
        try:
            subjects = await glan.subjects.acall(
                discipline="Optics", max_subjects=1, max_subtopics=1, language="English"
            )
            answer = await glan.answer.acall(question="What is it?", language="English", subject="Optics", level=200)
            return subjects.subjects, answer.answer
        finally:
            await models.aclose()

    with bulk():
        return served(server, monkeypatch, work), lines


def test_text_and_structured_stages_over_anthropics_own_api(monkeypatch: pytest.MonkeyPatch) -> None:
    (subjects, answer), lines = stages(server := Anthropic(), monkeypatch)
    assert subjects[0].name == "Wave Optics" and answer == "An answer: \\theta"
    structured, text = server.bodies
    assert structured["output_config"]["format"]["type"] == "json_schema" and "output_config" not in text
    assert not {"seed", "extensions"} & (structured.keys() | text.keys())
    assert structured["model"] == "claude-sonnet-4-5" and server.keys == ["ant-key", "ant-key"]
    assert (structured["max_tokens"], text["max_tokens"]) == (8192, 2048)
    assert [line["completion_tokens"] for line in lines] == [7, 7] and lines[0]["cached_tokens"] == 3


def test_what_the_provider_refuses_is_left_out_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(body: Json) -> Any:
        if "top_p" in body:
            return error("`temperature` and `top_p` cannot both be specified for this model.")
        return error("output_config.format: structured outputs are not available") if "output_config" in body else None

    forms = Forms()
    (subjects, _), lines = stages(server := Anthropic(strict), monkeypatch, forms)
    line = {"structured": "prompt", "without": ["top_p"]}
    assert subjects[0].name == "Wave Optics" and forms.state() == {f"anthropic|{MODEL}": line}
    assert len(lines) == 2 and "top_p" not in server.bodies[-1]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"<html>Bad gateway</html>", lm15.LM15Error),
        (b'{"id": "msg_1", "content": [{"ty', lm15.LM15Error),
        (b'{"content": 3}', lm15.LM15Error),
        (b"[]", lm15.LM15Error),
        (error("no such key", 401, "authentication_error"), lm15.AuthError),
        (error("slow down", 429, "rate_limit_error"), lm15.RateLimitError),
        (error("overloaded", 529, "overloaded_error"), lm15.ServerError),
    ],
)
def test_every_bad_reply_is_a_typed_error(answer: Any, kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> Any:
        engine = ProviderEngine(Provider("anthropic"), Endpoint(key_variable=""))
        try:
            return await engine.complete(
                Request(model=MODEL, messages=(Message.user("Hello"),), config=Config(max_tokens=5))
            )
        finally:
            await engine.aclose()

    with pytest.raises(kind):
        served(Anthropic(lambda body: answer), monkeypatch, work)


def test_reasoning_and_extra_fields_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Anthropic()

    async def work() -> Any:
        endpoint = Endpoint(key_variable="", extra_body={"top_k": 5}, reasoning_effort="low", reasoning_headroom=100)
        engine = ProviderEngine(Provider("anthropic"), endpoint)
        request = Request(model=MODEL, messages=(Message.user("Hello"),), config=Config(max_tokens=5))
        try:
            return await engine.complete(request)
        finally:
            await engine.aclose()

    assert text_of(served(server, monkeypatch, work)) == "An answer: \\theta"
    assert server.bodies[0]["top_k"] == 5 and server.bodies[0]["max_tokens"] > 105 and "thinking" in server.bodies[0]


# --- which engine serves a name -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("anthropic/claude-sonnet-4-5", "anthropic"),
        ("gemini/gemini-2.5-flash", "gemini"),
        ("google/gemini-2.5-flash", "gemini"),
        ("groq/openai/gpt-oss-20b", "groq"),
        ("openai/gpt-4o", None),
        ("azure/deployment", None),
        ("azure-anthropic/claude", "azure-anthropic"),
        ("Qwen/Qwen3-8B", None),
        ("meta-llama/Llama-3.1-8B", None),
        ("gpt-4o", None),
        ("claude-code/opus", None),
        ("claude-sonnet/x", None),
    ],
)
def test_providers_by_name(model: str, provider: str | None) -> None:
    found = provider_of(model)
    assert (found.id if found else None) == provider


def test_a_server_of_ones_own_gets_any_name_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings(base_url="http://localhost:8000/v1")
    for model in ("Qwen/Qwen3-8B", MODEL, "openai/gpt-4o"):
        assert isinstance(engine_for(model, own, False), OpenAIEngine) and bare_name(model, own, False) == model
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert bare_name("openai/gpt-4o", settings(), False) == "gpt-4o"
    assert connect(settings(model_name="openai/gpt-4o")).question.model == "gpt-4o"


@pytest.mark.parametrize(
    ("model", "names"),
    [(MODEL, "ANTHROPIC_API_KEY"), ("gemini/x", "GEMINI_API_KEY or GOOGLE_API_KEY"), ("xai/grok", "XAI_API_KEY")],
)
def test_a_missing_key_is_told_before_anything_is_sent(model: str, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "XAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "another's")
    with pytest.raises(UserError, match=rf"model '{model}' needs a key: set {names};"):
        connect(settings(model_name=model))


def test_the_answer_model_may_have_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    chosen = settings(model_name="rehearsal", model_name_for_answer=MODEL, answer_api_key_env="MY_KEY")
    with pytest.raises(UserError, match="set MY_KEY"):
        connect(chosen)
    monkeypatch.setenv("MY_KEY", "k")
    connect(chosen)


def test_extra_headers_do_not_go_to_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    with pytest.raises(UserError, match="--extra-header"):
        connect(settings(extra_header=("X-Team: mine",)))
