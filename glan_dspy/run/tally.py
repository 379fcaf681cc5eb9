"""What has happened so far, in numbers: the walk counts, the progress display reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass
class Tally:
    disciplines: int = 0
    disciplines_done: int = 0
    subjects: int = 0
    syllabi: int = 0
    questions: int = 0
    instructions: int = 0
    found: int = 0
    """Pairs that earlier commands on this run had already made; part of `instructions`."""
    held_out: int = 0
    """Pairs of the test sets."""
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    """Items that got no reply, by the kind of failure; a rerun tries them again."""
    errors: Counter[str] = field(default_factory=Counter)
    """Failed attempts by kind, healed by a retry or not."""
    exhausted: int = 0
    """Syllabi with fewer combinations of sessions and concepts than questions were planned."""
    calls: int = 0
    cost: float = 0.0
    """Dollars of this command's calls whose price is known."""
    unpriced: int = 0
    """Calls whose price is not known."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def call(self, line: dict[str, Any]) -> None:
        self.cost += line.get("reserved_usd") or line.get("cost_usd") or 0.0
        if "error" in line:
            self.errors[line["error"]] += 1
            return
        self.calls += 1
        self.unpriced += line["cost_usd"] is None
        self.prompt_tokens += line["prompt_tokens"] or 0
        self.completion_tokens += line["completion_tokens"] or 0


class Short(NamedTuple):
    """What a discipline lacks when it is through."""

    pairs: int
    test: int = 0
    """Pairs of its test set."""
    dry: bool = False
    """No combination of sessions and concepts is left."""
    unplanned: int = 0
    """Subjects without a usable syllabus."""


@dataclass
class Outcome:
    """How a walk ended."""

    tally: Tally
    interrupted: bool = False
    budget: str = ""
    """That the cap is reached, in numbers."""
    needs: float = 0.0
    """Dollars with which the call that found the cap reached could have been sent."""
    reason: str = ""
    """Why it stopped before its end, where the user must mend something."""
    bugs: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Names of the disciplines with open items, or with no subjects."""
    short: dict[str, Short] = field(default_factory=dict)
    """What is missing, by the discipline's name."""
    why: str = ""
    """What went wrong in the last of them."""
