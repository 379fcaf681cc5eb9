"""What a run has cost so far, and the budget that it must stay within over all its commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dspy.lm15 import Usage

from glan_dspy.connect import stage_tariffs
from glan_dspy.engines.budget import Budget
from glan_dspy.engines.tariff import Tariff
from glan_dspy.errors import UserError
from glan_dspy.run import lines
from glan_dspy.run.lines import Appender
from glan_dspy.run.store import Run, write_whole
from glan_dspy.settings import Settings


def open_budget(run: Run, settings: Settings, *, answers_only: bool = False) -> Budget | None:
    """The budget of `--max-cost`, with what earlier commands on the run spent; None where no cap is set."""
    if settings.max_cost is None:
        return None
    tariffs = known_tariffs(settings, answers_only=answers_only)
    spent, answered = spent_so_far(run, tariffs)
    path = run.path / "reserved.jsonl"
    standing = {line["id"]: line["usd"] for line in lines.read(path) if line.get("id") not in answered}
    # What was reserved and never settled was in flight when a process died: it counts at its worst, for good.
    write_whole(path, b"".join(lines.dump({"id": id, "usd": usd}) for id, usd in standing.items()))
    return Budget(settings.max_cost, spent + sum(standing.values()), Appender(path).append)


def known_tariffs(settings: Settings, *, answers_only: bool = False) -> dict[str, Tariff]:
    """The price of each model. With a cap, raises UserError where one is not known: it would guard nothing."""
    tariffs = stage_tariffs(settings, answers_only=answers_only)
    for model, tariff in tariffs.items():
        if settings.max_cost is not None and not tariff.known:
            raise UserError(
                f"--max-cost {settings.max_cost:g}: the price of model {model!r} is not known; give --price-in and "
                "--price-out (dollars for a million tokens), or leave --max-cost out"
            )
    return tariffs


def spent_so_far(run: Run, tariffs: dict[str, Tariff]) -> tuple[float, set[str]]:
    """(dollars, ids of the calls whose end is on record); calls priced by nobody then are priced now."""
    spent, answered = 0.0, set()
    for line in all_calls(run):
        answered.add(line["id"])
        spent += charged(line, tariffs.get(line.get("model", ""), Tariff())) or 0.0
    return spent, answered


def all_calls(run: Run) -> Iterable[dict[str, Any]]:
    for discipline in run.disciplines():
        yield from run.shelf(discipline).read("calls")
    yield from run.root_shelf().read("calls")


def charged(line: dict[str, Any], tariff: Tariff) -> float | None:
    """What a line of calls.jsonl stands for in dollars."""
    if line.get("reserved_usd") is not None:
        return float(line["reserved_usd"])
    if line.get("cost_usd") is not None:
        return float(line["cost_usd"])
    if "error" in line:
        return 0.0
    return tariff.cost(
        Usage(
            input_tokens=line.get("prompt_tokens"),
            output_tokens=line.get("completion_tokens"),
            cache_read_tokens=line.get("cached_tokens"),
        )
    )
