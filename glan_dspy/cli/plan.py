"""`glan plan`: the calls of a run before any is made."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glan_dspy.cli.flags import Config, Grouped, MaybeOut, Recipe, with_settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def plan(
    flags: dict[str, Any],
    out: MaybeOut = None,
    recipe: Recipe = None,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel="Run")] = False,
) -> int:
    """Show the most calls each stage would make with these settings. Nothing is sent or written.

    \b
    glan plan --recipe large
    """
    import orjson
    from rich.console import Console
    from rich.table import Table

    from glan_dspy.cli.prepare import disciplines_for, prepare
    from glan_dspy.run.plan import plan
    from glan_dspy.run.store import NO_RUN, Run

    run = Run(out or NO_RUN)
    settings, given = prepare(run, flags, recipe, config)
    disciplines = () if settings.generate_disciplines else disciplines_for(run, settings, given)
    rows = plan(settings, len(disciplines))
    if json:
        print(
            orjson.dumps(
                {
                    "disciplines": len(disciplines),
                    "calls": {row.stage: row.calls for row in rows},
                    "total": sum(row.calls for row in rows),
                }
            ).decode()
        )
        return 0
    table = Table("stage", "model", title=f"{len(disciplines):,} disciplines")
    table.add_column("calls, at most", justify="right")
    table.add_column("tokens a reply, at most", justify="right")
    for row in rows:
        table.add_row(row.stage, row.model, f"{row.calls:,}", f"{row.token_limit:,}")
    table.add_section()
    table.add_row("all", "", f"{sum(row.calls for row in rows):,}", "")
    Console(width=None if Console().is_terminal else 100).print(table)
    return 0


app.command(cls=Grouped)(with_settings(plan))
