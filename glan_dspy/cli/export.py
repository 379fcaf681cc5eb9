"""`glan export`: the pairs in a trainer's format."""

from __future__ import annotations

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
) -> int:
    """Write a run's accepted pairs, streamed; the file appears whole or not at all.

    \b
    glan export runs/first --format messages --to train.jsonl
    glan export runs/first --format azure --to outputs
    glan export runs/first --holdout --to test.jsonl
    """
    from glan_dspy.publish.export import export
    from glan_dspy.run.store import Run

    path, count = export(Run(run), format, to, allow_rehearsal=allow_rehearsal, held_out=holdout)
    print(f"{path}: {count:,} rows")
    return 0
