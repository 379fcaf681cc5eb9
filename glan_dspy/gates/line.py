"""The gates that stand along the way of a record, in their order: the cheap ones first.

A question passes its gates before its answer is bought; what falls is kept with its reason. Several are judged at a
time, by one gate after the other: a gate that has just run has its tables and its code in the processor's caches, and
takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from glan_dspy.gates.contamination import Overlap
from glan_dspy.gates.cut import cut_short
from glan_dspy.gates.duplicate import Seen
from glan_dspy.gates.language import wrong_language
from glan_dspy.gates.leak import leaks
from glan_dspy.gates.refusal import refuses
from glan_dspy.gates.verdict import Verdict
from glan_dspy.records import Instruction, Question
from glan_dspy.settings import Settings

T = TypeVar("T")
Gate = Callable[[T], Verdict | None]
Written = Callable[[str], str]
"""The language that a model writes when it is asked for another one: the same, but for one that pretends."""


class QuestionGates:
    """The gates of one discipline's questions: what was seen and what is held out differ from one to the next."""

    def __init__(self, settings: Settings, benchmarks: Overlap | None = None, written: Written = str) -> None:
        self.on = settings.gates
        self.written = written
        self.seen = Seen(settings.near_duplicates)
        self.held_out = Overlap(least=0.6)
        self.benchmarks = benchmarks

    def judge(self, asked: Sequence[Question]) -> list[Verdict | None]:
        """Why each of them falls, or None. What passes counts as seen, in the order in which they are given."""
        if not self.on:  # the test set is guarded all the same
            return verdicts(asked, [self._held_out])
        return verdicts(
            asked,
            [
                lambda one: leaks(one.question, one.language),
                lambda one: refuses(one.question),
                lambda one: wrong_language(one.question, self.written(one.language)),
                lambda one: copied(one.question, self.benchmarks),
                self._held_out,
                lambda one: self.seen.judge(one.id, one.question),
            ],
        )

    def remember(self, id: str, question: str) -> None:
        """Counts as seen what an earlier command let through."""
        if self.on:
            self.seen.add(id, question)

    def hold_out(self, id: str, question: str) -> None:
        """Lets nothing pass from now on that overlaps with this question of the test set."""
        self.held_out.add("holdout", id, question)

    def _held_out(self, one: Question) -> Verdict | None:
        verdict = self.held_out.find(one.question) if len(self.held_out) else None
        return verdict._replace(reason="holdout") if verdict else None


class Answered(NamedTuple):
    """A pair whose answer has come."""

    pair: Instruction
    at_limit: bool
    """Whether the reply is as long as it was allowed to be."""


class AnswerGates:
    """The gates of all answers."""

    def __init__(self, settings: Settings, benchmarks: Overlap | None = None, written: Written = str) -> None:
        self.on = settings.gates
        self.written = written
        self.benchmarks = benchmarks

    def judge(self, answered: Sequence[Answered]) -> list[Verdict | None]:
        """Why each pair falls for its answer, or None."""
        if not self.on:
            return [None] * len(answered)
        return verdicts(
            answered,
            [
                lambda one: cut_short(one.pair.answer, at_limit=one.at_limit),
                lambda one: refuses(one.pair.answer),
                lambda one: wrong_language(one.pair.answer, self.written(one.pair.language)),
                lambda one: copied(one.pair.answer, self.benchmarks),
            ],
        )


def copied(text: str, benchmarks: Overlap | None) -> Verdict | None:
    return benchmarks.find(text) if benchmarks is not None else None


def verdicts(items: Sequence[T], gates: Sequence[Gate[T]]) -> list[Verdict | None]:
    """For each item the verdict of the first gate that it does not pass, or None."""
    found: list[Verdict | None] = [None] * len(items)
    for gate in gates:
        for place, item in enumerate(items):
            if found[place] is None:
                found[place] = gate(item)
    return found
