"""What a run has cost so far, and the budget that it must stay within over all its commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from dspy.lm15 import Usage

from glan_dspy.engines.budget import Budget
from glan_dspy.engines.tariff import Tariff
from glan_dspy.errors import UserError
from glan_dspy.pricing import Part, models_of, part_of, tariff_of, tariffs_of
from glan_dspy.run.ledger import Ledger, standing_in
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings


class RunBudget(Budget):
    """A budget whose reservations are in a file; `sync` puts them on the disk."""

    ledger: Ledger

    def sync(self) -> None:
        self.ledger.sync()


@contextmanager
def open_budget(run: Run, settings: Settings, *, answers_only: bool = False) -> Iterator[RunBudget | None]:
    """The budget of `--max-cost` while the context lasts, with what earlier commands spent; None without a cap."""
    if settings.max_cost is None:
        yield None
        return
    known_tariffs(settings, answers_only=answers_only)
    path = run.path / "reserved.jsonl"
    standing = standing_in(path, all_calls(run))
    # What was reserved and never settled was in flight when a process died: it counts at its worst. What waits
    # in a batch is asked for again, and counts once.
    spent = spent_so_far(run, settings) + sum(line["usd"] for line in standing)
    keys = {line["key"]: line["usd"] for line in standing if "key" in line}
    budget = RunBudget(settings.max_cost, spent, lambda line: budget.ledger.write(line), keys)
    budget.ledger = Ledger(path, standing, lambda: (*budget.reserved, *budget.lost))
    try:
        yield budget
    finally:
        budget.ledger.close()


def known_tariffs(settings: Settings, *, answers_only: bool = False) -> dict[Part, Tariff]:
    """The price of each part. With a cap, raises UserError where one is not known: it would guard nothing."""
    tariffs = tariffs_of(settings, answers_only=answers_only)
    models = models_of(settings, answers_only=answers_only)
    for part, tariff in tariffs.items():
        if settings.max_cost is not None and not tariff.known:
            raise UserError(f"--max-cost {settings.max_cost:g}: {unknown_price(models[part], settings)}")
    return tariffs


def unknown_price(model: str, settings: Settings) -> str:
    tier = settings.extra_body.get("service_tier")
    where = f" in service tier {tier!r}" if tier else ""
    return (
        f"the price of model {model!r}{where} is not known; give --price-in and --price-out (dollars for a million "
        "tokens), or leave --max-cost out"
    )


def spent_so_far(run: Run, settings: Settings) -> float:
    """Dollars of all calls on record; those that nobody could price then are priced now.

    Raises UserError for a call of a model whose price is not known now either: it would count as nothing.
    """

    @lru_cache
    def tariff(model: str, part: Part) -> Tariff:
        return tariff_of(model, settings, part == "answer")

    spent = 0.0
    for line in all_calls(run):
        model, part = line.get("model", ""), part_of(line.get("stage", ""))
        dollars = charged(line, tariff(model, part))
        if dollars is None and not tariff(model, part).known:
            raise UserError(f"{run.path} has calls whose cost is not on record: {unknown_price(model, settings)}")
        spent += dollars or 0.0
    return spent


def all_calls(run: Run) -> Iterable[dict[str, Any]]:
    for discipline in run.disciplines():
        yield from run.shelf(discipline).calls()
    yield from run.root_shelf().calls()


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
