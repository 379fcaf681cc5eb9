"""Programs held beside one another on the same rows: their scores, part by part, and how sure a difference is."""

from __future__ import annotations

import contextvars
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import NamedTuple

import dspy

from glan_dspy.optimize.metric import Metric, Score

__all__ = ["Difference", "Judged", "measured", "paired", "parts_of", "value_of"]

RESAMPLES = 10_000


class Judged(NamedTuple):
    """What a program made of one row, and what that is worth."""

    example: dspy.Example
    prediction: dspy.Prediction
    score: Score


class Difference(NamedTuple):
    """The mean of the paired differences, with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f}, 95 % interval {self.low:+.3f} to {self.high:+.3f}"


def measured(
    program: Callable[..., dspy.Prediction],
    examples: Sequence[dspy.Example],
    new_metric: Callable[[], Metric],
    threads: int,
) -> list[Judged]:
    """What the program makes of each example, in their order; an error of any of them is raised.

    The models are asked by many threads, the scores are made one after another: a metric remembers what it has seen,
    to tell a text that is given for every row.
    """

    def one(example: dspy.Example) -> dspy.Prediction:
        prediction = program(**example.inputs())
        new_metric()(example, prediction)  # asks the judge, whose reply is then on record
        return prediction

    pool = ThreadPoolExecutor(threads)
    try:
        # A context each: DSPy's settings lie in context variables, and a context runs in one thread at a time.
        made = [pool.submit(contextvars.copy_context().run, one, example) for example in examples]
        predictions = [future.result() for future in made]
    finally:
        pool.shutdown(cancel_futures=True)
    metric = new_metric()
    return [Judged(e, p, metric(e, p)) for e, p in zip(examples, predictions, strict=True)]


def value_of(judged: Sequence[Judged]) -> float:
    """The mean score."""
    return fmean(one.score.value for one in judged)


def parts_of(judged: Sequence[Judged]) -> dict[str, float]:
    """The mean of each part over the rows that have it."""
    names = dict.fromkeys(name for one in judged for name in one.score.parts)
    return {name: fmean(one.score.parts[name] for one in judged if name in one.score.parts) for name in names}


def paired(before: Sequence[float], after: Sequence[float], seed: int = 0) -> Difference:
    """How much better `after` is than `before`, row by row: the paired bootstrap over 10,000 resamples of the rows.

    >>> paired([0.2, 0.4], [0.5, 0.7]).mean
    0.3

    Rows are what is resampled, so the interval says what other rows would do, not what the model would say again.
    """
    differences = [new - old for old, new in zip(before, after, strict=True)]
    if len(set(differences)) == 1:
        return Difference(*differences[:1] * 3)
    rng, rows = random.Random(seed), len(differences)
    means = sorted(sum(rng.choices(differences, k=rows)) / rows for _ in range(RESAMPLES))
    edge = round(RESAMPLES * 0.025)
    return Difference(fmean(differences), means[edge], means[-edge - 1])
