"""What the gates cost: CPU of the run's own process a pair, with all gates on and with none.

    uv run python -m benchmarks.gates               # medians of 5 rounds, about four minutes
    uv run python -m benchmarks.gates --rounds 1

Three ways: no gates; the default ones; and those with `--against` and 20,000 benchmark items of 50 words. The replies
come over HTTP from a server of its own (`benchmarks.loopback`, whose model is `rehearsal`), so that only the run's work
is counted: posting, parsing, judging, writing. `--in-process` counts the simulated model's own work too, as
`glan generate --model-name rehearsal` has it. Rounds alternate, so that a machine that slows down slows all.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ITEMS, WORDS = 20_000, 50

_RUN = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings

url, folder, gates, against, number = sys.argv[1:]
settings = Settings(
    model_name="x" if url else "rehearsal", base_url=url or None, language="English",
    num_questions_per_iteration=25, max_number_of_session_name=10,
    gates=gates != "none", against=(against,) if gates == "all" else (),
    concurrency=128, question_batch_size=64, answer_batch_size=64,
)

spent = {}

@contextmanager
def clock(walk):
    # From here on: what was read once, the benchmarks' files, is no cost of a pair.
    start = time.process_time()
    yield
    spent["ms"] = (time.process_time() - start) * 1000

def made(folder, number, name):
    disciplines = [Discipline(name=f"{name} {n}") for n in range(number)]
    return generate(Run(Path(folder)), settings, disciplines, clock).tally

made(folder + "/first", 1, "Warming up")
tally = made(folder + "/run", int(number), "Optics")
print(spent["ms"] / tally.instructions, tally.instructions, tally.rejected.total())
"""


def items(path: Path) -> None:
    rng = random.Random(1)
    words = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(ITEMS):
            file.write(json.dumps({"question": " ".join(rng.choices(words, k=WORDS))}) + "\n")


def once(gates: str, against: Path, disciplines: int, in_process: bool) -> tuple[float, int, int]:
    """(CPU ms a pair, pairs, rejected) of one run, against a server of its own."""
    if in_process:
        return _run("", gates, against, disciplines)
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.loopback"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        return _run(server.stdout.readline().strip(), gates, against, disciplines)
    finally:
        server.terminate()
        server.wait()


def _run(url: str, gates: str, against: Path, disciplines: int) -> tuple[float, int, int]:
    with tempfile.TemporaryDirectory(prefix="glan-gates-") as folder:
        words = [sys.executable, "-c", _RUN, url, folder, gates, str(against), str(disciplines)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    ms, made, fell = done.stdout.split()
    return float(ms), int(made), int(fell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--disciplines", type=int, default=20, help="of 100 pairs each")
    parser.add_argument("--in-process", action="store_true", help="the simulated model in the run's own process")
    arguments = parser.parse_args()
    figures: dict[str, list[float]] = {"none": [], "default": [], "all": []}
    with tempfile.TemporaryDirectory(prefix="glan-gates-") as folder:
        against = Path(folder) / "items.jsonl"
        items(against)
        for number in range(arguments.rounds):
            for gates, found in figures.items():
                started = time.perf_counter()
                ms, made, fell = once(gates, against, arguments.disciplines, arguments.in_process)
                found.append(ms)
                seconds = time.perf_counter() - started
                told = f"{ms:.3f} ms a pair, {made:,} pairs, {fell} fell, {seconds:.0f} s"
                print(f"round {number + 1}: gates {gates}: {told}", file=sys.stderr)
    none = median(figures["none"])
    print(f"CPU a pair: {none:.2f} ms without gates")
    for gates in ("default", "all"):
        ms = median(figures[gates])
        print(f"{gates} gates: {ms:.2f} ms, {100 * (ms / none - 1):.1f} % more, target < 15 %")


if __name__ == "__main__":
    main()
