"""`glan curate`: the whole run judged again, across disciplines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from glan_dspy.run.curate import Summary
    from glan_dspy.run.store import Run

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def curate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")] = Path("runs/first"),
    near: Annotated[
        float | None,
        typer.Option(
            "--near",
            help="Likeness at which a question counts as a copy of another; 1: equal ones only. "
            "As the run was made unless given.",
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="Benchmark file or folder whose items no pair may contain (repeatable)."),
    ] = None,
    against_field: Annotated[
        str | None, typer.Option("--against-field", help="Field of those files that holds the item's text.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and write nothing.")] = False,
    tmp: Annotated[
        Path | None,
        typer.Option(
            "--tmp",
            help="Folder to sort in, 320 bytes a question; the run's own unless given, of a dry run the system's.",
        ),
    ] = None,
) -> int:
    """Drop copies across disciplines, copies of test questions, and what holds a benchmark's item.

    The pairs stay in the run; what was decided stands beside them, and exports leave out what was dropped. Curating
    again with other limits brings pairs back.

    \b
    glan curate runs/first
    glan curate runs/first --near 0.8 --against gsm8k_test.jsonl --against mmlu/
    """
    from glan_dspy.run.curate import Rules, curate
    from glan_dspy.run.store import Run
    from glan_dspy.visible import visible

    rules = Rules(limit(Run(run), near), tuple(against or ()), against_field)
    summary = curate(Run(run), rules, dry_run=dry_run, tmp=tmp, say=lambda text: print(text, file=sys.stderr))
    for line in lines(summary, dry_run):
        print(visible(line))
    return 0


def limit(run: Run, near: float | None) -> float:
    """What --near says, else what the run was made with. Raises UserError outside 0.5 to 1."""
    from glan_dspy.errors import UserError
    from glan_dspy.gates.duplicate import NEAR

    found = float(run.about()["settings"].get("near_duplicates", NEAR) if near is None else near)
    if not 0.5 <= found <= 1:
        raise UserError(f"--near {found:g} is no limit to sort by; allowed: 0.5 to 1, such as {NEAR}")
    return found


def lines(summary: Summary, dry_run: bool) -> list[str]:
    """The summary as it is printed."""
    total = sum(summary.dropped.values())
    rows = [("judged", f"{summary.judged:,} pairs in {summary.seconds:,.1f} s"), ("dropped", f"{total:,}")]
    rows += [(reason, f"{count:,}") for reason, count in summary.dropped.most_common()]
    if summary.restored:
        rows.append(("kept again", f"{summary.restored:,}"))
    rows.append(("would write" if dry_run else "written", f"{summary.written:,} decisions"))
    found = [f"{name:>14}  {value}" for name, value in rows]
    for name, hits in summary.benchmarks.items():
        found.append(f"{name}: {len(hits.found):,} of {hits.items:,} items found, in {hits.pairs:,} pairs")
        found += [f"    {id}  {detail}" for id, detail in hits.examples]
    return found
