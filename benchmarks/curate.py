"""Curating at size: time, memory and what is found, on a run of made-up pairs with planted duplicates.

    uv run python -m benchmarks.curate --pairs 100000
    uv run python -m benchmarks.curate --pairs 1000000 --folder /tmp/curate
    uv run python -m benchmarks.curate --pairs 100000 --mould 100000      # as many more questions in one mould

Questions of 40 to 80 words come from a vocabulary of 20,000 in which, as in any language, a few words make most of
the text. Of 100 questions two are exact copies of an earlier one and two are near ones: 1 to 3 words in it changed,
one left out, or two put the other way round. Questions in one mould share 60 % of their words and differ in the others.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import orjson

from glan_dspy.records import Discipline
from glan_dspy.run.about import VERSION
from glan_dspy.run.curate import Rules, curate
from glan_dspy.run.store import Run

DISCIPLINES = 120
_KEPT = 5_000
"""Earlier questions that copies are made from."""


class Writer:
    """Makes questions, and remembers which of them should fall."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.words = [_word(self.rng) for _ in range(20_000)]
        self.weights = list(accumulate(1 / (rank + 10) for rank in range(len(self.words))))
        self.earlier: list[str] = []
        self.mould = self.some(40)
        self.planted = {"duplicate": set[str](), "near_duplicate": set[str]()}

    def some(self, count: int) -> list[str]:
        return self.rng.choices(self.words, cum_weights=self.weights, k=count)

    def question(self, id: str) -> str:
        draw = self.rng.random()
        if self.earlier and draw < 0.04:
            text = self.rng.choice(self.earlier)
            reason = "duplicate" if draw < 0.02 else "near_duplicate"
            self.planted[reason].add(id)
            return text if draw < 0.02 else self._changed(text)
        text = " ".join(self.some(self.rng.randint(36, 76)) + [str(self.rng.randint(2, 999)) for _ in range(4)]) + "?"
        if len(self.earlier) < _KEPT:
            self.earlier.append(text)
        else:
            self.earlier[self.rng.randrange(_KEPT)] = text
        return text

    def moulded(self) -> str:
        """Seven words of the mould and then five of its own, and so on."""
        parts = (self.mould[at : at + 7] + self.some(5) for at in range(0, len(self.mould), 7))
        return " ".join(word for part in parts for word in part)

    def _changed(self, text: str) -> str:
        words = text.split()
        at = self.rng.randrange(1, len(words) - 6)
        match self.rng.randrange(3):
            case 0:
                for _ in range(self.rng.randint(1, 3)):
                    words[self.rng.randrange(len(words) - 5)] = self.some(1)[0]
            case 1:
                del words[at]
            case _:
                words[at - 1], words[at] = words[at], words[at - 1]
        return " ".join(words)


def make(run: Run, pairs: int, mould: int) -> dict[str, set[str]]:
    """Writes the run; gives back the ids that were planted, by reason."""
    writer = Writer(1)
    disciplines = [Discipline(name=f"Discipline {number}") for number in range(DISCIPLINES)]
    listed = [discipline.model_dump() for discipline in disciplines]
    run.write_about({"version": VERSION, "kind": "generate", "settings": {}, "disciplines": listed, "created": 0})
    for number, discipline in enumerate(disciplines):
        path = run.shelf(discipline).path
        path.mkdir(parents=True)
        with (path / "instructions.jsonl").open("wb") as file:
            file.writelines(_lines(writer, number, pairs // DISCIPLINES, mould // DISCIPLINES))
    return writer.planted


def _lines(writer: Writer, discipline: int, pairs: int, mould: int) -> Iterator[bytes]:
    answer = " ".join(writer.some(150))
    for number in range(pairs + mould):
        id = f"{discipline:05d}{number:015d}"
        question = writer.question(id) if number < pairs else writer.moulded()
        yield orjson.dumps({"id": id, "question": question, "answer": answer, "subject": "s", "level": 100}) + b"\n"


def measure(path: Path, near: float) -> dict[str, Any]:
    """One curation in this process, whose peak memory it is."""
    started, cpu = time.monotonic(), time.process_time()
    summary = curate(Run(path), Rules(near), say=lambda text: print(text, file=sys.stderr))
    return {
        "judged": summary.judged,
        "dropped": dict(summary.dropped),
        "seconds": round(time.monotonic() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def found(run: Run, planted: dict[str, set[str]]) -> dict[str, str]:
    """For each reason, how many of the planted fell (for whichever reason), and how many others did."""
    fallen = {line["id"] for discipline in run.disciplines() for line in run.shelf(discipline).read("decisions")}
    every = set.union(*planted.values())
    shares = {reason: f"{len(ids & fallen):,} of {len(ids):,}" for reason, ids in planted.items()}
    return shares | {"not planted": f"{len(fallen - every):,}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--mould", type=int, default=0, help="further questions in one mould")
    parser.add_argument("--near", type=float, default=0.7)
    parser.add_argument("--folder", type=Path, help="where the run is made and removed again")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.measure:
        print(orjson.dumps(measure(told.measure, told.near)).decode())
        return
    folder = Path(tempfile.mkdtemp(prefix="curate-bench-", dir=told.folder))
    try:
        run = Run(folder / "run")
        planted = make(run, told.pairs, told.mould)
        command = [sys.executable, "-m", "benchmarks.curate", "--measure", str(run.path), "--near", str(told.near)]
        print(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
        print(orjson.dumps(found(run, planted)).decode())
    finally:
        shutil.rmtree(folder)


def _word(rng: Random) -> str:
    return "".join(rng.choice("aeioubcdfglmnprst") for _ in range(rng.randint(2, 11)))


if __name__ == "__main__":
    main()
