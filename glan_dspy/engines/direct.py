"""A dspy.LM without its waiting rooms: for a run that makes millions of calls.

`dspy.LM.acall` hops to a thread twice a call, to read media files and to look up a price, makes its request by
way of OpenAI's format, and keeps books of history, cache and usage: 0.3-0.5 ms, more than everything else that
is done for a call here. A run has none of that, so that its calls go to the engine at once. All others take
DSPy's way: the synchronous ones of optimizers, those with history, callbacks, usage or parameters not listed here.
"""

from __future__ import annotations

from typing import Any

import dspy
from dspy.clients.errors import wrap_error
from dspy.lm15 import Config, Message, RefusalPart, Request, TextPart, ThinkingPart

PARAMETERS = {"temperature", "top_p", "max_tokens", "seed", "response_format"}


class DirectLM(dspy.LM):
    """A dspy.LM whose plain asynchronous calls go straight to its engine: the same requests, replies and errors."""

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        request = self.plain(messages, kwargs) if messages and prompt is None else None
        if request is None:
            return await super().acall(prompt, messages=messages, **kwargs)
        return [await self.text(request)]

    async def text(self, request: Request) -> str:
        """The reply's text. Raises DSPy's errors."""
        try:
            response = await self._async_engine_spec.complete(request)
        except Exception as error:
            raise wrap_error(error, model=self.model) from error
        parts = response.message.parts
        if all(isinstance(part, (TextPart, ThinkingPart, RefusalPart)) for part in parts):
            return "".join(part.text for part in parts if isinstance(part, TextPart))
        raise wrap_error(TypeError("an engine of text replied with something else"), model=self.model)

    def plain(self, messages: Any, kwargs: dict[str, Any]) -> Request | None:
        """The request, where DSPy's own way would do nothing but send it; else None."""
        settings = dspy.settings
        given = {name: value for name, value in {**self.kwargs, **kwargs}.items() if value is not None}
        if (
            not settings.disable_history
            or settings.usage_tracker
            or settings.send_stream
            or settings.callbacks
            or self.callbacks
            or self.cache
            or self.num_retries
            or not given.keys() <= PARAMETERS
        ):
            return None
        return plain_request(self.model, messages, given)


def plain_request(model: str, messages: list[dict[str, Any]], given: dict[str, Any]) -> Request | None:
    """What dspy.lm15.request_from_openai_chat makes of them; None for what is not plain text in its usual order."""
    first, *rest = messages
    if not rest or first["role"] != "system" or any(message["role"] not in ("user", "assistant") for message in rest):
        return None
    texts = [message.get("content") for message in messages]
    if not all(isinstance(text, str) and text and (text.isascii() or _encodable(text)) for text in texts):
        return None
    form = given.get("response_format")
    if form is not None and (set(form) != {"type", "json_schema"} or form["type"] != "json_schema"):
        return None
    config = Config(
        max_tokens=given.get("max_tokens"),
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        seed=given.get("seed"),
    )
    if form is not None:
        # Given to the constructor, the schema would be walked through at every call to see that it is JSON.
        object.__setattr__(config, "response_format", _canonical(form))
    said = tuple(Message(message["role"], (TextPart(message["content"]),)) for message in rest)
    return Request(model=model, messages=said, system=first["content"], config=config)


_FORMS: dict[int, tuple[Any, Any]] = {}


def _canonical(form: dict[str, Any]) -> Any:
    """The form as lm15 has it, checked by lm15 once for each object: an adapter gives the same one to every call."""
    known = _FORMS.get(id(form))
    if known is None:
        if len(_FORMS) >= 256:
            _FORMS.clear()
        checked = Config(response_format={"type": "json_schema", **form["json_schema"]}).response_format
        known = _FORMS[id(form)] = (form, checked)
    return known[1]


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
