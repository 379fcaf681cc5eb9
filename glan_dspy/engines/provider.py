"""Models of providers that DSPy serves itself: `anthropic/claude-…`, `gemini/…`, `groq/…` and so on.

DSPy's own async engine speaks their languages; here it stands inside our retry, limit and meter like any other.
What the provider's API has no word for, such as a seed at Anthropic, it leaves out.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from dspy import lm15
from dspy.clients.engines import AsyncLM15Engine
from dspy.lm15 import Reasoning, Request, Response, RouterConfig, Timeouts

from glan_dspy.engines.base import NOT_SENT
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.form import Form, shows_shape, with_schema
from glan_dspy.engines.forms import Fit, Forms
from glan_dspy.engines.openai import chain, hide_in, is_moderation
from glan_dspy.hiding import hidden

OURS = {"openai", "openai-chat", "azure", "azure-chat"}
"""Served by engines/openai.py, whatever DSPy could do for them."""

_ALIASES = {"google": "gemini"}


@dataclass(frozen=True)
class Provider:
    """One that DSPy knows, by its name there."""

    id: str
    key_variable: str = ""
    """Where its key is, for one that would else use another tool's sign-in; empty: where DSPy looks for it."""

    @property
    def base_url(self) -> str | None:
        """Another address for the provider, from `ANTHROPIC_BASE_URL` and its like."""
        return os.environ.get(f"{self.id.upper().replace('-', '_')}_BASE_URL") or None

    def missing(self, key: str | None) -> str:
        """What is to be set before anything can be sent; empty where a key is there, or none is needed.

        Sign-in to a cloud is looked for here too, as the call itself would.
        """
        try:
            lm15.AsyncLMRouter(RouterConfig(api_keys={self.id: key} if key else None)).lm(f"{self.id}:any")
        except lm15.NotConfiguredError as error:
            names = getattr(error, "env_keys", ())
            return f"set {' or '.join(names)}" if names else str(error).splitlines()[0]
        return ""


def provider_of(model: str) -> Provider | None:
    """The provider that `provider/name` names, None for OpenAI, Azure and what is none, such as `Qwen/Qwen3-8B`."""
    head, _, name = model.partition("/")
    router = lm15.AsyncLMRouter()
    if not name:
        return None
    with suppress(lm15.LM15Error):
        return _known(router.resolve_openai_chat(model))
    with suppress(lm15.LM15Error):
        return _known(router.resolve(f"{_ALIASES.get(head, head)}:{name}"))
    return None


def _known(found: Any) -> Provider | None:
    if found.source != "prefix" or found.provider in OURS:
        return None
    match found.credential_policy:
        case "oauth":  # the sign-in of another tool: a person's subscription, not an account to generate on
            return None
        case "oauth-unless-explicit":
            return Provider(found.provider, f"{found.provider.upper()}_API_KEY")
    return Provider(found.provider)


_AT_THE_DOOR = ("ConnectError", "ConnectTimeout")
"""What lm15's transports raise before anything was sent; their module is no public one."""


class ProviderEngine:
    """DSPy's engine of one provider behind the same contract as all others: one attempt, typed errors."""

    def __init__(self, provider: Provider, endpoint: Endpoint, forms: Forms | None = None) -> None:
        self.provider, self.endpoint, self.forms = provider, endpoint, forms or Forms()
        self._engines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncLM15Engine] = (
            weakref.WeakKeyDictionary()
        )

    def form(self, model: str) -> Fit:
        return self.forms.of(self.provider.id, model, self.endpoint.structured)

    async def complete(self, request: Request) -> Response:
        return await self.form(request.model).ask(request, lambda form: self._once(request, form))

    async def _once(self, request: Request, form: Form) -> Response:
        name = request.model.partition("/")[2]
        put = replace(fitted(self._with_extras(request), form), model=f"{self.provider.id}:{name}")
        try:
            response: Response = await self._engine().complete(put)
        except lm15.LM15Error as error:
            hide_in(error, self.endpoint.secrets())
            if error.status == 403 and is_moderation(str(error)):
                raise lm15.InvalidRequestError(str(error), status=403, provider_code="content_filter") from error
            if any(type(one).__name__ in _AT_THE_DOOR for one in chain(error)):
                error.provider_code = NOT_SENT
            raise
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            # DSPy's readers take a reply's shape on trust: HTML or half a body ends in any of these.
            text = hidden(f"the reply of {self.provider.id} cannot be read: {error!r}", self.endpoint.secrets())
            raise lm15.TransportError(text) from error
        return response

    def _with_extras(self, request: Request) -> Request:
        config, endpoint = request.config, self.endpoint
        changes: dict[str, Any] = {}
        if endpoint.extra_body:
            changes["extensions"] = {**(config.extensions or {}), **endpoint.extra_body}
        if endpoint.reasoning_effort:
            changes["reasoning"] = Reasoning(effort=endpoint.reasoning_effort)
        if endpoint.reasoning_headroom and config.max_tokens:
            changes["max_tokens"] = config.max_tokens + endpoint.reasoning_headroom
        return replace(request, config=replace(config, **changes)) if changes else request

    def _engine(self) -> AsyncLM15Engine:
        loop = asyncio.get_running_loop()
        engine = self._engines.get(loop)
        if engine is None:
            engine = self._engines[loop] = AsyncLM15Engine(self._routing())
        return engine

    def _routing(self) -> RouterConfig:
        provider, seconds = self.provider, self.endpoint.timeout
        key = self.endpoint.key()
        return RouterConfig(
            api_keys={provider.id: key} if key else None,
            base_urls={provider.id: provider.base_url} if provider.base_url else None,
            timeouts=Timeouts(connect=30.0, read=seconds, write=seconds, pool=seconds),
            max_connections=self.endpoint.connections,
        )

    async def aclose(self) -> None:
        """Closes this loop's connections."""
        engine = self._engines.pop(asyncio.get_running_loop(), None)
        if engine is not None:
            await engine.aclose()

    def __deepcopy__(self, memo: dict[int, Any]) -> ProviderEngine:
        return self


def fitted(request: Request, form: Form) -> Request:
    """The request in this form, as far as DSPy's requests can say it: they have no json_object with a schema."""
    config = request.config
    changes: dict[str, Any] = {name: None for name in form.without if name in ("seed", "top_p", "temperature")}
    if "reasoning_effort" in form.without:
        changes["reasoning"] = None
    if "seed" in form.without and config.extensions:
        changes["extensions"] = {key: value for key, value in config.extensions.items() if key != "seed"} or None
    asked = config.response_format
    system = request.system
    if asked and form.structured != "json_schema":
        changes["response_format"] = None if form.structured == "prompt" else {"type": "json_object"}
        text = f"{system}\n" + "\n".join(message.text or "" for message in request.messages)
        if (schema := asked.get("schema")) and not shows_shape(text, schema):
            system = with_schema(system if isinstance(system, str) else None, schema)
    return replace(request, system=system, config=replace(config, **changes)) if changes else request
