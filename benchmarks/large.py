"""A large run with the simulated model: pairs a second and memory on its way, and how soon the next command asks again.

    uv run python -m benchmarks.large --pairs 1000000
    uv run python -m benchmarks.large --pairs 1000000 --workers 2

123 disciplines, all gates on, no latency: what is measured is the program's own work and the simulated model's. Marks
are taken when the run has so many pairs; memory is that of all its processes at that moment, what they share counted
once. Afterwards a discipline joins, by one more line in the file: the time from the command's beginning to its first
call that is answered.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

COMMAND = [sys.executable, "-c", "from glan_dspy.cli import main; main()"]
MARKS = (1_000, 10_000, 100_000, 300_000, 1_000_000)
EVERY = 0.5
"""Seconds between two looks at the files."""

ROOT = Path(__file__).parents[1]
DISCIPLINES = ROOT / "disciplines.txt"


class Mark(NamedTuple):
    pairs: int
    seconds: float
    cpu: float
    memory: int
    """MB of all processes."""


class Counter:
    """Lines of growing files, each byte read once."""

    def __init__(self, run: Path, name: str) -> None:
        self._run, self._name, self.lines = run, name, 0
        self._read: dict[Path, int] = {}

    def count(self) -> int:
        for path in self._run.glob(f"disciplines/*/{self._name}.jsonl"):
            if (size := path.stat().st_size) > self._read.get(path, 0):
                with path.open("rb") as file:
                    file.seek(self._read.get(path, 0))
                    data = file.read(size - self._read.get(path, 0))
                self._read[path] = size
                self.lines += data.count(b"\n")
        return self.lines


def processes(pid: int) -> Iterator[int]:
    """A process and those below it."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                yield from processes(int(child))
    except OSError:
        return  # it has ended


def memory(pid: int) -> int:
    """MB, what is shared counted once."""
    kb = 0
    for one in processes(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        kb += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return kb // 1024


def cpu(pid: int) -> float:
    """Seconds of processor time of all of them."""
    ticks = 0
    for one in processes(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def words(run: Path, pairs: int, workers: int) -> list[str]:
    return [*COMMAND, "generate", "-o", str(run), "--model-name", "rehearsal", "--language", "English", "--recipe",
            "large", "--num-iterations", "40", "--num-pairs", str(pairs), "--workers", str(workers),
            "--disciplines-filepath", str(DISCIPLINES)]  # fmt: skip


def made(run: Path, pairs: int, workers: int) -> list[Mark]:
    began, marks, counter = time.monotonic(), list[Mark](), Counter(run, "instructions")
    due = [mark for mark in MARKS if mark < pairs] + [pairs]
    with subprocess.Popen(words(run, pairs, workers), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        found = Mark(0, 0, 0, 0)
        while process.poll() is None:
            time.sleep(EVERY)
            if (size := memory(process.pid)) == 0:
                continue  # it is ending
            found = Mark(counter.count(), time.monotonic() - began, cpu(process.pid), size)
            if found.pairs >= due[0]:
                marks.append(found)
                told(found, marks[-2] if len(marks) > 1 else None)
                due = [mark for mark in due if mark > found.pairs] or [pairs + 1]
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return marks


def told(mark: Mark, before: Mark | None) -> None:
    pairs, seconds = mark.pairs - (before.pairs if before else 0), mark.seconds - (before.seconds if before else 0)
    busy = mark.cpu - (before.cpu if before else 0)
    print(f"| {mark.pairs:,} | {mark.seconds:,.0f} s | {pairs / seconds:,.0f} | {1000 * busy / pairs:.2f} ms | "
          f"{mark.memory} MB |", flush=True)  # fmt: skip


def resumed(run: Path, pairs: int) -> tuple[float, int]:
    """(Seconds from the command's beginning to its first call that is answered, MB at that moment)."""
    more = run.parent / "more.txt"
    more.write_text(DISCIPLINES.read_text(encoding="utf-8") + "\nThe Weather of Other Worlds\n", encoding="utf-8")
    command = [
        *COMMAND,
        "generate",
        "-o",
        str(run),
        "--disciplines-filepath",
        str(more),
        "--num-pairs",
        str(pairs + 500),
    ]
    began, new = time.monotonic(), "disciplines/the-weather-of-other-worlds-*/calls.jsonl"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while not any(path.stat().st_size for path in run.glob(new)):
            assert process.poll() is None, "it ended without a call"
            time.sleep(0.02)
        seconds, size = time.monotonic() - began, memory(process.pid)
        process.kill()
    return seconds, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the run is made and removed again; 5 KB a pair")
    arguments = parser.parse_args()
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="glan-large-", dir=arguments.folder))
    try:
        print("| pairs | after | pairs a second since the last mark | CPU a pair | memory |\n|---|---|---|---|---|")
        made(folder / "run", arguments.pairs, arguments.workers)
        size = sum(path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file())
        seconds, held = resumed(folder / "run", arguments.pairs)
        print(f"on disk {size / 1e9:.2f} GB; the next command's first call after {seconds:.1f} s, with {held} MB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
