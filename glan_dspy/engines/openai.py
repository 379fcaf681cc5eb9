"""Requests over HTTP with the `openai` package: OpenAI, Azure OpenAI, and every server that speaks their language.

`openai` owns the address and the authentication; the transport is aiohttp, whose cost a call does not
grow with the number in flight (httpx's does). One client per event loop. No retry here: engines/retry.py.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import os
import re
import socket
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import aiohttp
import httpx2
import openai
import orjson
from dspy import lm15
from dspy.lm15 import Message, RefusalPart, Request, Response, TextPart, ThinkingPart, Usage

from glan_dspy.engines.base import CALL, NOT_SENT
from glan_dspy.engines.endpoint import Endpoint, thinks_first
from glan_dspy.engines.form import Form
from glan_dspy.engines.forms import Fit, Forms
from glan_dspy.engines.post import CONNECT_SECONDS, Post
from glan_dspy.engines.refusals import says_bad_key
from glan_dspy.hiding import hidden

AZURE_API_VERSION = "2024-10-21"
"""Used when AZURE_OPENAI_API_VERSION is not set: the first stable one with structured outputs."""


class OpenAIEngine:
    """`complete(request)`: one attempt, one reply with its finish reason, tokens, refusal and reasoning."""

    def __init__(self, endpoint: Endpoint, forms: Forms | None = None) -> None:
        self.endpoint, self.forms, self._place = endpoint, forms or Forms(), endpoint.place()
        self._posts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Post] = weakref.WeakKeyDictionary()

    def form(self, model: str) -> Fit:
        """How requests to the model are put here: known, or found by the first of them."""
        return self.forms.of(self._place, model, self.endpoint.structured)

    async def complete(self, request: Request) -> Response:
        return await self.form(request.model).ask(request, lambda form: self._once(request, form))

    async def _once(self, request: Request, form: Form) -> Response:
        body = form.fitted(to_wire(request, self.endpoint), self.endpoint.extra_body)
        try:
            raw = await self._post()(body)
        except openai.OpenAIError as error:
            raise failure(error, self.endpoint.secrets()) from error
        if call := CALL.get():
            call.headers = raw.headers
        try:
            return from_wire(decode(raw.content), request.model)
        except lm15.TransportError as error:
            hide_in(error, self.endpoint.secrets())
            raise

    def _post(self) -> Post:
        loop = asyncio.get_running_loop()
        post = self._posts.get(loop)
        if post is None:
            post = self._posts[loop] = Post(self.endpoint, lambda http: open_client(self.endpoint, http))
        return post

    async def aclose(self) -> None:
        """Closes this loop's connections."""
        post = self._posts.pop(asyncio.get_running_loop(), None)
        if post is not None:
            await post.aclose()

    def __deepcopy__(self, memo: dict[int, Any]) -> OpenAIEngine:
        return self


def open_client(endpoint: Endpoint, http: httpx2.AsyncClient | None = None) -> openai.AsyncOpenAI:
    """An `openai` client whose every socket goes to the endpoint, through no proxy setting but the environment's."""
    limits = httpx2.Limits(
        max_connections=endpoint.connections, max_keepalive_connections=endpoint.connections, keepalive_expiry=60
    )
    timeout = httpx2.Timeout(endpoint.timeout, connect=CONNECT_SECONDS)
    shared: dict[str, Any] = {
        "max_retries": 0,
        "timeout": timeout,
        "default_headers": dict(endpoint.extra_headers),
        "http_client": http or openai.DefaultAioHttpClient(limits=limits, timeout=timeout, follow_redirects=False),
    }
    if endpoint.azure:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"],
            api_key=endpoint.key(),
            api_version=os.environ.get("AZURE_OPENAI_API_VERSION") or AZURE_API_VERSION,
            **shared,
        )
    # Local servers ask for no key; the client insists on one.
    return openai.AsyncOpenAI(base_url=endpoint.base_url, api_key=endpoint.key() or "none", **shared)


# --- request ------------------------------------------------------------------------------------


def to_wire(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    """The body of a Chat Completions request."""
    config = request.config
    thinks = thinks_first(request.model)
    body: dict[str, Any] = {"model": request.model, "messages": messages_of(request)}
    if config.max_tokens:
        limit = config.max_tokens + endpoint.headroom(request.model)
        body["max_completion_tokens" if thinks else "max_tokens"] = limit
    if not thinks:
        body |= {"temperature": config.temperature, "top_p": config.top_p}
    seed = config.seed if config.seed is not None else (config.extensions or {}).get("seed")
    body |= {
        "seed": seed,
        "reasoning_effort": endpoint.reasoning_effort,
        "response_format": wire_format(config.response_format),
    }
    return {key: value for key, value in body.items() if value is not None} | dict(endpoint.extra_body)


def messages_of(request: Request) -> list[dict[str, str]]:
    system = (
        request.system
        if isinstance(request.system, str)
        else "".join(part.text for part in request.system or () if isinstance(part, TextPart))
    )
    first = [{"role": "system", "content": system}] if system else []
    return first + [{"role": message.role, "content": message.text or ""} for message in request.messages]


def wire_format(form: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if form is None or form.get("type") != "json_schema" or "json_schema" in form:
        return dict(form) if form else None
    return {"type": "json_schema", "json_schema": {key: value for key, value in form.items() if key != "type"}}


# --- reply --------------------------------------------------------------------------------------

_FINISH = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "eos": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    None: "stop",
}


def decode(content: bytes) -> dict[str, Any]:
    """The JSON object of a reply. Raises TransportError for HTML, half a body, or anything else: sent again."""
    try:
        reply = orjson.loads(content)
    except ValueError:
        reply = _with_whole_characters(content)
    if not isinstance(reply, dict):
        raise lm15.TransportError(f"the endpoint's reply is not a JSON object: {content[:120]!r}")
    return reply


def _with_whole_characters(content: bytes) -> Any:
    """JSON that orjson refuses: half a character, a lone surrogate, becomes U+FFFD; NaN is a number to many servers."""
    try:
        text = json.dumps(json.loads(content), ensure_ascii=False)
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise lm15.TransportError(f"the endpoint's reply is not JSON: {content[:120]!r}") from None


def from_wire(reply: dict[str, Any], model: str) -> Response:
    """The Response of a Chat Completions reply. Raises ServerError when it holds no choice, or an error."""
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        # Not a ServerError: what came with status 200 may be billed, and stays reserved in a budget.
        raise lm15.TransportError(f"the endpoint's reply has no choices: {str(reply.get('error') or reply)[:200]}")
    message = choices[0].get("message")
    message = message if isinstance(message, dict) else {}
    parts: list[Any] = []
    if reasoning := message.get("reasoning_content") or message.get("reasoning"):
        parts.append(ThinkingPart(str(reasoning)))
    if refusal := message.get("refusal"):
        parts.append(RefusalPart(str(refusal)))
    parts.append(TextPart(_content(message.get("content"))))
    return Response(
        id=str(reply.get("id") or "") or None,
        model=str(reply.get("model") or model),
        message=Message("assistant", tuple(parts)),
        usage=usage_of(reply.get("usage")),
        finish_reason=finish_reason(choices[0].get("finish_reason")),
    )


def finish_reason(said: Any) -> Any:
    """lm15's word for it; "error" for one that is not known, and for what is no word at all."""
    return _FINISH.get(said, "error") if said is None or isinstance(said, str) else "error"


def _content(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def usage_of(usage: Any) -> Usage:
    """The reply's token counts; what the server does not say stays None."""
    if not isinstance(usage, dict):
        return Usage()

    def count(value: Any, *names: str) -> int | None:
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, int) and value >= 0 else None

    prompt, reply = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    thoughts = count(usage, "completion_tokens_details", "reasoning_tokens")
    total = count(usage, "total_tokens")
    if prompt is not None and reply is not None and thoughts and total == prompt + reply + thoughts:
        reply += thoughts  # some, xAI is one, count them beside the reply's; all charge for them as for the reply's
    return Usage(
        input_tokens=prompt,
        output_tokens=reply,
        cache_read_tokens=count(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=thoughts,
    )


# --- failures -----------------------------------------------------------------------------------


def hide_in(error: lm15.LM15Error, known: Iterable[str]) -> None:
    """Takes the secrets out of the error's text."""
    error.message = hidden(error.message, known)
    error.args = (error.message,)


def failure(error: openai.OpenAIError, known: Iterable[str] = ()) -> lm15.LM15Error:
    """The typed error of what went wrong, with the secrets taken out of its text."""
    text = hidden(str(error), known)
    if not isinstance(error, openai.APIStatusError):
        if (door := at_the_door(error)) is not None:
            return not_sent(door, known)
        cause = _root(error)
        # The transport calls every lost connection a time-out; only what waited in vain is one.
        if isinstance(error, openai.APITimeoutError) and isinstance(cause, TimeoutError):
            return lm15.TimeoutError(text)
        unsent = NOT_SENT if isinstance(cause, (ConnectionRefusedError, socket.gaierror)) else None
        return lm15.TransportError(
            f"no connection to the endpoint: {hidden(str(cause), known) or type(cause).__name__}", provider_code=unsent
        )
    status, code = error.status_code, str(error.code or "")
    kind: type[lm15.ProviderError]
    if status < 400:
        place = re.sub(r"(?<=\w)[/?#].*", "", error.response.headers.get("location", "").partition("://")[2])
        return lm15.ConfigurationError(
            f"the endpoint sends requests on to {place or '?'}: give its address as --base-url"
        )
    if status == 403 and is_moderation(f"{error} {error.body}"):
        code, kind = "content_filter", lm15.InvalidRequestError
    elif status in (401, 403) or (status == 400 and says_bad_key(f"{code} {text}")):
        kind = lm15.AuthError
    elif status == 402 or code == "insufficient_quota":
        kind = lm15.BillingError
    elif status == 429:
        kind = lm15.RateLimitError
    elif status == 408:
        kind = lm15.TimeoutError
    elif status >= 500:
        kind = lm15.ServerError
    elif status == 404 or code in ("model_not_found", "DeploymentNotFound"):
        kind = lm15.UnsupportedModelError
    elif code == "context_length_exceeded":
        kind = lm15.ContextLengthError
    else:
        kind = lm15.InvalidRequestError
    return kind(
        text,
        status=status,
        provider_code=code or None,
        request_id=error.request_id,
        retry_after=retry_after(error.response.headers),
    )


def at_the_door(error: BaseException) -> aiohttp.ClientError | None:
    """What kept a request from leaving at all: no way to the endpoint, no trust in it, or a proxy that refused."""
    doors = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
    return next((one for one in chain(error) if isinstance(one, doors)), None)


def not_sent(door: aiohttp.ClientError, known: Iterable[str]) -> lm15.LM15Error:
    said = hidden(re.sub(r"//[^/@\s]*@", "//", str(door)), known) or type(door).__name__
    if isinstance(door, aiohttp.ClientConnectorCertificateError):
        return lm15.ConfigurationError(f"the endpoint's certificate is not trusted: {said}", provider_code=NOT_SENT)
    if isinstance(door, aiohttp.ClientHttpProxyError) and door.status in (401, 403, 407):
        return lm15.ConfigurationError(f"the proxy refuses the connection: {said}", provider_code=NOT_SENT)
    return lm15.TransportError(f"no connection to the endpoint: {said}", provider_code=NOT_SENT)


def is_moderation(said: str) -> bool:
    """Whether a 403 speaks of what was asked, as OpenRouter's does, and not of a key or an account."""
    return re.search(r"content_filter|flagged_input|input was flagged", said, re.IGNORECASE) is not None


def chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _root(error: BaseException) -> BaseException:
    while (cause := error.__cause__) is not None:
        error = cause
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the server wants to be asked again: `retry-after-ms`, or `retry-after` as seconds or a date."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return _sound(float(milliseconds) / 1000)
        value = headers.get("retry-after", "")
        return _sound(float(value)) if value else None
    except ValueError:
        return _seconds_until(headers.get("retry-after", ""))


def _sound(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str) -> float | None:
    try:
        when = email.utils.parsedate_tz(date)
        return max(0.0, email.utils.mktime_tz(when) - time.time()) if when else None
    except (ValueError, OverflowError):  # a date, but none that there is
        return None
