"""`glan status`: how far a run is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")] = Path("runs/first"),
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Show what a run holds and whether it is complete. Reads only; safe while the run goes on."""
    import orjson

    from glan_dspy.run.status import status
    from glan_dspy.run.store import Run

    numbers = status(Run(run))
    if json:
        print(orjson.dumps(numbers).decode())
        return 0
    rejected = ", ".join(f"{reason} {count:,}" for reason, count in numbers["rejected"].items())
    for name in ("disciplines", "subjects", "syllabi", "questions", "instructions"):
        print(f"{name:>17}  {numbers[name]:,}")
    print(f"{'rejected':>17}  {rejected or 0}")
    for name in ("calls", "prompt_tokens", "cached_tokens", "completion_tokens"):
        print(f"{name.replace('_', ' '):>17}  {numbers[name]:,}")
    cost = numbers["cost_usd"]
    print(f"{'cost':>17}  {'unknown' if cost is None else f'${cost:,.2f}'}")
    print(f"{'complete':>17}  {'yes' if numbers['complete'] else f'no; glan generate -o {run} goes on'}")
    return 0
