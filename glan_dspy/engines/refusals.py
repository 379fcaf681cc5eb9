"""What an endpoint's error says: which parameter it refuses, or that the key is wrong whatever the status."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dspy import lm15

from glan_dspy.engines.form import LIMITS, OPTIONAL

_BAD_KEY = re.compile(
    r"authentication[ _]error|invalid proxy server token|invalid_api_key|no api key passed|incorrect api key|"
    r"invalid api[ _-]?key|API_KEY_INVALID|token_not_found_in_db|api key not valid",
    re.IGNORECASE,
)

_STRUCTURED = re.compile(
    r"response_?format|json_schema|json_object|json mode|output_config|guided_json|structured[ _]outputs?|"
    r"generation_?config\.response",
    re.IGNORECASE,
)
_PERHAPS_STRUCTURED = re.compile(r"\bschema\b|\bgrammar\b", re.IGNORECASE)
"""Words that a question may hold as well, and an error may quote a question."""


def _as_a_name(name: str) -> re.Pattern[str]:
    if "_" in name:
        return re.compile(rf"\b{name}\b")
    return re.compile(
        rf"""['"`.]{name}['"`]|(?:supplied|parameters?|arguments?|fields?|inputs?|config\.)\W{{0,3}}{name}\b"""
        rf"|\b{name} (?:is (?:not supported|unsupported|deprecated)|not supported|does not support|must be|should be)"
    )


_NAMED = {name: _as_a_name(name) for name in OPTIONAL}
"""The parameters' names, written as names: "seed" and "temperature" are words of questions too."""

_A_VALUE = re.compile(
    r"maximum|too large|too long|too high|at most|exceed|less than|greater than|context", re.IGNORECASE
)
"""In an error about the token limit: its value is refused, not its name."""


def says_bad_key(text: str) -> bool:
    """Whether the text is that of a wrong key: a LiteLLM gateway says so with 400."""
    return _BAD_KEY.search(text) is not None


def said(error: lm15.LM15Error) -> str:
    """All that the answer said: `openai` knows its whole body, of which the error's text holds a part."""
    body = getattr(error.__cause__, "body", None)
    return f"{getattr(error, 'feature', None) or ''} {error} {body or ''}"


def names_structured(error: lm15.LM15Error, *, proven: bool) -> bool:
    """Whether the error speaks of the way in which structured output was asked for.

    Where that way has already brought replies (`proven`), only its unmistakable names count.
    """
    text = said(error)
    return bool(_STRUCTURED.search(text) or (not proven and _PERHAPS_STRUCTURED.search(text)))


def is_refusal(error: lm15.LM15Error) -> bool:
    """Whether the error is about how the request is put: not its content, its length, its model or its key."""
    if isinstance(error, lm15.UnsupportedFeatureError):
        return True
    return (
        type(error) is lm15.InvalidRequestError
        and error.status in (400, 422, None)
        and "content_filter" not in f"{error.provider_code} {error}"
    )


def refused_parameters(error: lm15.LM15Error, *, proven: bool) -> Iterator[str]:
    """The parameters of ours that a refusal names, the likeliest first."""
    text, param = said(error), getattr(error.__cause__, "param", None)
    limits = [] if _A_VALUE.search(text) else [name for name in LIMITS if re.search(rf"\b{name}\b", text)]
    if param in (*OPTIONAL, *limits, "response_format"):
        yield param
        return
    if names_structured(error, proven=proven):
        yield "response_format"
    yield from (name for name in OPTIONAL if _NAMED[name].search(text))
    yield from limits
