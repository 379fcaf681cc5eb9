"""Shows a walk while it goes on: bars on a terminal, a plain line every ten seconds elsewhere. On stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from glan_dspy.run.tally import Shown
from glan_dspy.ticking import lines_every

EVERY = 10.0
"""Seconds between two plain lines."""


@contextmanager
def progress(walk: Shown) -> Iterator[None]:
    console = Console(stderr=True)
    with bars(walk, console) if console.is_terminal else plain_lines(walk):
        yield


def summary(walk: Shown, seconds: float) -> str:
    """One line: what is made, how fast, what is in flight, what went wrong."""
    tally = walk.tally
    new = tally.instructions - tally.found
    parts = [
        f"{tally.disciplines_done}/{tally.disciplines} disciplines",
        f"{tally.questions:,} questions",
        f"{tally.instructions:,} answers",
        f"{new / seconds * 60:,.0f}/min" if seconds > 1 else "",
        f"in flight {walk.in_flight}",
        f"rejected {sum(tally.rejected.values()):,}" if tally.rejected else "",
        "errors " + ", ".join(f"{name} {count:,}" for name, count in tally.errors.most_common(3))
        if tally.errors
        else "",
        f"tokens {tally.prompt_tokens:,} in, {tally.completion_tokens:,} out",
        money(walk, seconds),
    ]
    return " · ".join(part for part in parts if part)


def money(walk: Shown, seconds: float) -> str:
    """What this command has spent, how fast, and what it comes to at the end; empty for what costs nothing."""
    tally = walk.tally
    if not tally.cost:
        return "cost unknown" if tally.unpriced else ""
    new, planned = tally.instructions - tally.found, walk.planned_questions() - tally.found
    end = f", about ${tally.cost / new * planned:,.2f} in the end" if new else ""
    return f"${tally.cost:,.2f} spent, ${tally.cost / seconds * 60:,.2f}/min{end}"


@contextmanager
def plain_lines(walk: Shown, say: Callable[[Shown, float], str] = summary) -> Iterator[None]:
    """A line of `say` now and then; it is given the walk and the seconds so far."""
    with lines_every(EVERY, lambda seconds: say(walk, seconds)):
        yield


@contextmanager
def bars(walk: Shown, console: Console) -> Iterator[None]:
    started = time.monotonic()
    rows = Progress(
        TextColumn("{task.description:>11}"), BarColumn(bar_width=32), MofNCompleteColumn(), console=console
    )
    disciplines = rows.add_task("disciplines", total=walk.tally.disciplines)
    questions = rows.add_task("questions", total=None)
    answers = rows.add_task("answers", total=None)

    def show() -> Group:
        tally = walk.tally
        _update(rows, disciplines, tally.disciplines_done, tally.disciplines)
        planned = walk.planned_questions()
        _update(rows, questions, tally.questions, planned)
        if walk.settings.generate_question_only:
            rows.update(answers, visible=False)
        _update(rows, answers, tally.instructions, planned)
        return Group(rows, Text(summary(walk, time.monotonic() - started), style="dim", overflow="ellipsis"))

    # What is printed on standard output meanwhile is not ours: Ray prints there (run/cluster_session.py).
    with Live(get_renderable=show, console=console, refresh_per_second=4, transient=True, redirect_stdout=False):
        yield


def _update(rows: Progress, task: TaskID, done: int, total: int | None) -> None:
    rows.update(task, completed=done, total=max(total, done) if total else None)
