"""What the tests of tuning share: few rows, the school's models, and an order carried out in the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from glan_dspy.connect import Care, language_model
from glan_dspy.engines.base import AsyncEngine
from glan_dspy.optimize.compile import Order, Progress, Tuned, tune
from glan_dspy.optimize.journal import Bought, Log
from glan_dspy.optimize.models import Models, Names
from glan_dspy.optimize.optimizers import Budget, Optimizer
from glan_dspy.optimize.rows import Row, Splits, load_rows
from glan_dspy.settings import Settings
from tests.optimize.teachable import School

NAMES = Names("pupil", "reflector", "examiner")


def few(count: int) -> Splits:
    """So many rows of each split of the built-in set."""
    return Splits(*(rows[:count] for rows in load_rows()))


def few_in(path: Path, count: int) -> Path:
    """The same as a file for --valset."""
    rows: list[Row] = [row for split in few(count) for row in split]
    path.write_bytes(b"".join(orjson.dumps(row.model_dump()) + b"\n" for row in rows))
    return path


def order(out: Path, optimizer: Optimizer, budget: Budget, threads: int = 8, **more: Any) -> Order:
    chosen = {"language": "Vietnamese", "model_name": "pupil", "concurrency": threads, **more.pop("settings", {})}
    return Order(Settings(**chosen), more.pop("names", NAMES), optimizer, budget, out, **more)


@contextmanager
def models_of(engine: AsyncEngine, log: Log) -> Iterator[Models]:
    """The engine under all three names, with the log around it as a command has it."""
    care = Care(around=partial(Bought, log=log), pause=log.pause)
    try:
        yield Models(*(language_model(name, engine, care) for name in ("pupil", "reflector", "examiner")))
    finally:
        log.close()


def carried_out(order: Order, school: AsyncEngine, splits: Splits, progress: Progress | None = None) -> Tuned:
    """What comes of the order, with its log where a command puts it."""
    log = Log(order.log)
    with models_of(school, log) as models:
        return tune(order, models, splits, log, progress)


__all__ = ["NAMES", "School", "carried_out", "few", "few_in", "models_of", "order"]
