"""What a pair, a subject list or a syllabus is worth: a number to raise, and words that say how.

Its parts are multiplied, not averaged, so that no virtue makes up for a fault: a fine answer to a copied question is
worth no more than the copy. Which parts there are: `parts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from glan_dspy.errors import UserError
from glan_dspy.gates.language import can_tell, code_of
from glan_dspy.optimize.parts import FIELDS, Look, parts_of
from glan_dspy.optimize.parts_others import Others
from glan_dspy.optimize.parts_words import Told, quote
from glan_dspy.records import question_id

if TYPE_CHECKING:
    import dspy

__all__ = ["STAGES", "Judge", "Metric", "Score"]

STAGES = tuple(FIELDS)
"""subjects, syllabus, question, answer: the order of the method."""

LEFT = 0.2
"""What one part that fails altogether leaves of the value: little, but enough to see a second fault mended."""

_BY_JUDGE = frozenset({"concepts", "level"})
"""Parts that words can only guess at, so that a judge's opinion replaces theirs."""

_OF_THE_ANSWER = frozenset({"correct", "complete"})
"""Parts of a judge that tell of the answer; all others tell of the question."""

Judge = Callable[["dspy.Example", "dspy.Prediction"], Mapping[str, float]]
"""Gives parts of its own from 0 to 1, such as "concepts", "level" and "correct"."""


class Score(NamedTuple):
    value: float
    """0 to 1, higher is better."""
    words: str
    """What is wrong and what would be right, in plain sentences, for an optimizer that reflects."""
    parts: dict[str, float]
    """By "stage.part", 0 to 1; a part that could not be told is not there."""


class Metric:
    """How near a prediction is to one with nothing wrong in it: the product over the parts p of 0.2 + 0.8 p.

    1 is a pair in the language, self-contained, in form, of a fit length, about its concepts, and answered whole. One
    part that fails leaves 0.2, two leave 0.04; a stage that gave nothing leaves 0.

    >>> metric = Metric("Korean")
    >>> metric(example, prediction).value                     # question and answer together
    >>> metric(example, prediction, stage="answer").words     # what to tell the predictor of the answer

    Concepts and level are the judge's to tell. Without one they are read off the words where the curriculum is in the
    same language, and left out elsewhere: `left_out` says which parts are, and why. A metric remembers the texts it
    has seen, so that one text for all rows scores as a copy; equal calls in equal order give equal scores.
    """

    def __init__(
        self, language: str, *, stages: Collection[str] = ("question", "answer"), judge: Judge | None = None
    ) -> None:
        if unknown := [stage for stage in stages if stage not in FIELDS]:
            raise UserError(f"stage {unknown[0]!r} is unknown; --stage is one of {', '.join(STAGES)}")
        self.language = language
        self.stages = tuple(stage for stage in STAGES if stage in stages)
        self.judge = judge
        self._others = {stage: Others() for stage in STAGES}
        self._left_out = self._beforehand()

    @property
    def left_out(self) -> dict[str, str]:
        """The parts that no value has in it, by "stage.part", each with the reason; known before the first call."""
        return {name: why for name, why in self._left_out.items() if name.partition(".")[0] in self.stages}

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, stage: str | None = None) -> Score:
        """The score of one prediction for one row; of one stage's parts alone where `stage` names it."""
        stages = self.stages if stage is None else (stage,)
        made = {name: getattr(prediction, field, None) for name, field in FIELDS.items()}
        look = Look(_row(example), self.language, example.subject, example.syllabus, example.sample, made)
        judged = self._judged(example, prediction, look, stages)
        told: dict[str, dict[str, Told]] = {}
        for name in stages:
            if _empty(made[name]):
                told[name] = {"given": (0.0, _nothing(name, prediction))}
            else:
                told[name] = {"given": (1.0, ""), **_with_judge(self._told(name, look), judged.get(name, {}))}
        parts = {f"{name}.{part}": value for name, found in told.items() for part, (value, _) in found.items()}
        return Score(_product(parts), _words(told), parts)

    def _told(self, stage: str, look: Look) -> dict[str, Told]:
        """The parts of one stage that can be told, and a note of those that cannot."""
        found = parts_of(stage, look, self._others[stage])
        for part, told in found.items():
            if told is not None:
                self._left_out.pop(f"{stage}.{part}", None)
            elif self.judge is None:
                self._left_out.setdefault(f"{stage}.{part}", self._why(part))
        return {part: told for part, told in found.items() if told is not None}

    def _judged(
        self, example: dspy.Example, prediction: dspy.Prediction, look: Look, stages: Collection[str]
    ) -> dict[str, dict[str, Told]]:
        """The judge's parts by stage. A pair that is not whole is not shown to it."""
        pair = ("question", "answer")
        if self.judge is None or not set(stages) & set(pair) or any(_empty(look.made[name]) for name in pair):
            return {}
        found: dict[str, dict[str, Told]] = {name: {} for name in pair}
        for part, value in self.judge(example, prediction).items():
            value = round(min(1.0, max(0.0, float(value))), 4)
            found["answer" if part in _OF_THE_ANSWER else "question"][part] = (value, _of_judge(part, value, look))
        return found

    def _beforehand(self) -> dict[str, str]:
        left: dict[str, str] = {}
        if not can_tell(self.language):
            left |= {f"{stage}.language": self._why("language") for stage in STAGES}
        if code_of(self.language) != "en":  # as the built-in set is; a set in another language puts these back
            left["syllabus.covering"] = self._why("covering")
        if self.judge is None:
            left["answer.correct"] = "whether an answer is right is for a judge to tell: --judge-model"
            if code_of(self.language) != "en":
                left |= {f"question.{part}": self._why(part) for part in ("concepts", "level")}
        return left

    def _why(self, part: str) -> str:
        if part == "language":
            return f"{self.language} cannot be told from other languages"
        reason = f"the curriculum is in another language than {self.language}, so its words cannot be looked for"
        return reason if part == "covering" else f"{reason}; a judge could tell: --judge-model"


def _row(example: dspy.Example) -> str:
    return str(example.get("id") or question_id(example.syllabus, example.sample))


def _empty(made: Any) -> bool:
    return not (made.strip() if isinstance(made, str) else made)


def _nothing(stage: str, prediction: dspy.Prediction) -> str:
    reason = str(getattr(prediction, "failed", None) or "")
    return f"There is nothing: the {stage} is missing or empty{f' ({reason})' if reason else ''}; write it."


def _product(parts: Mapping[str, float]) -> float:
    given = all(value for name, value in parts.items() if name.endswith(".given"))
    return round(math.prod(LEFT + (1 - LEFT) * value for value in parts.values()), 4) if given else 0.0


def _words(told: Mapping[str, Mapping[str, Told]]) -> str:
    """A line a stage: what is wrong in it, the worst first."""
    lines = []
    for stage, parts in told.items():
        faults = [words for value, words in sorted(parts.values()) if value < 1 and words]
        lines.append(f"{stage.capitalize()}: {' '.join(faults) or 'nothing is wrong that this metric can see.'}")
    return "\n".join(lines)


def _with_judge(told: dict[str, Told], judged: Mapping[str, Told]) -> dict[str, Told]:
    """The parts with a judge's: its word on concepts and level, and the worse of two opinions on anything else."""
    worse = {part: min(told.get(part, one), one) for part, one in judged.items() if part not in _BY_JUDGE}
    return {**told, **worse, **{part: one for part, one in judged.items() if part in _BY_JUDGE}}


def _of_judge(part: str, value: float, look: Look) -> str:
    """What a judge's part asks for, where it is not fulfilled."""
    if value >= 1:
        return ""
    concepts = quote(look.sample.key_concepts)
    wanted = {
        "concepts": f"the task must make the student use {concepts} together",
        "level": f"the task must fit level {look.subject.level} (100 first-year to 900 doctoral)",
        "fits": f"the task must fit level {look.subject.level} (100-900) and need {concepts} together",
        "correct": "the answer must be right, complete and to the question",
    }.get(part, f"make the pair better in this: {part.replace('_', ' ')}")
    return f"A judge gave {value:.2f} of 1 for {part!r}: {wanted}."
