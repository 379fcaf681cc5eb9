"""Takes keys out of what is shown or written: some endpoints repeat them in what they say of an error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

HIDDEN = "[key]"

SHORTEST = 8
"""Characters; what is shorter may be any word."""

CERTAIN = 16
"""Characters of a key that no model writes by chance: shorter ones are left alone in what becomes data."""

_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|AUTH|COOKIE", re.IGNORECASE)
_SCHEME = re.compile(r"(?:Bearer|Basic|Token) ", re.IGNORECASE)


def secrets(headers: Iterable[str] = ()) -> tuple[str, ...]:
    """The secrets of this process, longest first: what the environment holds under such names, and the headers'.

    Of a value like "Bearer abc…" each part is one too.
    """
    values = [value for name, value in os.environ.items() if _NAMES.search(name)]
    values += [part for value in headers for part in (value, *value.split())]
    return tuple(sorted({value.strip() for value in values if len(value.strip()) >= SHORTEST}, key=len, reverse=True))


def hidden(text: str, known: Iterable[str]) -> str:
    """The text without them."""
    for secret in known:
        text = text.replace(secret, HIDDEN)
    return text


def certain(key: str | None, headers: Mapping[str, str]) -> tuple[bytes, ...]:
    """Those that a request is sent with and that are secrets beyond doubt, the key and headers that hold one.

    Other headers may hold a team's name, which is a word like any other.
    """
    values = [value for name, value in headers.items() if holds_secret(name, value)]
    parts = [part for value in values for part in value.split()]
    return tuple(part.encode() for part in (key or "", *parts) if len(part) >= CERTAIN)


def holds_secret(header: str, value: str) -> bool:
    return _NAMES.search(header) is not None or _SCHEME.match(value) is not None


def hidden_in_reply(content: bytes, known: Iterable[bytes]) -> bytes:
    """What came for a request, which becomes records, without what is secret beyond doubt."""
    for secret in known:
        content = content.replace(secret, HIDDEN.encode())
    return content
