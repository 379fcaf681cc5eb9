"""What a gate says of a record that it does not let through."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Verdict(NamedTuple):
    """Why a record falls. A gate gives back one, or None for a record that passes."""

    reason: str
    """One word, as `status` counts it: language, duplicate, near_duplicate, contaminated, leak, refusal, cut, …"""
    detail: str = ""
    """The case in words, for a person who reads rejected.jsonl."""
    found: Mapping[str, Any] = NOTHING
    """What was found, for a program: the other id, the benchmark's item, the overlapping span."""
