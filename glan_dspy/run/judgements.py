"""What `judge` said about accepted pairs, one line a judgement: disciplines/<folder>/judgements.jsonl

    {"id", "scores": {criterion: 1-5} | null, "score": their mean | null, "why", "votes": {...} | null,
     "model", "call", "time"}

The newest judgement about an id counts. Without scores it tells why there are none. `votes` tells how many further
answers were asked for, how many agree with the pair's own, and what that one ends in, as {"asked": 5, "agree": 4,
"own": "42"}. Each vote is in votes.jsonl as soon as it is paid for: {"id", "number", "said", "model", "call", "time"}.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from glan_dspy.run.lines import Line
from glan_dspy.run.sound import is_judgement, is_vote
from glan_dspy.run.store import Shelf

Votes = dict[str, dict[int, str | None]]
"""By pair, what each numbered vote ends in; None for one that ends in nothing."""


def read_scores(shelf: Shelf) -> dict[str, float]:
    """The score, 1 to 5, of each pair that has one: the newest, whichever model gave it."""
    return {line["id"]: float(line["score"]) for line in _judgements(shelf) if line.get("score") is not None}


def judgements_by(shelf: Shelf, model: str) -> dict[str, Line]:
    """The model's newest judgement about each pair, those without scores among them."""
    return {line["id"]: line for line in _judgements(shelf) if line.get("model") == model}


def votes_by(shelf: Shelf, model: str) -> Votes:
    """The model's votes about each pair."""
    found: Votes = defaultdict(dict)
    for line in shelf.read("votes"):
        if is_vote(line) and line["model"] == model:
            found[line["id"]][line["number"]] = line["said"]
    return found


def _judgements(shelf: Shelf) -> Iterator[Line]:
    return (
        {"scores": None, "score": None, "votes": None, **line}
        for line in shelf.read("judgements")
        if is_judgement(line)
    )
