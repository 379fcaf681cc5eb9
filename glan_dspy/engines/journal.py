"""Keeps replies as they arrive, and answers a question that was already paid for from what was kept."""

from __future__ import annotations

from typing import Any

from dspy.lm15 import Message, RefusalPart, Request, Response, TextPart, ThinkingPart, Usage

from glan_dspy.engines.base import CALL, AsyncEngine, Call


class Journal:
    """The outermost engine: notes the reply in the call, keeps it where the call asks for that."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        if call is None:
            return await self.engine.complete(request)
        call.model = request.model
        kept = call.recall(call.key)
        if kept and kept.get("model", request.model) == request.model:
            call.id, call.recalled, call.response = kept["call"], True, response_from(kept, request.model)
            return call.response
        call.response = await self.engine.complete(request)
        if call.keep:
            call.keep(reply_line(call))
        return call.response


def reply_line(call: Call) -> dict[str, Any]:
    """The answered call's reply as a line of replies.jsonl."""
    response = call.response
    assert response is not None
    return {
        "id": call.key,
        "call": call.id,
        "model": call.model,
        "finish_reason": response.finish_reason,
        "text": text_of(response),
        "refusal": refusal_of(response),
        "reasoning": reasoning_of(response),
    }


def response_from(line: dict[str, Any], model: str) -> Response:
    parts: list[Any] = [ThinkingPart(line["reasoning"])] if line.get("reasoning") else []
    parts.append(RefusalPart(line["refusal"]) if line.get("refusal") else TextPart(line["text"]))
    return Response(
        id=None, model=model, message=Message.assistant(parts), finish_reason=line["finish_reason"], usage=Usage()
    )


def text_of(response: Response) -> str:
    return "".join(part.text for part in response.message.parts if isinstance(part, TextPart))


def reasoning_of(response: Response) -> str:
    return "".join(part.text for part in response.message.parts if isinstance(part, ThinkingPart))


def refusal_of(response: Response) -> str:
    return "".join(part.text for part in response.message.parts if isinstance(part, RefusalPart))
