"""`glan plan`: calls, tokens, dollars, hours and disk of a run before any call is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glan_dspy.cli.flags import Config, Grouped, MaybeOut, Recipe, with_settings

if TYPE_CHECKING:
    from rich.console import Console

    from glan_dspy.run.plan import Planned, Range, Use
    from glan_dspy.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)

From = Annotated[
    Path | None,
    typer.Option("--from", metavar="RUN", help="Take tokens and seconds from this pilot run.", rich_help_panel="Run"),
]


def plan(
    flags: dict[str, Any],
    out: MaybeOut = None,
    recipe: Recipe = None,
    config: Config = None,
    pilot: From = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel="Run")] = False,
) -> int:
    """Show the most that a run of these settings takes. Nothing is sent or written.

    \b
    glan plan --recipe large --model-name gpt-4o-mini
    glan plan --recipe large --from runs/pilot
    """
    import orjson
    from rich.console import Console

    from glan_dspy.cli.prepare import disciplines_for, prepare, require_run, with_own_disciplines
    from glan_dspy.run.pilot import bytes_a_pair, uses_of
    from glan_dspy.run.plan import BYTES_A_PAIR, Range, hours, plan, total_dollars
    from glan_dspy.run.store import NO_RUN, Run

    run = require_run(out) if out else Run(NO_RUN)
    # A pilot lends its settings too: what it measured holds for its own models and language.
    settings, given = prepare(Run(pilot) if pilot and not out else run, flags, recipe, config)
    if not settings.generate_disciplines:
        settings, given = with_own_disciplines(run, settings, given)
    disciplines = () if settings.generate_disciplines else disciplines_for(run, settings, given)
    uses = uses_of(Run(pilot), settings) if pilot else None
    rows = plan(settings, len(disciplines), uses)
    pairs = next(row.calls for row in rows if row.stage == "question")
    measured = bytes_a_pair(Run(pilot)) if pilot else None
    disk = (Range(measured, measured) if measured else BYTES_A_PAIR) * pairs
    if json:
        print(orjson.dumps(as_json(settings, len(disciplines), rows, hours(settings, rows, uses), disk)).decode())
        return 0
    console = Console(width=None if Console().is_terminal else 110)
    show(console, settings, len(disciplines), rows, uses, disk)
    if total_dollars(rows) is None:
        console.print("the price of a model is not known: --price-in and --price-out tell it", highlight=False)
    return 0


def as_json(
    settings: Settings, disciplines: int, rows: tuple[Planned, ...], time: Range, disk: Range
) -> dict[str, Any]:
    from glan_dspy.run.plan import total_dollars

    dollars = total_dollars(rows)
    return {
        "disciplines": disciplines,
        "calls": {row.stage: row.calls for row in rows},
        "total": sum(row.calls for row in rows),
        "prompt_tokens": {row.stage: [round(n) for n in row.prompt_tokens] for row in rows},
        "completion_tokens": {row.stage: [round(n) for n in row.reply_tokens] for row in rows},
        "cost_usd": None if dollars is None else [round(d, 4) for d in dollars],
        "hours": [round(h, 3) for h in time],
        "disk_bytes": [round(b) for b in disk],
    }


def show(
    console: Console,
    settings: Settings,
    disciplines: int,
    rows: tuple[Planned, ...],
    uses: dict[str, Use] | None = None,
    disk: Range | None = None,
) -> None:
    """The plan as a table, with what it rests on."""
    from rich.table import Table

    from glan_dspy.run.plan import hours, total_dollars

    table = Table("stage", "model", title=f"{disciplines:,} discipline{'s' * (disciplines != 1)}")
    for heading in ("calls, at most", "tokens in", "tokens out", "dollars"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.stage, row.model, f"{row.calls:,}", tokens(row.prompt_tokens), tokens(row.reply_tokens),
                      dollars(row.dollars))  # fmt: skip
    table.add_section()
    table.add_row("all", "", f"{sum(row.calls for row in rows):,}", "", "", dollars(total_dollars(rows)))
    console.print(table)
    time = hours(settings, rows, uses)
    lines = [
        "at this pace: hours or days, as batches go" if settings.batch else
        f"at this pace ({settings.question_batch_size} questions and {settings.answer_batch_size} answers at once"
        f"{f', {settings.rpm:g} calls a minute' if settings.rpm else ''}): {about(time, '.1f')} hours",
        f"on disk: {about(disk * 1e-6, '.0f')} MB" if disk else "",
        "tokens and seconds from the pilot run" if uses else "tokens and seconds are priors; a pilot run tells better",
        *sources(settings),
    ]  # fmt: skip
    console.print("\n".join(line for line in lines if line), highlight=False)


def sources(settings: Settings) -> list[str]:
    """Where the price of each model is from, once each."""
    from glan_dspy.pricing import models_of, tariffs_of

    models, tariffs = models_of(settings), tariffs_of(settings)
    told = (f"{models[part]}: {tariff.source}" for part, tariff in tariffs.items() if tariff.source)
    return list(dict.fromkeys(told))


def about(amount: Range, form: str = ",.0f") -> str:
    low, high = format(amount.low, form), format(amount.high, form)
    return low if low == high else f"{low} – {high}"


def tokens(amount: Range) -> str:
    low, high = (f"{n / 1e6:,.1f}M" if n >= 1e6 else f"{n / 1e3:,.0f}k" for n in amount)
    return low if low == high else f"{low} – {high}"


def dollars(amount: Range | None) -> str:
    return "unknown" if amount is None else about(amount, ",.2f")


app.command(cls=Grouped)(with_settings(plan))
