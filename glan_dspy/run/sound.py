"""Which lines are what a run writes: those that a hand edited into something else are passed over by all who read.

Records say so by themselves, being validated. These are the lines that are read as they are, many of them often.
"""

from __future__ import annotations

from glan_dspy.run.lines import Line

_NUMBERS = (int, float, type(None))
_TEXTS = (str, type(None))


def is_call(line: Line) -> bool:
    """A line of calls.jsonl that can be counted."""
    get = line.get
    return (
        type(get("id")) is str
        and type(get("stage")) is str
        and type(get("model")) in _TEXTS
        and type(get("time")) in _NUMBERS
        and type(get("seconds")) in _NUMBERS
        and type(get("prompt_tokens")) in _NUMBERS
        and type(get("cached_tokens")) in _NUMBERS
        and type(get("completion_tokens")) in _NUMBERS
        and type(get("cost_usd")) in _NUMBERS
        and type(get("reserved_usd")) in _NUMBERS
    )


def is_reply(line: Line) -> bool:
    """A line of replies.jsonl that can stand for its call."""
    whole = all(type(line.get(key)) is str for key in ("id", "call", "text", "finish_reason"))
    return whole and all(type(line.get(key)) in _TEXTS for key in ("model", "refusal", "reasoning"))


def is_judgement(line: Line) -> bool:
    """A line of judgements.jsonl, with scores or without."""
    scores, votes = line.get("scores"), line.get("votes")
    return (
        all(type(line.get(key)) is str for key in ("id", "model"))
        and type(line.get("score")) in _NUMBERS
        and (scores is None or (_counts(scores) and line.get("score") is not None))
        and (votes is None or (_counts(votes, but="own") and {"asked", "agree"} <= votes.keys()))
    )


def is_vote(line: Line) -> bool:
    """A line of votes.jsonl."""
    known = "said" in line and type(line["said"]) in _TEXTS
    return known and type(line.get("number")) is int and all(type(line.get(key)) is str for key in ("id", "model"))


def _counts(value: object, but: str = "") -> bool:
    """Whether it is an object whose values are numbers."""
    return isinstance(value, dict) and all(type(one) in (int, float) for key, one in value.items() if key != but)
