"""An engine that replies from a script and keeps what it was asked; the tests' one fake model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dspy
from dspy.lm15 import Message, RefusalPart, Request, Response, TextPart, Usage

from glan_dspy.connect import language_model


def reply(text: str = "", finish: str = "stop", refusal: str = "") -> Response:
    """A model's reply; with `refusal` it is a refusal part, as OpenAI sends it beside structured outputs."""
    part = RefusalPart(refusal) if refusal else TextPart(text)
    return Response(
        id="scripted", model="scripted", message=Message.assistant([part]), finish_reason=finish, usage=Usage()
    )


class Scripted:
    """Gives out the replies in order; one request too many raises."""

    def __init__(self, replies: Iterable[str | Response]) -> None:
        self.replies = iter(replies)
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        for said in self.replies:
            return reply(said) if isinstance(said, str) else said
        raise AssertionError(f"the script is out of replies; request {len(self.requests)} came too many")

    @property
    def lm(self) -> dspy.LM:
        return language_model("scripted", self)

    def system(self, index: int = -1) -> str:
        return _text(self.requests[index].system)

    def user(self, index: int = -1) -> str:
        """The last user message of a request: what was asked, without the demos."""
        return _text(self.requests[index].messages[-1].parts)


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content)
