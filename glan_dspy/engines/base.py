"""What an engine is, and what travels beside a request.

An engine carries one request to a model and brings one reply back: `await engine.complete(request)`
with `dspy.lm15.Request` and `Response`. It knows nothing of GLAN. Engines wrap one another like
middleware, `Journal(Retry(Meter(OpenAIEngine())))`, and a test's fake is one more engine.

A finish reason, a call's tokens and its identity never reach a DSPy Prediction. They travel in `CALL`,
a context variable: DSPy awaits an engine in its caller's own task, so what an engine notes there is
what the caller finds there, at any concurrency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from dspy.lm15 import Request, Response


class AsyncEngine(Protocol):
    """Carries one request to a model; raises `dspy.lm15` errors, one attempt, no retry of its own."""

    async def complete(self, request: Request) -> Response: ...


def _drop(_: dict[str, Any]) -> None:
    """Where the records of a call go when nobody asked for them."""


@dataclass(slots=True)
class Call:
    """One question put to a model, through all its attempts.

    `stage`, `item` and `ask` name it: the same three are the same question, in this run and after it
    was killed. An `ask` is a fresh question about the same item (the last reply was useless); an
    `attempt` is the same question sent again (the last one brought no reply).
    """

    stage: str
    item: str
    ask: int = 0
    attempt: int = 0
    record: Callable[[dict[str, Any]], None] = _drop
    """Takes one line about a finished attempt: tokens, cost, finish reason, seconds, or its error."""
    recall: Callable[[str], dict[str, Any] | None] = field(default=lambda key: None)
    """Gives back the kept reply to this question, if an earlier process already paid for it."""
    noted: Callable[[str], dict[str, Any] | None] = field(default=lambda key: None)
    """Gives back an earlier process's line about a reply to this question, of those that may be read once more."""
    keep: Callable[[dict[str, Any]], None] | None = None
    """Keeps the reply as soon as it is there. None for a stage whose result is itself written at once."""
    model: str = ""
    """Which was asked: a reply of one model is none of another's."""
    id: str = ""
    """The id of the attempt that was answered, as calls.jsonl has it."""
    recalled: bool = False
    """Whether the reply is a kept one, and cost nothing this time."""
    response: Response | None = None
    headers: Mapping[str, str] | None = None
    """Of the last reply, where they tell of the endpoint's limits."""

    @property
    def key(self) -> str:
        return call_key(self.stage, self.item, self.ask)


def call_key(stage: object, item: object, ask: object) -> str:
    """Names a question to a model, in this run and after it was killed."""
    return f"{stage}/{item}/{ask}"


NOT_SENT = "not_sent"
"""The `provider_code` of a failure before the request left: it cannot have cost anything."""

CALL: ContextVar[Call | None] = ContextVar("glan_call", default=None)
