"""Where requests go, without the client that sends them: `openai` takes over a second to import."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from glan_dspy.hiding import certain, secrets

Structured = Literal["json_schema", "json_object_schema", "json_object", "prompt"]
"""Ways to ask for a JSON object; engines/form.py tells them."""


KNOWN_HEADROOM = 8192
"""Tokens a known reasoning model gets on top of a limit, for its thoughts."""

_REASONING = re.compile(r"^(o[1345](-.*)?|gpt-5(\.\d+)*(?!-chat)(-.*)?)$")


def thinks_first(model: str) -> bool:
    """Whether OpenAI's name for the model says that it reasons: it takes other parameters then."""
    return _REASONING.match(model.rpartition("/")[2].lower()) is not None


def without_key(address: str) -> str:
    """The address without what may hold a key of it."""
    return re.sub(r"//[^/@]*@", "//", re.sub(r"[?#].*", "", address))


@dataclass(frozen=True)
class Endpoint:
    """Where requests go and what is added to each. Holds no key: only the name of the variable that does."""

    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    azure: bool = False
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 600.0
    connections: int = 1000
    reasoning_effort: str | None = None
    reasoning_headroom: int | None = None
    structured: Structured | None = None
    """The way to ask for structured output; None: it is found."""

    def key(self) -> str | None:
        return os.environ.get(self.key_variable) or None

    def certain(self) -> tuple[bytes, ...]:
        """What of it no reply holds by chance."""
        return certain(self.key(), self.extra_headers)

    def secrets(self) -> tuple[str, ...]:
        """What nobody is to see of what goes there."""
        return secrets((*self.extra_headers.values(), self.key() or ""))

    def headroom(self, model: str) -> int:
        """Tokens that the model gets on top of every limit."""
        if self.reasoning_headroom is not None:
            return self.reasoning_headroom
        return KNOWN_HEADROOM if thinks_first(model) else 0

    def place(self) -> str:
        """The endpoint as run.json names it: without what an address might hold of a key."""
        if self.azure:
            return "azure"
        return without_key(self.base_url or "") or "openai"
