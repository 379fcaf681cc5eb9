"""`glan report`: a run as one page for a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")] = Path("runs/first"),
    out: Annotated[Path, typer.Option("--out", "-o", help="File that ends in .html; it is replaced.")] = Path(
        "report.html"
    ),
) -> int:
    """Show a run as one page that any browser opens, without a network. Reads only; safe while the run goes on.

    \b
    glan report runs/first -o report.html
    """
    from glan_dspy.publish.report.write import report
    from glan_dspy.run.store import Run

    done = report(Run(run), out)
    print(f"{done.path}: {done.records:,} {done.unit}, {max(1, done.size // 1000):,} kB")
    if done.spoilt:
        where = ", ".join(f"{count:,} in {name}.jsonl" for name, count in done.spoilt.items())
        print(f"passed over: {sum(done.spoilt.values()):,} lines hold nothing usable ({where})", file=sys.stderr)
    return 0
