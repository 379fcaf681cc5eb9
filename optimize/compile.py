"""A program tuned for a language, from rows to file: read, measure, improve, measure again, keep what is better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import dspy

from glan_dspy.engines.rehearsal import is_rehearsal
from glan_dspy.optimize.compare import Difference, Judged, measured
from glan_dspy.optimize.examining import judge_with
from glan_dspy.optimize.journal import Log
from glan_dspy.optimize.metric import Metric, Score
from glan_dspy.optimize.models import Models, Names
from glan_dspy.optimize.optimizers import Budget, Optimizer, Task, improved
from glan_dspy.optimize.rows import Splits, example_of
from glan_dspy.optimize.state import diffs_of, held_out, is_better, not_better_path, save_tuned, versions
from glan_dspy.optimize.writer import PAIR, PairWriter, tuned_into
from glan_dspy.program import GLAN, open_program, read_state, tuned_blocks
from glan_dspy.run.command import bulk
from glan_dspy.settings import Settings
from glan_dspy.ticking import lines_every

__all__ = ["Order", "Progress", "Tuned", "language_of", "metric_for", "threads_of", "told", "tune"]

MOST_THREADS = 40
"""Rows asked at once; an evaluation has no more."""


@dataclass(frozen=True)
class Order:
    """What is to be tuned, how, and where it goes."""

    settings: Settings
    names: Names
    optimizer: Optimizer
    budget: Budget
    out: Path
    stages: tuple[str, ...] = PAIR
    valset: str | None = None
    """The rows' file by name; None for the built-in set."""

    @property
    def log(self) -> Path:
        """The folder with what was bought for it; a command that was killed goes on from there."""
        return self.out.with_name(f"{self.out.name}.log")


class Tuned(NamedTuple):
    """What came of it: the file that was written, and how sure the gain is."""

    path: Path
    better: bool
    before: list[Judged]
    after: list[Judged]
    difference: Difference
    left_out: dict[str, str]


@dataclass
class Progress:
    """How far a command is, for whoever shows it."""

    doing: str = "reading"
    scores: int = 0

    def scored(self, score: Score) -> None:
        self.scores += 1


def tune(order: Order, models: Models, splits: Splits, log: Log, progress: Progress | None = None) -> Tuned:
    """Writes the tuned program to `order.out` where it is better on the held-out rows, else beside it.

    Equal orders with equal replies write equal files. Raises Halt where the models cannot be asked any more: the same
    order goes on from what the log holds.
    """
    progress = progress or Progress()
    settings, new_metric = order.settings, metric_for(order.settings, order.stages, models)
    language = language_of(settings, order.stages)
    train, val, test = ([example_of(row, language) for row in rows] for rows in splits)
    start = PairWriter(open_program(settings), order.stages)
    with bulk(settings), dspy.context(lm=models.task):
        progress.doing = "the start on held-out rows"
        before = measured(start, test, new_metric, threads_of(settings))
        progress.doing = f"{order.optimizer} at work"
        with quiet(log.path / "optimizer.log"):
            tuned = improved(order.optimizer, start.deepcopy(), _task(order, models, new_metric, train, val, progress))
        progress.doing = "the result on held-out rows"
        after = measured(tuned, test, new_metric, threads_of(settings))
    return kept(order, tuned, splits, before, after, new_metric().left_out)


def _task(
    order: Order,
    models: Models,
    new_metric: Callable[[], Metric],
    train: list[dspy.Example],
    val: list[dspy.Example],
    progress: Progress,
) -> Task:
    assert models.reflection is not None
    return Task(
        new_metric=new_metric,
        train=train,
        val=val,
        model=models.task,
        reflection=models.reflection,
        budget=order.budget,
        seed=order.settings.seed,
        threads=threads_of(order.settings),
        log=order.log / order.optimizer,
        scored=progress.scored,
    )


def kept(
    order: Order,
    writer: PairWriter,
    splits: Splits,
    before: list[Judged],
    after: list[Judged],
    left_out: dict[str, str],
) -> Tuned:
    """Writes the program to where it belongs by its held-out score."""
    start, glan = open_program(order.settings), tuned_into(open_program(order.settings), writer)
    scores, difference = held_out(before, after, order.settings.seed)
    better = is_better(difference)
    path = order.out if better else not_better_path(order.out)
    save_tuned(path, glan, {**about(order, splits, left_out), "held_out": scores, **changes(start, glan)})
    return Tuned(path, better, before, after, difference, left_out)


def about(order: Order, splits: Splits, left_out: dict[str, str]) -> dict[str, Any]:
    """What made a program, as its file has it."""
    names = order.names
    return {
        "language": language_of(order.settings, order.stages),
        "stages": list(order.stages),
        "models": {"task": names.task, "reflection": names.reflection, "judge": names.judge},
        "simulated": any(is_rehearsal(name) for name in (names.task, *names.helpers)),
        "versions": versions(),
        "optimizer": order.optimizer,
        "budget": order.budget,
        "seed": order.settings.seed,
        "adapter": order.settings.adapter,
        "start": Path(order.settings.program).name if order.settings.program else "built-in",
        "valset": Path(order.valset).name if order.valset else "built-in",
        "rows": {name: len(rows) for name, rows in splits._asdict().items()},
        "left_out": left_out,
        "earlier": earlier(order.settings.program),
    }


def earlier(program: str | None) -> list[dict[str, Any]]:
    """What the start's file says of its own tuning, whose prompts of other stages are in the new file as well."""
    blocks = tuned_blocks(read_state(Path(program))) if program else []
    return [{name: value for name, value in block.items() if name != "earlier"} for block in blocks]


def changes(start: GLAN, glan: GLAN) -> dict[str, Any]:
    """The prompts that changed, as diffs, and how many examples each predictor has now."""
    demos = {name: len(predictor.demos) for name, predictor in glan.named_predictors() if predictor.demos}
    return {"diff": diffs_of(start, glan), "demos": demos}


def metric_for(settings: Settings, stages: Sequence[str], models: Models) -> Callable[[], Metric]:
    """Makes new metrics of these stages and their language, with the judge where there is one."""
    judge = judge_with(models.judge, settings) if models.judge else None
    return partial(Metric, language_of(settings, stages), stages=tuple(stages), judge=judge)


def language_of(settings: Settings, stages: Sequence[str]) -> str:
    """The language that the stages write: a curriculum's is a setting of its own."""
    return settings.language if set(stages) <= set(PAIR) else settings.curriculum_language


def threads_of(settings: Settings) -> int:
    return min(settings.concurrency, MOST_THREADS)


@contextmanager
def quiet(path: Path) -> Iterator[None]:
    """Sends what DSPy's optimizers print, bars and logs, to a file: stdout is for results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        yield


@contextmanager
def told(progress: Progress, log: Log, every: float = 10.0) -> Iterator[None]:
    """A line on stderr now and then: what is going on, how many scores, calls and dollars so far."""
    with lines_every(every, lambda seconds: line_of(progress, log, seconds)):
        yield


def line_of(progress: Progress, log: Log, seconds: float) -> str:
    cost = f" · ${log.cost:,.4f} spent" if log.cost else " · cost unknown" if log.unpriced else ""
    before = f" ({log.before:,} on record from before)" if log.before else ""
    return (
        f"{progress.doing} · {progress.scores:,} metric calls · {log.bought:,} replies bought{before} · "
        f"{log.bought / max(seconds, 1) * 60:,.0f}/min{cost}"
    )
