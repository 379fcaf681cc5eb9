"""Both kinds of error of a gate on a corpus of hand-made texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Score(NamedTuple):
    """How a gate did on a corpus."""

    precision: float
    """The share of its verdicts that are right."""
    recall: float
    """The share of what should fall that it found."""


def rows_of(name: str) -> list[dict[str, Any]]:
    """The texts of tests/gates/corpora/NAME.jsonl."""
    path = Path(__file__).parent / "corpora" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def scored(name: str, rows: list[dict[str, Any]], falls: str, gate: Callable[[dict[str, Any]], object]) -> Score:
    """The score of a gate on rows whose `falls` is true where the gate should speak; printed with every error."""
    found = [(row, gate(row)) for row in rows]
    right = sum(bool(verdict) and row[falls] for row, verdict in found)
    verdicts, due = sum(bool(verdict) for _, verdict in found), sum(row[falls] for row in rows)
    score = Score(right / max(verdicts, 1), right / max(due, 1))
    print(f"\n{name}: {len(rows)} texts, {due} to find; precision {score.precision:.3f}, recall {score.recall:.3f}")
    for row, verdict in found:
        if bool(verdict) != row[falls]:
            print(f"  {'innocent' if verdict else 'missed'}: {row} {verdict or ''}")
    return score
