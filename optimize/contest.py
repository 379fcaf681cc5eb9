"""Programs asked for the same rows with the same seeds, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import dspy

from glan_dspy.optimize.compare import Difference, Judged, measured, paired, parts_of, value_of
from glan_dspy.optimize.compile import Progress, language_of, metric_for, threads_of
from glan_dspy.optimize.models import Models, Names
from glan_dspy.optimize.rows import Row, example_of
from glan_dspy.optimize.writer import PairWriter
from glan_dspy.program import open_program
from glan_dspy.run.command import bulk
from glan_dspy.settings import Settings

__all__ = ["BUILT_IN", "Entry", "Trial", "contest", "differences", "entries_as_json", "writer_of"]

BUILT_IN = "built-in"
"""The name of the prompts that the signatures hold."""


class Entry(NamedTuple):
    """A program by its file's name, and what it made of each row."""

    program: str
    judged: list[Judged]


def writer_of(program: str, settings: Settings, stages: Sequence[str]) -> PairWriter:
    """The program of a file, or the built-in one. Raises UserError for a file that holds none."""
    path = None if program == BUILT_IN else program
    return PairWriter(open_program(settings.model_copy(update={"program": path})), stages)


class Trial(NamedTuple):
    """Which programs are held beside one another, and how they are asked."""

    settings: Settings
    names: Names
    programs: tuple[str, ...]
    stages: tuple[str, ...]
    rows: tuple[Row, ...]


def contest(trial: Trial, models: Models, progress: Progress) -> list[Entry]:
    """An entry for each program, in their order, over the same rows."""
    settings, stages = trial.settings, trial.stages
    writers = [writer_of(program, settings, stages) for program in trial.programs]
    examples = [example_of(row, language_of(settings, stages)) for row in trial.rows]
    new_metric = metric_for(settings, stages, models)
    entries = []
    with bulk(settings), dspy.context(lm=models.task):
        for program, writer in zip(trial.programs, writers, strict=True):
            progress.doing = program
            entries.append(Entry(program, measured(writer, examples, new_metric, threads_of(settings))))
    return entries


def differences(entries: Sequence[Entry], seed: int) -> list[dict[str, Difference]]:
    """How each further program differs from the first: in the score (`value`) and in every part that both have."""
    first = entries[0]
    return [
        {
            "value": paired(_values(first), _values(other), seed),
            **{part: paired(*both, seed) for part, both in _shared(first, other).items()},
        }
        for other in entries[1:]
    ]


def _values(entry: Entry) -> list[float]:
    return [one.score.value for one in entry.judged]


def _shared(first: Entry, other: Entry) -> dict[str, tuple[list[float], list[float]]]:
    """By part, the scores of both over the rows in which both have it."""
    shared: dict[str, tuple[list[float], list[float]]] = {}
    for one, two in zip(first.judged, other.judged, strict=True):
        for part in one.score.parts.keys() & two.score.parts.keys():
            mine, theirs = shared.setdefault(part, ([], []))
            mine.append(one.score.parts[part])
            theirs.append(two.score.parts[part])
    return dict(sorted(shared.items()))


def entries_as_json(entries: Sequence[Entry], trial: Trial) -> dict[str, Any]:
    """All of it as `--json` prints it; differences are those from the first program."""
    return {
        "language": language_of(trial.settings, trial.stages),
        "model": trial.names.task,
        "judge": trial.names.judge,
        "rows": len(entries[0].judged),
        "programs": [
            {"program": entry.program, "value": value_of(entry.judged), "parts": parts_of(entry.judged)}
            for entry in entries
        ],
        "differences": [
            {"program": other.program, **{part: found._asdict() for part, found in parts.items()}}
            for other, parts in zip(entries[1:], differences(entries, trial.settings.seed), strict=True)
        ],
    }
