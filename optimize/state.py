"""A tuned program as a file: GLAN's own state, and a block that says what made it.

    "tuned": {"language": "Vietnamese", "stages": ["question", "answer"], "models": {"task": …}, "optimizer": "gepa",
              "held_out": {"rows": 40, "before": 0.41, "after": 0.83, "interval": [0.36, 0.48], …}, "diff": {…}, …}

It holds no model, key, date or path of the machine: equal seeds and replies give equal bytes.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import dspy
import orjson

import glan_dspy
from glan_dspy.optimize.compare import Difference, Judged, paired, parts_of, value_of
from glan_dspy.program import GLAN
from glan_dspy.run.store import write_whole

__all__ = ["diffs_of", "is_better", "not_better_path", "save_tuned", "versions"]


def versions() -> dict[str, str]:
    return {"dspy": dspy.__version__, "glan_dspy": glan_dspy.__version__}


def held_out(before: list[Judged], after: list[Judged], seed: int) -> tuple[dict[str, Any], Difference]:
    """The scores of both programs on the same rows, as the file has them, and their difference."""
    difference = paired([one.score.value for one in before], [one.score.value for one in after], seed)
    return {
        "rows": len(before),
        "before": _round(value_of(before)),
        "after": _round(value_of(after)),
        "difference": _round(difference.mean),
        "interval": [_round(difference.low), _round(difference.high)],
        "parts_before": {name: _round(value) for name, value in parts_of(before).items()},
        "parts_after": {name: _round(value) for name, value in parts_of(after).items()},
    }, difference


def is_better(difference: Difference) -> bool:
    """Whether the gain is more than chance: the lower bound of its interval is above 0."""
    return difference.low > 0


def diffs_of(old: GLAN, new: GLAN) -> dict[str, str]:
    """For each predictor whose prompt changed, the change as a unified diff, lines broken at sentences."""
    before = {name: predictor.signature.instructions for name, predictor in old.named_predictors()}
    return {
        name: diff
        for name, predictor in new.named_predictors()
        if (diff := _diff(name, before[name], predictor.signature.instructions))
    }


def _diff(name: str, old: str, new: str) -> str:
    texts = (_sentences(old), _sentences(new))
    return "\n".join(difflib.unified_diff(*texts, f"{name} before", f"{name} after", lineterm=""))


def _sentences(text: str) -> list[str]:
    """The prompt without the line breaks of its source, a sentence a line, so that a diff shows what was said anew."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return [line for part in paragraphs for line in part.replace(". ", ".\n").split("\n")]


def save_tuned(path: Path, glan: GLAN, about: dict[str, Any]) -> None:
    """Puts the program in place at once, with its block; a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {**glan.saved_state(), "tuned": about}
    write_whole(path, orjson.dumps(state, option=orjson.OPT_INDENT_2, default=str))


def not_better_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.not-better")


def _round(value: float) -> float:
    return round(value, 6)
