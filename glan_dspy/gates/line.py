"""The gates that stand along the way of a record, in their order: the cheap ones first.

A question passes its gates before its answer is bought; what falls is kept with its reason.
"""

from __future__ import annotations

from glan_dspy.gates.contamination import Overlap
from glan_dspy.gates.cut import cut_short
from glan_dspy.gates.duplicate import Seen
from glan_dspy.gates.language import wrong_language
from glan_dspy.gates.leak import leaks
from glan_dspy.gates.refusal import refuses
from glan_dspy.gates.verdict import Verdict
from glan_dspy.records import Instruction, Question
from glan_dspy.settings import Settings


class Gates:
    """The gates of one discipline: what was seen and what is held out differ from one to the next."""

    def __init__(self, settings: Settings, benchmarks: Overlap | None = None) -> None:
        self.on = settings.gates
        self.seen = Seen(settings.near_duplicates)
        self.held_out = Overlap(least=0.6)
        self.benchmarks = benchmarks

    def question(self, asked: Question) -> Verdict | None:
        """Why the question falls, or None. What passes counts as seen. The test set is guarded without gates too."""
        if not self.on:
            return self._held_out(asked.question)
        return (
            leaks(asked.question, asked.language)
            or refuses(asked.question)
            or wrong_language(asked.question, asked.language)
            or self._copied(asked.question)
            or self._held_out(asked.question)
            or self.seen.judge(asked.id, asked.question)
        )

    def answer(self, pair: Instruction, *, at_limit: bool = False) -> Verdict | None:
        """Why the pair falls for its answer, or None. `at_limit`: the reply is as long as it was allowed to be."""
        if not self.on:
            return None
        return (
            cut_short(pair.answer, at_limit=at_limit)
            or refuses(pair.answer)
            or wrong_language(pair.answer, pair.language)
            or self._copied(pair.answer)
        )

    def remember(self, id: str, question: str) -> None:
        """Counts as seen what an earlier command let through."""
        if self.on:
            self.seen.add(id, question)

    def hold_out(self, id: str, question: str) -> None:
        """Lets nothing pass from now on that overlaps with this question of the test set."""
        self.held_out.add("holdout", id, question)

    def _copied(self, text: str) -> Verdict | None:
        return self.benchmarks.find(text) if self.benchmarks is not None else None

    def _held_out(self, text: str) -> Verdict | None:
        verdict = self.held_out.find(text) if len(self.held_out) else None
        return verdict._replace(reason="holdout") if verdict else None
