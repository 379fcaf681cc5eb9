"""`glan status`: how far a run is."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from glan_dspy.run.status import Survey

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")] = Path("runs/first"),
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Show what a run holds and whether it is complete. Reads only; safe while the run goes on."""
    import orjson

    from glan_dspy.run.status import status, survey
    from glan_dspy.run.store import Run

    if json:
        print(orjson.dumps(status(Run(run))).decode())
        return 0
    found, kind = survey(Run(run)), Run(run).about().get("kind", "generate")
    rejected = ", ".join(f"{reason} {count:,}" for reason, count in found.rejected.most_common())
    rows = [
        *((name, f"{getattr(found, name):,}") for name in ("disciplines", "subjects", "syllabi", "questions")),
        ("instructions", f"{found.instructions:,}"),
        ("rejected", rejected or "0"),
        ("calls", f"{found.calls:,}"),
        ("prompt tokens", f"{found.prompt_tokens:,}{cached_share(found)}"),
        ("reply tokens", f"{found.completion_tokens:,}"),
        ("cost", cost(found)),
        ("complete", "yes" if found.complete else f"no; glan {kind} -o {quote(str(run))} goes on"),
    ]
    for name, value in rows:
        print(f"{name:>14}  {value}")
    return 0


def cached_share(found: Survey) -> str:
    if not found.cached_tokens:
        return ""
    return f", {found.cached_tokens / found.prompt_tokens:.0%} of them from the endpoint's cache"


def cost(found: Survey) -> str:
    """What was spent, how fast, and what it comes to at the end, as far as that is known."""
    if not found.cost:
        return "$0.00" if found.cost_known else "unknown: --price-in and --price-out tell the price"
    text = f"${found.cost:,.2f}" + ("" if found.cost_known else " and calls of unknown price")
    if found.minutes > 1:
        text += f", ${found.cost / found.minutes:,.2f} a minute"
    if not found.complete and found.instructions:
        text += (
            f", about ${found.cost / found.instructions * found.planned:,.2f} for the {found.planned:,} pairs planned"
        )
    return text
