"""The models of a command: those that are tuned, reflect and judge, all with the log around them and under one cap."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import dspy
import orjson

from glan_dspy.addresses import bare_name, endpoint_for
from glan_dspy.connect import Care, engine_for, language_model
from glan_dspy.engines.background import run_sync
from glan_dspy.engines.budget import Budget
from glan_dspy.engines.endpoint import without_key
from glan_dspy.engines.forms import Forms
from glan_dspy.engines.pace import Hard
from glan_dspy.engines.rehearsal import is_rehearsal
from glan_dspy.engines.tariff import Tariff
from glan_dspy.errors import UserError
from glan_dspy.optimize.journal import Bought, Log
from glan_dspy.pricing import tariff_of
from glan_dspy.run import lines
from glan_dspy.run.ledger import Ledger, standing_in
from glan_dspy.run.money import charged, unknown_price
from glan_dspy.settings import Settings

__all__ = ["Models", "Names", "connected", "spent_in", "tariffs"]


@dataclass(frozen=True)
class Names:
    """The models that a command asks; those that reflect and judge are at the answers' endpoint, where one is given."""

    task: str
    reflection: str | None = None
    judge: str | None = None

    @property
    def helpers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in (self.reflection, self.judge) if name))


@dataclass(frozen=True)
class Models:
    task: dspy.LM
    reflection: dspy.LM | None = None
    judge: dspy.LM | None = None


@contextmanager
def connected(names: Names, settings: Settings, log: Log) -> Iterator[Models]:
    """The models while the context lasts. Raises UserError for a missing key or, with a cap, a missing price."""
    prices = tariffs(names, settings)
    with budget_of(log, prices, settings) as budget:
        hard, forms = Hard(settings.concurrency, settings.rpm, settings.tpm), Forms()
        engines: list[Any] = []

        def lm(model: str, helps: bool) -> dspy.LM:
            engine = engine_for(model, settings, helps, forms)
            engines.append(engine)
            care = Care(
                settings.max_attempts,
                log.pause,
                hard,
                prices[model, helps],
                budget,
                on_stop=log.on_stop,
                around=partial(Bought, log=log, where=where_of(model, settings, helps)),
            )
            return language_model(bare_name(model, settings, helps), engine, care)

        try:
            helpers = {name: lm(name, True) for name in names.helpers}
            yield Models(lm(names.task, False), helpers.get(names.reflection or ""), helpers.get(names.judge or ""))
        finally:
            log.stop()
            for engine in engines:
                if hasattr(engine, "aclose"):
                    run_sync(engine.aclose())


def where_of(model: str, settings: Settings, helps: bool) -> str:
    """What the model's endpoint adds to a request, as text: two that differ in it get two replies. '' for none."""
    if is_rehearsal(model):
        return ""
    endpoint = endpoint_for(settings, helps)
    # A name may be another model at another of Azure's resources.
    place = without_key(os.environ["AZURE_OPENAI_ENDPOINT"]) if endpoint.azure else endpoint.place()
    ways = {
        "place": place if place != "openai" else "",
        "extra_body": dict(endpoint.extra_body),
        "reasoning_effort": endpoint.reasoning_effort,
        "reasoning_headroom": endpoint.reasoning_headroom,
        "structured": endpoint.structured,
    }
    told = {name: way for name, way in ways.items() if way}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode() if told else ""


def tariffs(names: Names, settings: Settings) -> dict[tuple[str, bool], Tariff]:
    """What each model costs where it is asked; the second half of a key says whether it reflects or judges.

    With a cap, raises UserError for a model without a known price.
    """
    asked = [(names.task, False), *((name, True) for name in names.helpers)]
    prices = {(model, helps): tariff_of(model, settings, helps) for model, helps in asked}
    for (model, _), tariff in prices.items():
        if settings.max_cost is not None and not tariff.known:
            raise UserError(f"--max-cost {settings.max_cost:g}: {unknown_price(model, settings)}")
    return prices


@contextmanager
def budget_of(log: Log, prices: dict[tuple[str, bool], Tariff], settings: Settings) -> Iterator[Budget | None]:
    """The cap over all commands that wrote to this log; None where there is none. Closes the log at the end."""
    if settings.max_cost is None:
        try:
            yield None
        finally:
            log.close()
        return
    reserved = log.path / "reserved.jsonl"
    standing = standing_in(reserved, lines.read(log.path / "calls.jsonl"))
    spent = spent_in(log, prices, settings) + sum(line["usd"] for line in standing)
    budget = Budget(settings.max_cost, spent, lambda line: ledger.write(line))
    ledger = Ledger(reserved, standing, lambda: budget.reserved)
    try:
        yield budget
    finally:
        log.close()
        ledger.close()


def spent_in(log: Log, prices: dict[tuple[str, bool], Tariff], settings: Settings) -> float:
    """Dollars of the calls on record. Raises UserError for one whose model has no known price now or then."""
    known = {bare_name(model, settings, helps): tariff for (model, helps), tariff in prices.items()}
    total = 0.0
    for line in lines.read(log.path / "calls.jsonl"):
        model = str(line.get("model", ""))
        tariff = known.get(model) or tariff_of(model, settings, False)
        dollars = charged(line, tariff)
        if dollars is None and not tariff.known:
            raise UserError(f"{log.path} has calls whose cost is not on record: {unknown_price(model, settings)}")
        total += dollars or 0.0
    return total
