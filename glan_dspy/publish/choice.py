"""Which of a run's pairs are exported: by an expression over their keys, by the score that a judge gave them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.filtering import keys_of
from glan_dspy.records import Discipline, Question, Rejected
from glan_dspy.run.judgements import read_scores
from glan_dspy.run.store import Run


class Choice:
    """Lets pass what fits and counts what does not; memory holds one discipline's scores.

    `only` sees a pair's keys and `score`, which is None without a judgement. A pair without one never has
    `min_score`.
    """

    def __init__(self, only: Callable[[Mapping[str, Any]], bool] | None = None, min_score: float | None = None) -> None:
        self.only, self.min_score = only, min_score
        self.unfit = self.low = self.unjudged = 0

    def of(self, run: Run, pairs: Iterator[Question]) -> Iterator[Question]:
        """The pairs that pass, in their order. Raises UserError where none does."""
        chosen = (pair for pair, score in _scored(run, pairs) if self.passes(pair, score))
        first = next(chosen, None)
        if first is None:
            raise self.nothing_left(run)
        return chain([first], chosen)

    def nothing_left(self, run: Run) -> UserError:
        hint = f"; `glan judge {run.path}` gives them one" if self.unjudged else ""
        return UserError(f"nothing of {run.path} is left: {self.left_out()}{hint}")

    def left_out(self) -> str:
        """What did not pass so far, in words; empty where all did."""
        counts = {
            "do not fit --only": self.unfit,
            "have no judgement": self.unjudged,
            f"score less than {self.min_score}": self.low,
        }
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)

    def passes(self, item: Question | Rejected | Mapping[str, Any], score: float | None) -> bool:
        """Whether it is chosen; counted where it is not."""
        if self.only and not self.only({**keys_of(item), "score": score}):
            self.unfit += 1
        elif self.min_score is None:
            return True
        elif score is None:
            self.unjudged += 1
        elif score < self.min_score:
            self.low += 1
        else:
            return True
        return False


def _scored(run: Run, pairs: Iterator[Question]) -> Iterator[tuple[Question, float | None]]:
    """Each pair with its score. Pairs of one discipline follow one another."""
    shelves = {discipline.id: run.shelf(discipline) for discipline in run.disciplines()}
    name: str | None = None
    scores: dict[str, float] = {}
    for pair in pairs:
        if pair.discipline != name:
            name = pair.discipline
            shelf = shelves.get(Discipline(name=name).id)
            scores = read_scores(shelf) if shelf else {}
        yield pair, scores.get(pair.id)
