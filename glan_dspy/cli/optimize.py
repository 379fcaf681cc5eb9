"""`glan optimize`: the prompts tuned for a language, as a program file that `--program` takes."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glan_dspy.cli.flags import Config, Grouped, Yes, with_settings
from glan_dspy.cli.tuning import FLAGS, Judge, Stage, Valset

if TYPE_CHECKING:
    from glan_dspy.optimize.compile import Order, Tuned
    from glan_dspy.optimize.journal import Log
    from glan_dspy.optimize.rows import Splits

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def optimize(
    flags: dict[str, Any],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Program to write; FILE.log keeps what was bought.")
    ],
    reflection_model: Annotated[
        str,
        typer.Option(
            "--reflection-model",
            metavar="TEXT",
            help="Stronger model that rewrites prompts or writes examples, at --answer-base-url where that is given.",
        ),
    ],
    optimizer: Annotated[
        str, typer.Option("--optimizer", metavar="NAME", help="gepa, mipro or bootstrap.", show_default=True)
    ] = "gepa",
    budget: Annotated[
        str,
        typer.Option("--budget", metavar="SIZE", help="light, medium, heavy, or a number of metric calls."),
    ] = "light",
    judge_model: Judge = None,
    stage: Stage = None,
    valset: Valset = None,
    config: Config = None,
    yes: Yes = False,
) -> int:
    """Tune the prompts for a language and a model, and keep the result where it is better on rows held out.

    \b
    glan optimize --language Vietnamese --model-name gpt-4o-mini --reflection-model gpt-4o -o vietnamese.json
    glan optimize --language Vietnamese --model-name gpt-4o-mini --reflection-model gpt-4o \\
                  --judge-model gpt-4o --budget 600 --max-cost 5 -o vietnamese.json
    glan generate --program vietnamese.json --language Vietnamese --model-name gpt-4o-mini
    """
    from glan_dspy.cli.tuning import agree, ended_well, say_left_out, show_plan, stages_of
    from glan_dspy.errors import UserError
    from glan_dspy.layers import load_settings
    from glan_dspy.optimize.compile import Order, Progress, told, tune
    from glan_dspy.optimize.journal import Log
    from glan_dspy.optimize.models import Names, connected
    from glan_dspy.optimize.optimizers import effort_of, named, require_installed
    from glan_dspy.optimize.rows import load_rows
    from glan_dspy.run.store import Lock

    settings = load_settings(flags, config=config).model_copy(update={"batch": False})
    order = Order(
        settings=settings,
        names=Names(settings.model_name, reflection_model, judge_model),
        optimizer=named(optimizer),
        budget=effort_of(budget),
        out=out,
        stages=stages_of(stage),
        valset=valset,
    )
    require_installed(order.optimizer)
    if out.is_dir():
        raise UserError(f"-o {out} is a folder; name a file, such as {out / 'vietnamese.json'}")
    splits = load_rows(Path(valset) if valset else None)
    rows = plan_of(order, splits)
    show_plan(rows, f"{order.optimizer} for {settings.language}, {', '.join(order.stages)}")
    if not yes:
        agree(rows, settings)
    with Lock(order.log):
        log, progress = Log(order.log), Progress()
        with ended_well(log, settings), connected(order.names, settings, log) as models, told(progress, log):
            tuned = tune(order, models, splits, log, progress)
    say_left_out(tuned.left_out)
    report(order, tuned, log)
    return 0


def plan_of(order: Order, splits: Splits) -> list[Any]:
    """The most that the order takes. Raises UserError for a program that does not fit, or a price not known."""
    from glan_dspy.optimize.forecast import forecast, rounds_of
    from glan_dspy.optimize.writer import PairWriter
    from glan_dspy.program import open_program

    writer = PairWriter(open_program(order.settings), order.stages)
    predictors = len(writer.predictors())
    rounds = rounds_of(order.optimizer, order.budget, predictors, len(splits.train), len(splits.val))
    return forecast(order.names, order.settings, writer.asked, rounds, 2 * len(splits.test))


def report(order: Order, tuned: Tuned, log: Log) -> None:
    """What came of it on stdout, what to do next on stderr."""
    from glan_dspy.engines.budget import dollars
    from glan_dspy.optimize.compare import parts_of, value_of

    change = f"{value_of(tuned.before):.3f} -> {value_of(tuned.after):.3f} ({tuned.difference})"
    rows = f"on {len(tuned.before)} held-out rows"
    if tuned.better:
        print(f"{tuned.path}: better {rows}: {change}")
    else:
        print(f"{tuned.path}: not better {rows}: {change}; {order.out} is as it was")
    before, after = parts_of(tuned.before), parts_of(tuned.after)
    for part in dict.fromkeys([*before, *after]):
        if before.get(part) != after.get(part):
            print(f"{part:>24}  {_number(before.get(part))} -> {_number(after.get(part))}")
    cost = f" for {dollars(log.cost)}" if log.cost else ""
    print(f"{log.bought:,} replies bought by this command{cost}; all are in {log.path}", file=sys.stderr)
    if tuned.better:
        used = f"--language {quote(order.settings.language)} --model-name {quote(order.names.task)}"
        print(f"next: glan generate --program {quote(str(tuned.path))} {used}", file=sys.stderr)


def _number(value: float | None) -> str:
    return "  – " if value is None else f"{value:.2f}"


app.command(cls=Grouped)(with_settings(optimize, (*FLAGS, "program")))
