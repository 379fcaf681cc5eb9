"""What the gates cost: CPU of the run's own process a pair, with all gates on and with none.

    uv run python -m benchmarks.gates               # 60 rounds, about four minutes
    uv run python -m benchmarks.gates --rounds 10

Three ways: no gates; the default ones; and those with `--against` and 20,000 benchmark items of 50 words. The replies
come over HTTP from a server of its own (`benchmarks.loopback`, whose model is `rehearsal`), so that only the run's work
is counted: posting, parsing, judging, writing. `--in-process` counts the simulated model's own work too, as
`glan generate --model-name rehearsal` has it.

A machine that others use is a third slower in one second than in the next. So one process takes the three ways in
turn, a run of a third of a second each, and what is told is the median over the rounds of each round's own ratio.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Shown
from glan_dspy.settings import Settings

ITEMS, WORDS = 20_000, 50
DISCIPLINES = 2
"""Of 100 pairs each, in one run."""
WAYS = ("none", "default", "all")


def items(path: Path) -> None:
    rng = random.Random(1)
    words = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(ITEMS):
            file.write(json.dumps({"question": " ".join(rng.choices(words, k=WORDS))}) + "\n")


def once(way: str, url: str, folder: Path, against: Path) -> float:
    """CPU ms a pair of one run. The benchmarks' files are read before: that is no cost of a pair."""
    settings = Settings(
        model_name="x" if url else "rehearsal",
        base_url=url or None,
        language="English",
        num_questions_per_iteration=25,
        max_number_of_session_name=10,
        gates=way != "none",
        against=(str(against),) if way == "all" else (),
        concurrency=128,
        question_batch_size=64,
        answer_batch_size=64,
    )
    spent = [0.0]

    @contextmanager
    def clock(_: Shown) -> Iterator[None]:
        start = time.process_time()
        yield
        spent[0] = (time.process_time() - start) * 1000

    disciplines = [Discipline(name=f"Optics {number}") for number in range(DISCIPLINES)]
    tally = generate(Run(folder), settings, disciplines, clock).tally
    if tally.rejected.total() or tally.instructions != 100 * DISCIPLINES:
        raise SystemExit(f"{tally.instructions} pairs and {tally.rejected} where all should pass")
    return spent[0] / tally.instructions


@contextmanager
def server(in_process: bool) -> Iterator[str]:
    """The address of a server of its own; '' for none."""
    if in_process:
        yield ""
        return
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.loopback"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--in-process", action="store_true", help="the simulated model in the run's own process")
    arguments = parser.parse_args()
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="glan-gates-") as name, server(arguments.in_process) as url:
        folder = Path(name)
        items(folder / "items.jsonl")
        for number in range(arguments.rounds + 1):
            turn = number % len(WAYS)
            figures = {
                way: once(way, url, folder / f"{number}-{way}", folder / "items.jsonl")
                for way in WAYS[turn:] + WAYS[:turn]
            }
            if number:  # the first warms up
                rounds.append(figures)
                print(" ".join(f"{way} {figures[way]:.2f}" for way in WAYS), "ms a pair", file=sys.stderr)
    print(f"CPU a pair: {median(figures['none'] for figures in rounds):.2f} ms without gates")
    for way in WAYS[1:]:
        more = [100 * (figures[way] / figures["none"] - 1) for figures in rounds]
        quarter, middle, three = (sorted(more)[round(part * (len(more) - 1))] for part in (0.25, 0.5, 0.75))
        print(f"{way} gates: {middle:.1f} % more (half of the rounds {quarter:.1f} to {three:.1f} %), target < 15 %")


if __name__ == "__main__":
    main()
