"""A pair judged by a model: four scores and a sentence."""

from typing import Annotated, Any, Literal

import dspy
from pydantic import BeforeValidator


def _whole(value: Any) -> Any:
    """4 from "4", "4/5" and 4.0: how models write a score where no schema holds them."""
    if isinstance(value, str):
        number = value.strip().removesuffix("/5").strip()
        return int(number) if number.isascii() and number.isdecimal() else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


Score = Annotated[Literal[1, 2, 3, 4, 5], BeforeValidator(_whole)]


class JudgePair(dspy.Signature):
    """You are a strict examiner of the subject. Work through the question yourself, then check the answer step by
    step. First write one English sentence that names the worst flaw of the pair, or says that there is none. Then
    give four scores from 1 (useless) to 5 (without a flaw). Correct: the answer is right, complete and answers what
    was asked. Self-contained: whoever reads the question alone finds in it all that is needed. Fits: the question is
    at the given level (100 first-year to 900 doctoral) and makes the student use the given key concepts. Useful: a
    student who works through the pair learns something by it. Length and style earn nothing."""

    subject: str | None = dspy.InputField(default=None)
    level: int | str | None = dspy.InputField(default=None)
    key_concepts: list[str] | None = dspy.InputField(default=None)
    question: str = dspy.InputField()
    answer: str = dspy.InputField()
    why: str = dspy.OutputField()
    correct: Score = dspy.OutputField()
    self_contained: Score = dspy.OutputField()
    fits: Score = dspy.OutputField()
    useful: Score = dspy.OutputField()
