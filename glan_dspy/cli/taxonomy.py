"""`glan taxonomy` makes one; `glan taxonomy vote` merges what several people kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from glan_dspy.cli.flags import DEFAULT_OUT, Config, Out, Recipe, with_settings

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False)

_FLAGS = (
    "max_number_of_fields",
    "num_taxonomy_queries",
    "curriculum_language",
    "curriculum_max_tokens",
    "curriculum_temperature",
    "top_p",
    "max_asks",
    "seed",
    "model_name",
    "model_name_for_curriculum",
    "program",
    "reasoning_effort",
    "reasoning_headroom",
    "max_attempts",
    "timeout",
    "base_url",
    "extra_body",
    "extra_header",
    "logfile_name",
    "rpm",
    "tpm",
    "concurrency",
    "max_cost",
    "price_in",
    "price_cached",
    "price_out",
    "batch",
    "adapter",
    "structured",
)


def taxonomy(
    ctx: typer.Context, flags: dict[str, Any], out: Out = DEFAULT_OUT, recipe: Recipe = None, config: Config = None
) -> int:
    """Make a taxonomy of fields, sub-fields and disciplines: RUN/taxonomy.json, and RUN/disciplines.txt to edit.

    \b
    glan taxonomy --model-name gpt-4o --max-number-of-fields 8 -o runs/mine
    glan taxonomy vote anna.txt ben.txt chris.txt --to disciplines.txt
    glan generate --disciplines-filepath disciplines.txt -o runs/mine
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from glan_dspy.cli.prepare import prepare
    from glan_dspy.run.store import Run
    from glan_dspy.run.taxonomy import make_taxonomy

    run = Run(out)
    settings, _ = prepare(run, flags, recipe, config)
    print(make_taxonomy(run, settings))
    return 0


app.callback(invoke_without_command=True)(with_settings(taxonomy, _FLAGS))


@app.command()
def vote(
    outlines: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Edited disciplines files, one a person.")],
    to: Annotated[Path | None, typer.Option("--to", help="Write the result here instead of to stdout.")] = None,
) -> int:
    """Keep what more than half of the files kept. Who leaves a line out, or strikes it with a leading `-`, votes
    against it; a field or sub-field that is out takes what is under it along.
    """
    from glan_dspy.errors import UserError
    from glan_dspy.outline import read_outline, vote, write_outline
    from glan_dspy.run.store import write_whole

    kept = vote([read_outline(path) for path in outlines])
    if not kept:
        raise UserError(f"no discipline is in more than half of the {len(outlines)} files")
    if to is None:
        print(write_outline(kept), end="")
    else:
        if to.suffix != ".txt" and to.exists():
            raise UserError(f"--to {to} is there, and is no .txt: name another file for the disciplines")
        write_whole(to, write_outline(kept).encode())
        print(f"{to}: {len(kept):,} disciplines that more than half of {len(outlines)} files kept")
    return 0
