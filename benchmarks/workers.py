"""Pairs a second of one process and of several, over equal disciplines, with the CPU-bound simulated model.

    uv run python -m benchmarks.workers one ray:2               # medians of 5 rounds, a few minutes
    uv run python -m benchmarks.workers one workers:2 ray:2 --rounds 1

A mode is `one`, `workers:N` (`--workers N`) or `ray:N` (`--ray local --workers N`). The rounds go through all modes in
turn, so that a machine that slows down in between slows them all. Three rates, for beginning takes its time:

    middle       between the first and the last fifth of the answers: all workers are at work
    calls        from the first call to the last
    command      from the command's beginning to its end
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from glan_dspy.records import Discipline
from glan_dspy.run.store import Run

IN_FLIGHT = 256
"""Question calls in flight, and answer calls too, of all workers: what an account that lets a cluster work allows."""


class Rates(NamedTuple):
    """Pairs a second."""

    middle: float
    calls: float
    command: float


def flags_of(mode: str) -> list[str]:
    kind, _, count = mode.partition(":")
    if kind == "one":
        return ["--workers", "1"]
    if kind in ("workers", "ray") and count.isdecimal():
        return ["--workers", count] + (["--ray", "local"] if kind == "ray" else [])
    raise SystemExit(f"{mode!r} is no mode: one, workers:N or ray:N")


def measured(mode: str, disciplines: int, pairs: int) -> Rates:
    """The rates of one run, begun and ended in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="glan-workers-") as folder:
        run = Path(folder) / "run"
        words = [sys.executable, "-c", "from glan_dspy.cli import main; main()", "generate", "-o", str(run),
                 "--model-name", "rehearsal", "--language", "English", "--max-number-of-subjects", "8",
                 "--max-number-of-session-name", "8", "--num-pairs", str(pairs), "--question-batch-size",
                 str(IN_FLIGHT), "--answer-batch-size", str(IN_FLIGHT), "--concurrency", str(2 * IN_FLIGHT),
                 *flags_of(mode)]  # fmt: skip
        for number in range(disciplines):
            words += ["--discipline", f"Discipline {number}"]
        began = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        if done.returncode:
            raise SystemExit(f"{mode}: exit {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
        return rates(Run(run), seconds)


def rates(run: Run, seconds: float) -> Rates:
    shelves = [run.shelf(Discipline(name=d.name)) for d in run.disciplines()]
    pairs = sum(len(shelf.ids("instructions")) for shelf in shelves)
    calls = [(line["time"], line["stage"]) for shelf in shelves for line in shelf.read("calls")]
    times = sorted(at for at, _ in calls)
    answers = sorted(at for at, stage in calls if stage.startswith("answer"))
    first, last = len(answers) // 5, len(answers) * 4 // 5
    middle = (last - first) / len(answers) * pairs / (answers[last] - answers[first])
    return Rates(middle, pairs / (times[-1] - times[0]), pairs / seconds)


def table(figures: dict[str, list[Rates]]) -> str:
    modes = list(figures)
    base = figures[modes[0]]
    lines = [
        f"| mode | middle | (least-most) | x {modes[0]} | calls | x {modes[0]} | command | x {modes[0]} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for mode, found in figures.items():
        cells = [mode]
        for name in Rates._fields:
            values = [getattr(one, name) for one in found]
            cells.append(f"{median(values):,.0f}")
            if name == "middle":
                cells.append(f"{min(values):,.0f}-{max(values):,.0f}")
            cells.append(f"{median(values) / median(getattr(one, name) for one in base):.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modes", nargs="+", help="one, workers:N, ray:N; the others are compared with the first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--disciplines", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=16_000, help="of all disciplines together")
    arguments = parser.parse_args()
    for mode in arguments.modes:
        flags_of(mode)
    figures: dict[str, list[Rates]] = {mode: [] for mode in arguments.modes}
    for number in range(arguments.rounds):
        for mode, found in figures.items():
            found.append(one := measured(mode, arguments.disciplines, arguments.pairs))
            print(f"round {number + 1}: {mode}: " + ", ".join(f"{n} {v:,.0f}" for n, v in one._asdict().items()),
                  file=sys.stderr, flush=True)  # fmt: skip
    print(table(figures))


if __name__ == "__main__":
    main()
