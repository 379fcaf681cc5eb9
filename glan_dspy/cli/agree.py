"""Asks before a command spends much: on a terminal only, where somebody can answer."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from glan_dspy.cli.plan import about, show
from glan_dspy.errors import Stopped
from glan_dspy.run.plan import Range, plan, total_dollars
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings

ASK_ABOVE = 5.0
"""Dollars that a run may be expected to cost without a question."""


def agree(run: Run, settings: Settings, disciplines: int) -> None:
    """Shows the plan and asks, where the run may cost over $5. Raises Stopped for a no.

    Without a terminal it goes on: `--max-cost` is the guard there.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    rows = plan(settings, disciplines)
    expected = total_dollars(rows)
    if expected is None:
        return
    left = expected * share_left(run, sum(row.calls for row in rows if row.stage == "question"))
    if left.high <= ASK_ABOVE:
        return
    show(Console(stderr=True), settings, disciplines, rows)
    if not typer.confirm(question(left, settings), err=True):
        raise Stopped("nothing was sent; --max-cost sets a cap, `glan plan` tells more, --yes asks nothing")


def share_left(run: Run, planned: int) -> float:
    done = status(run)["questions"] if run.exists else 0
    return max(0.0, 1 - done / planned) if planned else 0.0


def question(left: Range, settings: Settings) -> str:
    cap = f", and at most ${settings.max_cost:,.2f}" if settings.max_cost else ""
    return f"This may cost ${about(left, ',.2f')}{cap}. Go on?"
