"""`glan export`: the pairs in a trainer's format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from glan_dspy.publish.contents import Exported

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="messages, sharegpt, alpaca, prompt-completion, or azure (the Azure script's file).",
    ),
]
Rehearsal = Annotated[
    bool, typer.Option("--allow-rehearsal", help="Export pairs of the simulated model for training all the same.")
]
Holdout = Annotated[bool, typer.Option("--holdout", help="The test set that --holdout K kept apart, instead.")]
Only = Annotated[
    str | None,
    typer.Option("--only", metavar="EXPR", help="Only pairs that fit, by their keys and a judge's `score`."),
]
MinScore = Annotated[
    float | None,
    typer.Option("--min-score", min=1, max=5, metavar="X", help="Only pairs that `glan judge` gave X or more, 1-5."),
]
SplitBy = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="SHARES",
        help="Parts and their shares, as train=0.98,val=0.02; pairs that are added later move none.",
    ),
]
BalanceBy = Annotated[
    str | None,
    typer.Option("--balance", metavar="discipline", help="As many pairs of each discipline as the smallest has."),
]
ShardSize = Annotated[
    int | None,
    typer.Option("--shard-size", metavar="N", help="Rows of a file in a folder (default 200,000).", show_default=False),
]
SystemPrompt = Annotated[
    str, typer.Option("--system-prompt", metavar="TEXT", help="Put before every question.", show_default=False)
]
Reasoning = Annotated[
    str,
    typer.Option(
        "--reasoning",
        metavar="HOW",
        help="A model's thoughts: drop, keep (a field of their own), think-tags (<think> before the answer).",
    ),
]


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    to: Annotated[
        Path,
        typer.Option(
            "--to", help="File that ends in .jsonl, .jsonl.zst or .parquet; or a folder, which gets a dataset card too."
        ),
    ],
    format: Format = "messages",
    split: SplitBy = None,
    only: Only = None,
    min_score: MinScore = None,
    balance: BalanceBy = None,
    system_prompt: SystemPrompt = "",
    reasoning: Reasoning = "drop",
    shard_size: ShardSize = None,
    holdout: Holdout = False,
    allow_rehearsal: Rehearsal = False,
) -> int:
    """Write a run's accepted pairs, streamed; files appear whole or not at all.

    \b
    glan export runs/first --to train.jsonl
    glan export runs/first --to dataset --split train=0.98,val=0.02 --shard-size 100000
    glan export runs/first --to train.parquet --format sharegpt --balance discipline
    glan export runs/first --to train.jsonl --min-score 4 --only 'level >= 300'
    glan export runs/first --to test.jsonl --holdout
    glan export runs/first --to outputs --format azure
    """
    from glan_dspy.publish.export import export
    from glan_dspy.publish.formats import Wording
    from glan_dspy.publish.wanted import Wanted
    from glan_dspy.run.store import Run

    done = export(
        Run(run),
        to,
        Wanted(
            form=format,
            wording=Wording(system_prompt, reasoning),  # type: ignore[arg-type]  # checked with the rest
            only=only,
            min_score=min_score,
            split=split,
            balance=balance,
            shard_size=shard_size,
            held_out=holdout,
            allow_rehearsal=allow_rehearsal,
        ),
    )
    for path, rows in done.files.items():
        print(f"{path}: {rows:,} rows")
    say(done)
    if done.card:
        print(f"{done.card} is the dataset card; name a licence in it before you publish", file=sys.stderr)
    return 0


def say(done: Exported) -> None:
    """What is not in the files, on stderr."""
    if done.left_out:
        print(f"left out: {done.left_out}", file=sys.stderr)
    if done.balanced:
        each, count = done.balanced.each, len(done.balanced.ends)
        print(f"balanced: {each:,} pairs of each of {count:,} disciplines", file=sys.stderr)
    if done.spoilt.count:
        print(
            f"passed over: {done.spoilt.count:,} lines hold no pair, the first in {done.spoilt.first}", file=sys.stderr
        )
