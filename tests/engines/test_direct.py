"""The short way of a call and DSPy's own give the same: requests, replies and errors."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.lm15 import Message, RefusalPart, Request, Response, TextPart, ThinkingPart, Usage, request_from_openai_chat
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import AdapterParseError, LMRateLimitError, LMUnexpectedError

from glan_dspy.adapters import CompactAdapter
from glan_dspy.connect import language_model
from glan_dspy.engines.direct import DirectLM, plain_request
from glan_dspy.predicting import predict
from glan_dspy.run.command import bulk
from glan_dspy.signatures import AnswerQuestion, DesignSyllabus

SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, wörld"}
DEMO = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
OPTIONS = {"temperature": 1, "top_p": 0.9, "max_tokens": 7, "seed": 3}
SYLLABUS = '{"introduction": "Light.", "sessions": [{"name": "Films", "description": "", "key_concepts": ["phase"]}]}'
FORM = CompactAdapter().plan(DesignSyllabus).response_format


class Engine:
    """Gives this, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Response:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Response(id=None, model="m", message=Message.assistant(self.answer), finish_reason="stop", usage=Usage())


def both(answer: Any, messages: list[dict[str, str]], **options: Any) -> tuple[Any, Any, list[Request]]:
    """(by the short way, by DSPy's own, what the engine was asked by each)."""
    engine = Engine(answer)
    lm = language_model("m", engine)
    assert isinstance(lm, DirectLM)

    async def ask(own: bool) -> Any:
        from dspy.clients._deprecation import adapter_message_call

        with adapter_message_call(lm, messages):
            way = super(DirectLM, lm).acall if own else lm.acall
            try:
                return await way(messages=messages, **options)
            except Exception as error:
                return type(error), str(error), type(error.__cause__)

    with bulk():
        return asyncio.run(ask(False)), asyncio.run(ask(True)), engine.asked


@pytest.mark.parametrize("messages", [[SYSTEM, USER], [SYSTEM, *DEMO, USER]])
@pytest.mark.parametrize("more", [{}, OPTIONS, {**OPTIONS, "response_format": FORM}, {"seed": None}])
def test_the_request_is_the_one_that_dspy_makes(messages: list[dict[str, str]], more: dict[str, Any]) -> None:
    _, _, (short, own) = both([TextPart("x")], messages, **more)
    assert short == own
    wire = {"model": "m", "messages": messages, **{k: v for k, v in more.items() if v is not None}}
    assert plain_request("m", messages, {k: v for k, v in more.items() if v is not None}) == request_from_openai_chat(
        wire
    )


@pytest.mark.parametrize("messages", [[USER], [SYSTEM], [USER, SYSTEM], [SYSTEM, {"role": "tool", "content": "x"}]])
def test_what_is_not_plain_is_left_to_dspy(messages: list[dict[str, str]]) -> None:
    assert plain_request("m", messages, {}) is None


@pytest.mark.parametrize(
    "answer",
    [
        [TextPart("Hello")],
        [TextPart("Hel"), TextPart("lo")],
        [ThinkingPart("hm"), TextPart("Hello")],
        [RefusalPart("I cannot."), TextPart("")],
        lm15.RateLimitError("slow down", status=429, retry_after=7),
        lm15.AuthError("who?", status=401),
        ZeroDivisionError("a bug"),
    ],
)
def test_replies_and_errors_are_those_of_dspy(answer: Any) -> None:
    short, own, _ = both(answer, [SYSTEM, USER], **OPTIONS)
    if isinstance(own, list) and isinstance(own[0], dict):  # thoughts and refusals: adapters read the text only
        own = [own[0]["text"]]
    assert short == own
    if isinstance(answer, lm15.RateLimitError):
        assert short[0] is LMRateLimitError
    if isinstance(answer, ZeroDivisionError):
        assert short[0] is LMUnexpectedError


def test_half_a_character_is_refused_as_dspy_refuses_it() -> None:
    short, own, asked = both([TextPart("x")], [SYSTEM, {"role": "user", "content": "a\ud800"}])
    assert short == own and short[0] is ValueError and not asked


class Watcher(BaseCallback):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.seen.append("lm")

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.seen.append(type(instance).__name__)


@pytest.mark.parametrize("watch", [{}, {"trace": []}, {"disable_history": False}, {"track_usage": True}])
def test_a_prediction_is_the_same_watched_or_not(watch: dict[str, Any]) -> None:
    predictor = dspy.Predict(AnswerQuestion)
    predictor.lm = language_model("m", Engine([TextPart(" An answer.\n")]))
    inputs = {"question": "Why?", "language": None, "subject": "Optics", "level": 300}
    with bulk(), dspy.context(**watch):
        got = asyncio.run(predict(predictor, {"seed": 1}, inputs))
        assert got.answer == "An answer."
        if watch.get("trace") is not None:
            assert len(watch["trace"]) == 1
        if watch.get("disable_history") is False:
            assert len(predictor.history) == len(predictor.lm.history) == 1


@pytest.mark.parametrize(
    "reply", [SYLLABUS, SYLLABUS[:-2], '{"introduction": 1}', "", "Sorry.", f"<think>{{</think>{SYLLABUS}"]
)
def test_a_structured_reply_is_read_the_same_by_the_short_way(reply: str) -> None:
    predictor, engine = dspy.Predict(DesignSyllabus), Engine([TextPart(reply)])
    predictor.lm = language_model("m", engine)
    inputs = {"language": "English", "max_sessions": 2, "discipline": "Optics", "subject": "Waves", "level": 300,
              "subtopics": ["films"]}  # fmt: skip

    async def ask(short: bool) -> Any:
        try:
            return await (predict(predictor, OPTIONS, inputs) if short else predictor.acall(**inputs, config=OPTIONS))
        except AdapterParseError as error:
            return error.lm_response, error.parsed_result

    with bulk():
        assert asyncio.run(ask(True)) == asyncio.run(ask(False))
    assert engine.asked[0] == engine.asked[1]
    assert engine.asked[0].config.response_format is not None


def test_callbacks_see_every_call() -> None:
    predictor = dspy.Predict(AnswerQuestion)
    predictor.lm = language_model("m", Engine([TextPart("An answer.")]))
    watcher = Watcher()
    with bulk(), dspy.context(callbacks=[watcher]):
        asyncio.run(predict(predictor, {}, {"question": "Why?", "language": None, "subject": None, "level": None}))
    assert watcher.seen == ["Predict", "lm"]
