"""Where requests go, without the client that sends them: `openai` takes over a second to import."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Structured = Literal["json_schema", "json_object_schema", "json_object", "prompt"]
"""Ways to ask for a JSON object; engines/form.py tells them."""


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

    def place(self) -> str:
        """The endpoint as run.json names it: without what an address might hold of a key."""
        address = re.sub(r"[?#].*", "", self.base_url or "")
        return re.sub(r"//[^/]*@", "//", address) or ("azure" if self.azure else "openai")
