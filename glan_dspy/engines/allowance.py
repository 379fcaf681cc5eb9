"""What an endpoint's headers tell of the allowance that is left."""

from __future__ import annotations

import re
from collections.abc import Mapping


def refill(headers: Mapping[str, str], what: str) -> float | None:
    """Per second, how fast the allowance of `requests` or `tokens` comes back; None while plenty is left, or unknown.

    OpenAI's headers tell the limit, what remains of it, and when it will be whole again.
    """
    try:
        limit = float(headers[f"x-ratelimit-limit-{what}"])
        remaining = float(headers[f"x-ratelimit-remaining-{what}"])
        seconds = duration(headers[f"x-ratelimit-reset-{what}"])
    except (KeyError, ValueError):
        return None
    if limit <= 0 or seconds <= 0 or remaining > limit / 10:
        return None
    return (limit - remaining) / seconds


_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """Seconds of "1s", "6m0s", "20ms" or a plain number. Raises ValueError for anything else."""
    parts = _PARTS.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return float(text)
