"""What an export holds, counted while it is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from glan_dspy.publish.balance import Balance
from glan_dspy.publish.pairs import Spoilt
from glan_dspy.records import Instruction, Question


@dataclass
class Contents:
    """Memory holds the different names only."""

    rows: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    """Rows of each part of a split."""
    disciplines: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    strategies: Counter[str] = field(default_factory=Counter)
    question_models: Counter[str] = field(default_factory=Counter)
    answer_models: Counter[str] = field(default_factory=Counter)
    simulated: int = 0

    def add(self, part: str, pair: Question) -> None:
        self.rows += 1
        self.parts[part] += 1
        self.disciplines[pair.discipline] += 1
        self.languages[pair.language] += 1
        self.strategies[pair.strategy] += 1
        self.question_models[pair.question_model] += 1
        if isinstance(pair, Instruction):
            self.answer_models[pair.answer_model] += 1
        self.simulated += pair.simulated


class Exported(NamedTuple):
    """What was written, and what was not."""

    files: dict[Path, int]
    """Rows of each data file."""
    contents: Contents
    left_out: str
    """What did not fit --only or --min-score, in words; empty where nothing did."""
    balanced: Balance | None
    spoilt: Spoilt
    card: Path | None = None
    """The dataset card of a folder."""
