"""Servers that take other requests than OpenAI's: the form is found once, at once, and nothing is paid twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from dspy import lm15
from dspy.lm15 import Config, Message, Request

from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.form import Form
from glan_dspy.engines.forms import Forms, State
from glan_dspy.engines.journal import text_of
from glan_dspy.engines.openai import OpenAIEngine, to_wire

Json = dict[str, Any]
Answer = tuple[int, Any]
Server = Callable[[Json], Answer]

SCHEMA: Json = {"type": "object", "properties": {"subjects": {"type": "array"}}, "required": ["subjects"]}
FORMAT: Json = {"type": "json_schema", "name": "Reply", "strict": True, "schema": SCHEMA}
GOOD = {"choices": [{"finish_reason": "stop", "message": {"content": '{"subjects": []}'}}]}


def request(structured: bool = True, system: str = "List subjects.", **config: Any) -> Request:
    config = {"max_tokens": 100, "temperature": 0.7, "top_p": 0.9, "seed": 5, **config}
    response_format = {"response_format": FORMAT} if structured else {}
    return Request(
        model="m", system=system, messages=(Message.user("Optics"),), config=Config(**config, **response_format)
    )


class Talk:
    """What a conversation of requests with a server came to."""

    def __init__(self) -> None:
        self.bodies: list[Json] = []
        self.results: list[Any] = []
        self.changes: list[State] = []
        self.forms = Forms(on_change=self.changes.append)

    @property
    def texts(self) -> list[str]:
        return [text_of(result) for result in self.results]

    @property
    def ways(self) -> list[str]:
        return [way_of(body) for body in self.bodies]

    @property
    def found(self) -> Json:
        (line,) = self.forms.state().values()
        return line


def way_of(body: Json) -> str:
    form = body.get("response_format")
    if form is None:
        return "prompt"
    return "json_object_schema" if "schema" in form else str(form["type"])


def talk(server: Server, *requests: Request, at_once: bool = False, **endpoint: Any) -> Talk:
    """Sends the requests one after the other, or all at once; errors stand in the results."""
    talk = Talk()

    async def handle(http: web.Request) -> web.Response:
        body = orjson.loads(await http.read())
        talk.bodies.append(body)
        await asyncio.sleep(0.01)
        status, reply = server(body)
        return web.json_response(reply if isinstance(reply, dict) else {"error": {"message": reply}}, status=status)

    async def ask(engine: OpenAIEngine, request: Request) -> None:
        try:
            talk.results.append(await engine.complete(request))
        except lm15.LM15Error as error:
            talk.results.append(error)

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        engine = OpenAIEngine(Endpoint(**{"base_url": f"http://127.0.0.1:{port}/v1", **endpoint}), talk.forms)
        try:
            if at_once:
                await asyncio.gather(*(ask(engine, request) for request in requests))
            else:
                for one in requests:
                    await ask(engine, one)
        finally:
            await engine.aclose()
            await runner.cleanup()

    asyncio.run(main())
    return talk


def taking(*ways: str, status: int = 400, text: str = "response_format is not supported: {way}") -> Server:
    """A server that takes these ways of structured output."""

    def server(body: Json) -> Answer:
        way = way_of(body)
        return (200, GOOD) if way in ways else (status, text.format(way=way))

    return server


# --- structured output ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["json_schema", "json_object_schema", "json_object", "prompt"])
@pytest.mark.parametrize("status", [400, 422, 500])
def test_the_first_request_finds_the_form_and_the_others_use_it(way: str, status: int) -> None:
    ladder = ["json_schema", "json_object_schema", "json_object", "prompt"]
    done = talk(taking(way, status=status), *[request()] * 3)
    steps = ladder[: ladder.index(way) + 1]
    assert done.ways == [*steps, way, way]
    assert done.found == {"structured": way} and len(done.changes) == 1
    assert all(text == '{"subjects": []}' for text in done.texts)


def test_llama_cpp_pythons_500_is_understood_from_its_text() -> None:
    text = (
        "[{{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text'\"}}]"
    )
    done = talk(taking("json_object_schema", "json_object", status=500, text=text), request(), request())
    assert done.ways == ["json_schema", "json_object_schema", "json_object_schema"]
    assert done.bodies[1]["response_format"] == {"type": "json_object", "schema": SCHEMA}


def test_a_500_that_says_nothing_is_believed_after_three_requests_whose_replies_are_all_used() -> None:
    done = talk(taking("json_object_schema", status=500, text="Internal Server Error"), *[request()] * 5)
    assert done.ways == ["json_schema", "json_object_schema"] * 3 + ["json_object_schema"] * 2
    assert len(done.texts) == 5 and done.found == {"structured": "json_object_schema"}


def test_an_outage_that_heals_does_not_lower_the_form() -> None:
    answers = iter([(500, "boom"), (200, GOOD), (500, "boom"), (200, GOOD)])
    done = talk(lambda body: next(answers, (200, GOOD)), *[request()] * 4)
    assert done.ways[:5] == ["json_schema", "json_object_schema"] * 2 + ["json_schema"]
    assert set(done.ways[4:]) == {"json_schema"} and done.found == {"structured": "json_schema"}


def test_an_outage_stays_a_server_error_for_the_retry_above() -> None:
    done = talk(lambda body: (500, "response_format broke"), request())
    assert isinstance(done.results[0], lm15.ServerError) and done.forms.state() == {}


def test_a_500_after_the_form_is_known_is_an_ordinary_failure() -> None:
    answers = iter([(200, GOOD)])
    done = talk(lambda body: next(answers, (500, "json_schema broke")), request(), request())
    assert done.ways == ["json_schema", "json_schema"] and isinstance(done.results[1], lm15.ServerError)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_overload_is_no_refusal(status: int) -> None:
    done = talk(lambda body: (status, "response_format workers are busy"), request())
    assert len(done.bodies) == 1 and done.results[0].status == status


def test_of_many_first_requests_one_finds_the_form_and_the_rest_wait_for_it() -> None:
    done = talk(taking("json_object"), *[request()] * 40, at_once=True)
    assert done.ways[:3] == ["json_schema", "json_object_schema", "json_object"]
    assert done.ways[3:] == ["json_object"] * 39 and len(done.texts) == 40


def test_text_requests_do_not_wait_and_find_nothing() -> None:
    done = talk(lambda body: (200, GOOD), *[request(False)] * 3, at_once=True)
    assert len(done.bodies) == 3 and done.forms.state() == {}


def test_a_refused_content_does_not_change_the_form() -> None:
    """An error may quote a question about database schemas or grammar."""

    def server(body: Json) -> Answer:
        return (400, "cannot answer: 'explain json_schema'") if "bad" in str(body["messages"]) else (200, GOOD)

    done = talk(server, request(), request(system="bad"), request())
    assert isinstance(done.results[1], lm15.InvalidRequestError) and "explain" in str(done.results[1])
    assert done.ways[-1] == "json_schema" and done.found == {"structured": "json_schema"}


def test_what_was_found_is_started_from_at_the_next_command() -> None:
    first = talk(taking("json_object"), request())
    ((name, line),) = first.forms.state().items()
    later = Forms({name: line, "elsewhere|x": {"structured": "prompt"}, "broken|x": 3, "odd|x": {"structured": "no"}})
    place, _, model = name.rpartition("|")
    assert later.of(place, model).form.structured == "json_object" and later.of(place, model).proven
    assert later.of("elsewhere", "x").form.structured == "prompt"
    assert later.of("broken", "x").form == later.of("odd", "x").form == Form()


def test_a_forced_form_is_kept_whatever_the_server_says() -> None:
    done = talk(taking("json_object"), request(), structured="json_object_schema")
    assert done.ways == ["json_object_schema"] and isinstance(done.results[0], lm15.InvalidRequestError)
    done = talk(taking("prompt"), request(), structured="prompt")
    assert done.ways == ["prompt"] and done.forms.state() == {}


def test_the_schema_goes_into_a_prompt_that_does_not_show_the_shape() -> None:
    done = talk(taking("json_object"), request(), request(system='Give {"subjects": [string]}'))
    plain, shaped = done.bodies[-2]["messages"][0]["content"], done.bodies[-1]["messages"][0]["content"]
    assert plain.startswith("List subjects.\n\nReply with one JSON object that fits this schema:\n{")
    assert shaped == 'Give {"subjects": [string]}'


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed", "Unrecognized request argument supplied: seed"),
        ("seed", "[{'type': 'extra_forbidden', 'loc': ['body', 'seed'], 'msg': 'Extra inputs are not permitted'}]"),
        ("temperature", "Unsupported value: 'temperature' does not support 0.7 with this model."),
        ("top_p", "`temperature` and `top_p` cannot both be specified for this model."),
        ("reasoning_effort", "Unknown parameter: reasoning_effort"),
    ],
)
@pytest.mark.parametrize("structured", [True, False])
def test_a_refused_parameter_is_left_out_from_then_on(name: str, text: str, structured: bool) -> None:
    done = talk(
        lambda body: (400, text) if name in body else (200, GOOD), *[request(structured)] * 2, reasoning_effort="low"
    )
    assert [name in body for body in done.bodies] == [True, False, False]
    assert done.found.pop("without") == [name] and len(done.texts) == 2
    others = {"seed", "temperature", "top_p", "max_tokens", "reasoning_effort"} - {name}
    assert others <= done.bodies[-1].keys()


def test_an_error_that_names_its_parameter_is_taken_at_its_word() -> None:
    error = {"error": {"message": "'seed' is fine, but not this", "param": "top_p", "code": "unsupported_parameter"}}
    done = talk(lambda body: (400, error) if "top_p" in body else (200, GOOD), request(False))
    assert done.found == {"without": ["top_p"]}


def test_several_refusals_one_after_the_other() -> None:
    def strict(body: Json) -> Answer:
        for name in ("seed", "top_p", "max_tokens"):
            if name in body:
                return 422, f"extra fields not permitted: '{name}'"
        return taking("json_object")(body)

    done = talk(strict, request(), request())
    line = {"structured": "json_object", "without": ["seed", "top_p"], "limit": "max_completion_tokens"}
    assert done.found == line and len(done.texts) == 2 and len(done.bodies) == 7
    assert done.bodies[-1]["max_completion_tokens"] == 100 and "max_tokens" not in done.bodies[-1]


def test_the_other_spelling_of_the_limit_both_ways() -> None:
    text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    done = talk(lambda body: (400, text) if "max_tokens" in body else (200, GOOD), request(False))
    assert done.found == {"limit": "max_completion_tokens"} and done.bodies[-1]["max_completion_tokens"] == 100
    reasoning = to_wire(
        lm15.Request(model="o3", messages=(Message.user("x"),), config=Config(max_tokens=5)), Endpoint()
    )
    assert "max_tokens" in Form(limit="max_tokens").fitted(reasoning)


def test_a_limit_that_is_too_large_is_no_refused_parameter_and_no_request_goes_without_a_limit() -> None:
    text = "max_tokens is too large: 100. This model supports at most 50 completion tokens"
    done = talk(lambda body: (400, text), request(False))
    assert len(done.bodies) == 1 and isinstance(done.results[0], lm15.InvalidRequestError)
    done = talk(lambda body: (400, "unknown: max_tokens, max_completion_tokens"), request(False))
    assert all({"max_tokens", "max_completion_tokens"} & body.keys() for body in done.bodies)


def test_a_question_about_seeds_and_temperatures_changes_nothing() -> None:
    text = "refused: 'At which temperature does the seed sprout, and what is its grammar?'"
    done = talk(lambda body: (400, text), request(False))
    assert len(done.bodies) == 1 and done.forms.state() == {}


@pytest.mark.parametrize("code", ["content_filter", "context_length_exceeded"])
def test_a_filtered_or_overlong_content_is_left_alone(code: str) -> None:
    error = {"error": {"message": "response_format aside, no", "code": code}}
    assert len(talk(lambda body: (400, error), request()).bodies) == 1


def test_what_the_user_fixed_stays() -> None:
    fixed = {"response_format": {"type": "text"}, "seed": 9}
    body = to_wire(request(), Endpoint(extra_body=fixed))
    put = Form("prompt", frozenset({"seed", "top_p"})).fitted(body, fixed)
    assert put["response_format"] == {"type": "text"} and put["seed"] == 9 and "top_p" not in put


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Authentication Error, Invalid proxy server token passed. valid_token=None.",
        "Authentication Error, No api key passed in.",
        "litellm.AuthenticationError: invalid_api_key",
    ],
)
def test_a_gateways_400_for_a_wrong_key_is_a_wrong_key(text: str) -> None:
    done = talk(lambda body: (400, text), request())
    assert isinstance(done.results[0], lm15.AuthError) and len(done.bodies) == 1


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        (Endpoint(), "openai"),
        (Endpoint(azure=True), "azure"),
        (Endpoint(base_url="http://localhost:8000/v1"), "http://localhost:8000/v1"),
        (Endpoint(base_url="https://me:secret@host/v1?key=secret@x"), "https://host/v1"),
    ],
)
def test_an_endpoints_name_in_run_json_holds_no_key(endpoint: Endpoint, place: str) -> None:
    assert endpoint.place() == place


# --- waiting --------------------------------------------------------------------------------------


def test_nobody_waits_long_for_a_first_request_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glan_dspy.engines.forms.PATIENCE", 0.02)
    answer = lm15.Response(
        id=None,
        model="m",
        message=Message.assistant([lm15.TextPart("{}")]),
        finish_reason="stop",
        usage=lm15.Usage(),
    )

    async def main() -> None:
        fit, hung = Forms().of("somewhere", "m"), asyncio.Event()

        async def hangs(form: Form) -> lm15.Response:
            await hung.wait()
            return answer

        async def answers(form: Form) -> lm15.Response:
            return answer

        first = asyncio.create_task(fit.ask(request(), hangs))
        await asyncio.sleep(0)
        done = await asyncio.gather(*(fit.ask(request(), answers) for _ in range(5)))
        assert len(done) == 5 and not first.done() and fit.proven
        hung.set()
        await first

    asyncio.run(main())


def test_a_first_request_that_is_given_up_lets_the_next_one_look() -> None:
    done = talk(lambda body: (503, "busy"), request())
    assert isinstance(done.results[0], lm15.ServerError)

    async def main() -> None:
        fit = Forms().of("somewhere", "m")

        async def never(form: Form) -> lm15.Response:
            await asyncio.Event().wait()
            raise AssertionError

        async def refuses(form: Form) -> lm15.Response:
            raise lm15.ServerError("busy", status=503)

        first = asyncio.create_task(fit.ask(request(), never))
        second = asyncio.create_task(fit.ask(request(), refuses))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(lm15.ServerError):
            await second

    asyncio.run(main())
