"""What is sent again, how often, and after how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dspy import lm15
from dspy.lm15 import Message, Request, Response, TextPart, Usage
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.engines.background import SyncFace
from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.journal import Journal, text_of
from glan_dspy.engines.meter import Meter
from glan_dspy.engines.retry import LONGEST_PAUSE, LONGEST_WISH, Retry, how_long

REQUEST = Request(model="m", messages=(Message.user("Hello"),))
REPLY = Response(id=None, model="m", message=Message.assistant([TextPart("Hi")]), finish_reason="stop", usage=Usage())


class Script:
    """Gives these in order; raises when there is none left."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)

    async def complete(self, request: Request) -> Response:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, Response)
        return step


def complete(*steps: Any, attempts: int = 5) -> tuple[Any, list[float], list[dict[str, Any]]]:
    """(reply or error, the pauses made, the lines recorded)."""
    pauses: list[float] = []
    lines: list[dict[str, Any]] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def main() -> Any:
        CALL.set(Call("question", "q1", record=lines.append))
        try:
            return await Journal(Retry(Meter(Script(*steps)), attempts, pause)).complete(REQUEST)
        except lm15.LM15Error as error:
            return error

    return asyncio.run(main()), pauses, lines


def test_what_heals_is_sent_again_and_every_attempt_is_recorded() -> None:
    got, pauses, lines = complete(lm15.ServerError("x", status=500), lm15.TransportError("y"), REPLY)
    assert text_of(got) == "Hi" and len(pauses) == 2
    assert [line.get("error") for line in lines] == ["ServerError", "TransportError", None]
    assert [line["attempt"] for line in lines] == [0, 1, 2] and len({line["id"] for line in lines}) == 3


@pytest.mark.parametrize("error", [lm15.AuthError("x"), lm15.InvalidRequestError("x"), lm15.BillingError("x")])
def test_what_never_heals_is_not_sent_again(error: Exception) -> None:
    got, pauses, lines = complete(error)
    assert got is error and pauses == [] and len(lines) == 1


def test_the_last_failure_is_raised_when_all_attempts_are_used() -> None:
    got, pauses, _ = complete(*(lm15.ServerError(str(n), status=500) for n in range(3)), attempts=3)
    assert isinstance(got, lm15.ServerError) and got.message == "2" and len(pauses) == 2


def test_retry_after_is_obeyed() -> None:
    _, pauses, _ = complete(lm15.RateLimitError("slow down", retry_after=20.0), REPLY)
    assert 20.0 <= pauses[0] <= 21.0


@given(st.integers(1, 200), st.one_of(st.none(), st.floats(0, 1e9)))
def test_pauses_are_bounded_and_never_shorter_than_wished(attempt: int, wish: float | None) -> None:
    pause = how_long(attempt, wish)
    assert 0 < pause <= max(LONGEST_PAUSE, LONGEST_WISH + LONGEST_PAUSE)
    assert wish is None or pause >= min(wish, LONGEST_WISH)


def test_a_kept_reply_is_not_asked_for_and_not_paid_again() -> None:
    kept: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []

    async def once(engine: Any, recall: Any) -> Call:
        call = Call("syllabus", "s1", record=lines.append, keep=kept.append, recall=recall)
        CALL.set(call)
        await Journal(Meter(engine)).complete(REQUEST)
        return call

    first = asyncio.run(once(Script(REPLY), lambda key: None))
    again = asyncio.run(once(Script(), {line["id"]: line for line in kept}.get))
    assert first.response and again.response and text_of(again.response) == "Hi"
    assert again.id == first.id and len(lines) == len(kept) == 1


def test_the_synchronous_face_carries_the_callers_context() -> None:
    lines: list[dict[str, Any]] = []
    CALL.set(Call("answer", "a1", record=lines.append))
    try:
        assert text_of(SyncFace(Meter(Script(REPLY))).complete(REQUEST)) == "Hi"
    finally:
        CALL.set(None)
    assert lines[0]["item"] == "a1"
