"""A simulated model: the demo, the test double, the load generator and the chaos source in one.

    RehearsalEngine("rehearsal")                                      # always well, at once
    RehearsalEngine("rehearsal?latency=0.5&server_error=0.02&refuse=0.01")

No network, no clock, no `random` state: the same request gets the same reply. Faults follow the item rather
than the request's text: those of the transport (server_error, rate_limit, timeout, reset) are drawn for each
attempt, so that sending again heals them; those of the content (truncate, refuse, ...) for each ask, so that
only a fresh question does. Languages: English, Korean, Japanese, Chinese, Spanish, Hindi, Arabic, French,
German, Portuguese, Russian, Vietnamese; another one is answered in English.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import math
from dataclasses import dataclass, fields
from random import Random
from typing import Any
from urllib.parse import parse_qsl

from dspy import lm15
from dspy.lm15 import Message, Request, Response, TextPart, Usage

from glan_dspy.engines import rehearsal_text as text
from glan_dspy.engines.base import CALL
from glan_dspy.engines.rehearsal_ask import Ask, read
from glan_dspy.engines.rehearsal_text import Said
from glan_dspy.engines.rehearsal_words import Words, language_code, words_of

__all__ = ["Rehearsal", "RehearsalEngine", "is_rehearsal", "parse_rehearsal", "written_in"]

_TRANSPORT = ("server_error", "rate_limit", "timeout", "reset")
_CONTENT = ("truncate", "bad_json", "refuse", "empty", "abstain", "wrong_language", "duplicate")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a rehearsal behaves; every field but `latency` is a share of replies, 0 to 1."""

    latency: float = 0.0
    """Median seconds until the reply (lognormal, sigma 0.5); 0 = no waiting at all."""
    server_error: float = 0.0
    rate_limit: float = 0.0
    timeout: float = 0.0
    reset: float = 0.0
    truncate: float = 0.0
    bad_json: float = 0.0
    """Broken JSON with finish reason 'stop'; of structured replies only."""
    refuse: float = 0.0
    empty: float = 0.0
    abstain: float = 0.0
    """'DO NOT KNOW', where the prompt offers it."""
    wrong_language: float = 0.0
    duplicate: float = 0.0
    """A question that other items get too."""


def is_rehearsal(model_name: str) -> bool:
    """Whether a model name means the simulated model: 'rehearsal', or 'rehearsal?...'."""
    return model_name == "rehearsal" or model_name.startswith("rehearsal?")


def written_in(model_name: str, language: str) -> str:
    """What a model writes that is asked for this language: the simulated one has English in place of what it lacks."""
    return "English" if is_rehearsal(model_name) and language_code(language) is None else language


def parse_rehearsal(name: str) -> Rehearsal:
    """The behaviour a name asks for, e.g. 'rehearsal?latency=0.5&refuse=0.01'; ValueError in one sentence."""
    if not is_rehearsal(name):
        raise ValueError(f"{name!r} is not a rehearsal: write 'rehearsal' or 'rehearsal?latency=0.5&refuse=0.01'.")
    pairs = parse_qsl(name.partition("?")[2], keep_blank_values=True)
    behaviour = Rehearsal(**{key: _number(key, value) for key, value in pairs})
    for group in (_TRANSPORT, _CONTENT):
        if (total := sum(getattr(behaviour, key) for key in group)) > 1 + 1e-9:
            raise ValueError(f"The shares of {', '.join(group)} add up to {total:g}; together they may be at most 1.")
    return behaviour


class RehearsalEngine:
    """Replies to every request from word lists; see the module's text."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "top_p", "max_tokens", "seed"})

    def __init__(self, name: str = "rehearsal") -> None:
        self.name = name
        self.behaviour = parse_rehearsal(name)

    async def complete(self, request: Request) -> Response:
        ask = read(request)
        fault, wait = self._plan(ask)
        if wait:
            await asyncio.sleep(wait)
        if fault:
            raise _transport_error(fault)
        said = self._said(ask)
        return Response(
            id=f"rehearsal-{ask.digest[:8].hex()}",
            model="rehearsal",
            message=Message(role="assistant", parts=(TextPart(said.text),)),
            finish_reason=said.finish,
            usage=Usage(
                input_tokens=text.tokens_in(ask.input_bytes),
                output_tokens=text.estimate(said.text),
                cache_read_tokens=0,
            ),
        )

    def dump_state(self) -> dict[str, Any]:
        """What a saved program keeps of the engine: its name."""
        return {"name": self.name}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> RehearsalEngine:
        return cls(state["name"])

    def __deepcopy__(self, memo: dict[int, Any]) -> RehearsalEngine:
        # DSPy copies programs with their LMs; there is nothing here that could change.
        return self

    def _plan(self, ask: Ask) -> tuple[str | None, float]:
        """The transport fault of this attempt, if any, and the seconds to wait first."""
        behaviour = self.behaviour
        rng = _fault_stream(ask, with_attempt=True)
        fault = _drawn(behaviour, _TRANSPORT, rng.random())
        wait = behaviour.latency and behaviour.latency * math.exp(rng.gauss(0.0, 0.5))
        return fault, wait

    def _said(self, ask: Ask) -> Said:
        rng = _fault_stream(ask, with_attempt=False)
        fault = _drawn(self.behaviour, _CONTENT, rng.random())
        words = text.language_of(ask)
        if fault is None or not _applies(fault, ask):
            return text.reply(ask, words, Random(ask.digest))
        return _faulty(fault, ask, words, rng)


def _number(key: str, value: str) -> float:
    known = [field.name for field in fields(Rehearsal)]
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
        raise ValueError(f"The rehearsal model knows no {key!r} (given: {value!r}); {hint}")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    top = math.inf if key == "latency" else 1.0
    if not 0 <= number <= top or math.isinf(number):
        allowed = "seconds, 0 or more" if key == "latency" else "a share between 0 and 1"
        raise ValueError(f"The rehearsal model's {key!r} cannot be {value!r}; it must be {allowed}.")
    return number


def _fault_stream(ask: Ask, *, with_attempt: bool) -> Random:
    """The chance that decides about faults: the item's where a call is known, else the request's own."""
    call = CALL.get()
    if call is None:
        key = f"{with_attempt}|{ask.digest.hex()}"
    else:
        attempt = call.attempt if with_attempt else "-"
        key = f"{call.stage}|{call.item}|{call.ask}|{attempt}"
    return Random(hashlib.blake2b(key.encode(), digest_size=16).digest())


def _drawn(behaviour: Rehearsal, faults: tuple[str, ...], chance: float) -> str | None:
    """The fault whose share of [0, 1) the number falls into: exact and exclusive shares."""
    upper = 0.0
    for fault in faults:
        upper += getattr(behaviour, fault)
        if chance < upper:
            return fault
    return None


def _applies(fault: str, ask: Ask) -> bool:
    match fault:
        case "bad_json":
            return ask.structured
        case "abstain":
            return ask.abstention_offered and not ask.structured
        case "wrong_language":
            return not ask.structured and ask.task != "chat"
        case "duplicate":
            return not ask.structured and ask.task == "question"
        case _:
            return True


def _faulty(fault: str, ask: Ask, words: Words, rng: Random) -> Said:
    match fault:
        case "refuse":
            return text.plain(ask, rng.choice(words.lists["refusal"]).literals[0])
        case "empty":
            return Said("")
        case "abstain":
            return text.plain(ask, "DO NOT KNOW")
        case "wrong_language":
            return text.reply(ask, words_of("es" if words.code == "en" else "en"), Random(ask.digest))
        case "duplicate":
            return text.duplicate(ask, words, bucket=rng.randrange(5), copy=rng.randrange(3))
    said = text.reply(ask, words, Random(ask.digest))
    return _broken(said.text, rng) if fault == "bad_json" else _truncated(said.text)


def _truncated(full: str) -> Said:
    """About six tenths of the text, never ending where a sentence does."""
    return Said(full[: max(1, len(full) * 6 // 10)].rstrip(' \n.!?。？！।؟"}]'), "length")


def _broken(full: str, rng: Random) -> Said:
    """JSON that no strict parser reads, in one of the ways models break it."""
    way = rng.randrange(3)
    if way == 0:
        return Said(full[: max(1, len(full) * 7 // 10)].rstrip("}]"))
    if way == 1:
        return Said(full.replace('":', '" ='))
    return Said(f"Here is the JSON you asked for:\n{full[1:]}")


def _transport_error(fault: str) -> lm15.LM15Error:
    match fault:
        case "server_error":
            return lm15.ServerError("rehearsed: the server failed", status=500, provider="rehearsal")
        case "rate_limit":
            return lm15.RateLimitError("rehearsed: too many", status=429, provider="rehearsal", retry_after=0.05)
        case "timeout":
            return lm15.TimeoutError("rehearsed: timed out", provider="rehearsal")
        case _:
            return lm15.TransportError("rehearsed: the connection was reset", provider="rehearsal")
