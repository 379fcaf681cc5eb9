"""`glan export`: the pairs in a trainer's format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    to: Annotated[Path, typer.Option("--to", help="File to write; for azure the folder to write it in.")],
    format: Annotated[str, typer.Option("--format", help="messages, or azure (the Azure script's file).")] = "messages",
    allow_rehearsal: Annotated[
        bool, typer.Option("--allow-rehearsal", help="Export pairs of the simulated model for training all the same.")
    ] = False,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="The test set that --holdout K kept apart, instead.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="EXPR", help="Only pairs that fit, by their keys and a judge's `score`."),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            "--min-score", min=1, max=5, metavar="X", help="Only pairs that `glan judge` gave X or more, 1-5."
        ),
    ] = None,
) -> int:
    """Write a run's accepted pairs, streamed; the file appears whole or not at all.

    \b
    glan export runs/first --format messages --to train.jsonl
    glan export runs/first --format azure --to outputs
    glan export runs/first --holdout --to test.jsonl
    glan export runs/first --min-score 4 --only 'level >= 300' --to train.jsonl
    """
    from glan_dspy.filtering import compile_filter
    from glan_dspy.publish.choice import Choice
    from glan_dspy.publish.export import export
    from glan_dspy.run.store import Run

    choice = Choice(compile_filter(only, "--only") if only else None, min_score)
    path, count = export(Run(run), format, to, allow_rehearsal=allow_rehearsal, held_out=holdout, choice=choice)
    print(f"{path}: {count:,} rows")
    if left_out := choice.left_out():
        print(f"left out: {left_out}", file=sys.stderr)
    return 0
