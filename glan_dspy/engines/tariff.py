"""What a call costs: dollars from its tokens, where the price is known. Unknown is unknown, never 0."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dspy.lm15 import Request, Usage

PER = 1_000_000
"""Prices are given and shown in dollars for a million tokens, as providers list them."""

CACHE_WRITE = 2.0
"""What a prompt token costs at most that is put into Anthropic's cache, in prices of one that is not (1.25 or 2)."""

MESSAGE_OVERHEAD = 64
"""Tokens that a chat format adds to a message, generously."""


@dataclass(frozen=True)
class Tariff:
    """Dollars for a million tokens of one model. None: not known."""

    input: float | None = None
    output: float | None = None
    cached: float | None = None
    """Of prompt tokens that the endpoint had in its cache; like `input` where None."""
    source: str = ""
    """Where the price is from, to be shown beside what it says."""
    headroom: int = 0
    """Tokens that a reply may have beyond the request's limit: what a model thinks first."""
    least: int = 0
    """A limit that the user's own additions to the request set instead, where that is higher."""

    cached_apart: bool = False
    """Whether the endpoint counts cached prompt tokens beside the others (Anthropic) and not among them."""
    reasoning_apart: bool = False
    """Whether the endpoint counts a model's thoughts beside its reply's tokens (Gemini, xAI) and not among them."""
    share: float = 1.0
    """Of these prices that is paid: half in a batch."""

    @property
    def known(self) -> bool:
        return self.input is not None and self.output is not None

    def cost(self, usage: Usage) -> float | None:
        """Dollars for a call with these tokens; None where the price or the counts are unknown."""
        if self.input is None or self.output is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = usage.cache_read_tokens or 0
        written = usage.cache_write_tokens or 0
        fresh = usage.input_tokens if self.cached_apart else max(0, usage.input_tokens - cached)
        rate = self.input if self.cached is None else self.cached
        reply = usage.output_tokens + ((usage.reasoning_tokens or 0) if self.reasoning_apart else 0)
        writing = written * self.input * (CACHE_WRITE if self.cached_apart else 0.0)
        dollars: float = fresh * self.input + cached * rate + writing + reply * self.output
        return dollars / PER * self.share

    def worst(self, request: Request) -> float | None:
        """The most that the call can cost: a token is a byte at least, and the reply ends at its limit."""
        if self.input is None or self.output is None:
            return None
        prompt = prompt_bound(request) * self.input * (CACHE_WRITE if self.cached_apart else 1.0)
        return (prompt + self._reply_bound(request) * self.output) / PER * self.share

    def _reply_bound(self, request: Request) -> int:
        return max((request.config.max_tokens or 0) + self.headroom, self.least)


FREE = Tariff(0.0, 0.0, 0.0, "simulated, free")


def prompt_bound(request: Request) -> int:
    """At least as many tokens as the prompt has: its bytes, its schema's bytes, and the chat format around it."""
    system = request.system if isinstance(request.system, str) else ""
    texts = [system, *(message.text or "" for message in request.messages)]
    schema = len(str(request.config.response_format)) if request.config.response_format else 0
    return sum(len(text.encode("utf-8", "replace")) + MESSAGE_OVERHEAD for text in texts) + schema


def listed(provider: str, model: str) -> Tariff | None:
    """The price in DSPy's offline snapshot of LiteLLM's list; None where the model is not in it."""
    from dspy.clients.model_metadata import model_info, rate, source_info

    # DSPy would otherwise fetch a newer list from the network, and `glan plan` sends nothing.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")
    info = model_info(provider, model)
    if not info or rate(info, "input_cost_per_token") is None or rate(info, "output_cost_per_token") is None:
        return None
    cached = rate(info, "cache_read_input_token_cost")
    version = source_info().get("snapshot_version", "?")
    return Tariff(
        rate(info, "input_cost_per_token") * PER,
        rate(info, "output_cost_per_token") * PER,
        None if cached is None else cached * PER,
        f"DSPy's price snapshot {version}",
    )


def for_model(entries: Sequence[str], names: Collection[str]) -> float | None:
    """The price that `--price-… 2.5` or `--price-… MODEL=2.5` gives a model of these names; the particular one wins.

    Raises ValueError for an entry that is neither.
    """
    general = particular = None
    for entry in entries:
        name, equals, price = entry.rpartition("=")
        try:
            value = float(price)
        except ValueError:
            raise ValueError(f"{entry!r} is no price; dollars for a million tokens, 2.5 or MODEL=2.5") from None
        if not value >= 0:
            raise ValueError(f"{entry!r} is no price; it is 0 or more")
        if not equals:
            general = value
        elif name in names:
            particular = value
    return general if particular is None else particular
