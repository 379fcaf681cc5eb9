"""What a pilot run's calls really took, as the measure for a larger one."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.run.money import all_calls
from glan_dspy.run.plan import Range, Use, priors
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings

FEWEST = 5
"""Calls of a stage from which its means are taken; with fewer the priors are no worse."""


def uses_of(run: Run, settings: Settings) -> dict[str, Use]:
    """Tokens and seconds a call of each stage, as the pilot's calls tell for a run with these settings.

    Where they plan longer syllabi or subject lists than the pilot's, the priors tell how much longer. The range
    is the 95 % confidence interval of the mean. Raises UserError for a run with too few calls.
    """
    then = priors(Settings.model_construct(**{**Settings().model_dump(), **run.about()["settings"]}))
    now = priors(settings)
    # What was judged of it is in the same files, and no part of making a run.
    return {stage: scaled(use, now[stage], then[stage]) for stage, use in measured(run).items() if stage in now}


def scaled(use: Use, now: Use, then: Use) -> Use:
    def factor(new: Range, old: Range) -> float:
        return (new.low + new.high) / (old.low + old.high)

    return Use(
        use.prompt * factor(now.prompt, then.prompt),
        use.reply * factor(now.reply, then.reply),
        use.seconds * factor(now.reply, then.reply),
    )


def measured(run: Run) -> dict[str, Use]:
    """Of the run as it was; stages with too few calls are left out."""
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in all_calls(run):
        if "error" not in line and line.get("completion_tokens") is not None and line.get("prompt_tokens") is not None:
            lines[line["stage"].partition(".")[0]].append(line)
    found = {
        stage: Use(
            interval([line["prompt_tokens"] for line in some]),
            interval([line["completion_tokens"] for line in some]),
            interval([line["seconds"] for line in some]),
        )
        for stage, some in lines.items()
        if len(some) >= FEWEST
    }
    if not found:
        raise UserError(f"{run.path} has too few calls to learn from; run a pilot of a few disciplines first")
    return found


def interval(values: list[float]) -> Range:
    """The mean, give or take twice its standard error."""
    mean = statistics.fmean(values)
    error = 2 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else mean / 2
    return Range(max(0.0, mean - error), mean + error)


def bytes_a_pair(run: Run) -> float | None:
    """What the run takes on disk for each accepted pair; None where it has none."""
    pairs = sum(len(run.shelf(discipline).ids("instructions")) for discipline in run.disciplines())
    size = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    return size / pairs if pairs else None
