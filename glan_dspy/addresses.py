"""Where each model is asked: the settings and the environment as endpoints, names and keys."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.errors import UserError
from glan_dspy.hiding import holds_secret
from glan_dspy.settings import Settings, wrong_in_address

if TYPE_CHECKING:
    from glan_dspy.engines.provider import Provider


def endpoint_for(settings: Settings, for_answer: bool) -> Endpoint:
    endpoint = endpoint_of(settings)
    if not for_answer:
        return endpoint
    # An endpoint of its own gets a key of its own: a second server is not shown the first one's, nor one in a header.
    return replace(
        endpoint,
        azure=endpoint.azure and not settings.answer_base_url,
        base_url=settings.answer_base_url or endpoint.base_url,
        extra_headers=dict(
            (name, value)
            for name, value in endpoint.extra_headers.items()
            if is_same_server(settings.answer_base_url, endpoint.base_url) or not holds_secret(name, value)
        ),
        key_variable=settings.answer_api_key_env or ("" if settings.answer_base_url else endpoint.key_variable),
    )


def is_same_server(answers: str | None, base_url: str | None) -> bool:
    """Whether the answers' address is at the server of the others, or there is none."""
    if not answers:
        return True
    one, other = urlsplit(answers), urlsplit(base_url or "")
    return (one.scheme, one.hostname, one.port) == (other.scheme, other.hostname, other.port)


def endpoint_of(settings: Settings) -> Endpoint:
    """Raises UserError for an address in the environment that is none."""
    azure = bool(os.environ.get("AZURE_OPENAI_ENDPOINT")) and not settings.base_url
    variable = "AZURE_OPENAI_ENDPOINT" if azure else "OPENAI_BASE_URL"
    address = "" if settings.base_url else os.environ.get(variable)
    if address and (wrong := wrong_in_address(address)):
        raise UserError(f"{variable} {wrong}")  # without its value: it may hold a password
    return Endpoint(
        base_url=settings.base_url or os.environ.get("OPENAI_BASE_URL") or None,
        key_variable="AZURE_OPENAI_API_KEY" if azure else "OPENAI_API_KEY",
        azure=azure,
        extra_body=settings.extra_body,
        extra_headers=dict(_header(line) for line in settings.extra_header),
        timeout=settings.timeout,
        connections=settings.concurrency + 8,
        reasoning_effort=settings.reasoning_effort,
        reasoning_headroom=settings.reasoning_headroom,
        structured=settings.structured,
    )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def bare_name(model: str, settings: Settings, for_answer: bool) -> str:
    """`openai/gpt-4o`, as DSPy and LiteLLM write it, without its prefix; a server of one's own gets names unchanged."""
    endpoint = endpoint_for(settings, for_answer)
    if endpoint.azure:
        return model.removeprefix("azure/")
    return model if endpoint.base_url else model.removeprefix("openai/")


def require_key(endpoint: Endpoint, model: str) -> None:
    require_printable(endpoint)
    require_named_key(endpoint)
    if endpoint.key() or (endpoint.base_url and not endpoint.azure):
        return
    raise UserError(
        f"model {model!r} needs a key: set {endpoint.key_variable}, or --base-url for a server of your own; "
        "--model-name rehearsal needs neither"
    )


def require_named_key(endpoint: Endpoint) -> None:
    """Raises UserError where --answer-api-key-env names a variable that is not set: somebody meant a key."""
    named = endpoint.key_variable
    if named and named not in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY") and not endpoint.key():
        raise UserError(f"--answer-api-key-env {named}: the environment has no such variable; set it, or leave it out")


def require_printable(endpoint: Endpoint) -> None:
    """Raises UserError for a key that cannot stand in a request: the error of whoever sends it might show it."""
    key = endpoint.key() or ""
    if not (key.isascii() and key.isprintable()):
        raise UserError(
            f"{endpoint.key_variable} holds a line break, or a letter that no key has; set it to the key alone"
        )


def require_provider_key(provider: Provider, model: str, endpoint: Endpoint) -> None:
    if endpoint.extra_headers:
        raise UserError(f"--extra-header goes to OpenAI-compatible endpoints only, not to {provider.id} ({model!r})")
    require_printable(endpoint)
    key, named = endpoint.key(), endpoint.key_variable
    if missing := f"set {named}" if named and not key else provider.missing(key):
        raise UserError(
            f"model {model!r} needs a key: {missing}; or give --base-url for a server of your own that has this model"
        )
