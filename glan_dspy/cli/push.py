"""`glan push`: the pairs and their card, on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glan_dspy.cli.export import (
    BalanceBy,
    Format,
    Holdout,
    MinScore,
    Only,
    Reasoning,
    Rehearsal,
    ShardSize,
    SplitBy,
    SystemPrompt,
    say,
)

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    repo: Annotated[str, typer.Option("--repo", metavar="OWNER/NAME", help="Dataset on the Hub; made if need be.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; it is private otherwise.")] = False,
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
    """Export a run's pairs with a dataset card and send them to the Hub; without HF_TOKEN only show what would go.

    \b
    glan push runs/first --repo anna/physics-pairs
    glan push runs/first --repo anna/physics-pairs --split train=0.98,val=0.02 --public
    """
    from tempfile import TemporaryDirectory

    from glan_dspy.errors import UserError
    from glan_dspy.publish.export import export
    from glan_dspy.publish.formats import Wording
    from glan_dspy.publish.push import check_repo, preview, send
    from glan_dspy.publish.wanted import Wanted
    from glan_dspy.run.store import Run
    from glan_dspy.visible import visible

    check_repo(repo)
    if format == "azure":
        raise UserError("--format azure is the Azure script's file, which the Hub has no use for; take another format")
    wanted = Wanted(
        form=format,
        wording=Wording(system_prompt, reasoning),  # type: ignore[arg-type]  # checked with the rest
        only=only,
        min_score=min_score,
        split=split,
        balance=balance,
        shard_size=shard_size,
        held_out=holdout,
        allow_rehearsal=allow_rehearsal,
    )
    with TemporaryDirectory(prefix="glan-push-") as temporary:
        folder = Path(temporary) / "dataset"
        say(export(Run(run), folder, wanted))
        for line in preview(folder, repo, public=public):
            print(visible(line))
        for line in send(folder, repo, public=public):
            print(line)
    return 0
