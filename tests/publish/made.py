"""Runs whose pairs are written by hand, as a run writes them."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glan_dspy.publish.contents import Exported
from glan_dspy.publish.export import export
from glan_dspy.publish.wanted import Wanted
from glan_dspy.records import Discipline, Instruction, digest
from glan_dspy.run.begin import begin
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings

Row = dict[str, Any]


def pair(number: int, discipline: str = "Optics", **more: Any) -> Instruction:
    """The pair of this number in this discipline, of no simulated model."""
    values: Row = {
        "id": digest("pair", discipline, number),
        "question": f"What is {number} in {discipline}?",
        "answer": f"It is {number}.",
        "discipline": discipline,
        "subject": f"Basics of {discipline}",
        "level": 100,
        "subtopics": ("light",),
        "strategy": "single",
        "language": "English",
        "question_model": "asker",
        "answer_model": "teller",
    }
    return Instruction(**{**values, **more})


def make_run(path: Path, pairs: Iterable[Instruction], **settings: Any) -> Run:
    """A run with these accepted pairs; those that are held out are its test set."""
    pairs = list(pairs)
    names = dict.fromkeys(one.discipline for one in pairs)
    run, disciplines = Run(path), [Discipline(name=name) for name in names]
    begin(run, "generate", Settings(**{"model_name": "asker", "language": "English", **settings}), disciplines, "d1")
    add(run, pairs)
    return run


def add(run: Run, pairs: Iterable[Instruction]) -> None:
    shelves = {discipline.name: run.shelf(discipline) for discipline in run.disciplines()}
    for one in pairs:
        shelves[one.discipline].append("holdout" if one.held_out else "instructions", one)
    for shelf in shelves.values():
        shelf.close()


def put(run: Run, to: Path, **wanted: Any) -> Exported:
    return export(run, to, Wanted(**wanted))


def read(path: Path) -> list[Row]:
    """The rows of a file of any of the kinds."""
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows: list[Row] = parquet.read_table(path).to_pylist()
        return rows
    if path.suffix == ".zst":
        import pyarrow

        with path.open("rb") as file, pyarrow.CompressedInputStream(file, "zstd") as packed:
            text = packed.read().decode()
    else:
        text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def ids(*paths: Path) -> list[str]:
    return [row["id"] for path in paths for row in read(path)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """A disk on which no file gets larger than this many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
