"""Files that appear whole: they are made in a hidden folder beside, and moved to their names when all are there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from glan_dspy.errors import UserError
from glan_dspy.publish.formats import Row, Shape
from glan_dspy.publish.writing import ENDINGS, Writer, open_writer
from glan_dspy.run.store import FILES, Run

SHARD_ROWS = 200_000
"""Rows of a file in a folder: half a gigabyte of text, as the Hub advises."""


class Place(NamedTuple):
    """Where an export goes: a folder, or a file of one of the known endings."""

    path: Path
    ending: str = ""
    """Empty for a folder."""

    def is_folder_of(self, form: str) -> bool:
        """Whether a new folder is made here; the Azure script's file goes into any folder."""
        return not self.ending and form != "azure"

    def file(self, part: str, parts: int) -> Path:
        """`out.jsonl`, or of several parts `out-train.jsonl`."""
        if parts == 1:
            return self.path
        return self.path.with_name(f"{self.path.name.removesuffix(self.ending)}-{part}{self.ending}")


def find_place(to: Path, run: Run) -> Place:
    """What `--to` means. Raises UserError for an unknown ending, and where it would write over the run itself."""
    ending = next((ending for ending in sorted(ENDINGS, key=len, reverse=True) if to.name.endswith(ending)), "")
    if not ending and to.suffix and not to.is_dir():
        known = ", ".join(ENDINGS)
        raise UserError(
            f"--to {to}: the ending {to.suffix!r} is unknown; known: {known}, and a folder's name without one"
        )
    if ending and to.is_dir():
        raise UserError(f"--to {to} is a folder; name a file, such as {to / 'train.jsonl'}")
    keep_out_of_the_run(to, run, "--to")
    return Place(to, ending)


def keep_out_of_the_run(to: Path, run: Run, flag: str) -> None:
    """Raises UserError where a file of this name would lie among the run's own."""
    if _within(to, run.path / "disciplines") or (_same(to.parent, run.path) and to.name in _OF_A_RUN):
        raise UserError(f"{flag} {to} lies where the run keeps its own files; name another place")


_OF_A_RUN = {f"{name}.jsonl" for name in (*FILES, "batch")}


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _same(path: Path, other: Path) -> bool:
    return path.resolve() == other.resolve()


def empty_or_absent(folder: Path) -> None:
    """Raises UserError where something lies there already: an export never mixes with what is there."""
    if folder.is_dir() and (names := sorted(entry.name for entry in folder.iterdir())):
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        raise UserError(
            f"--to {folder} is a folder that holds {', '.join(names[:3])}{more}; name a new one, or a file such as "
            f"{folder / 'train.jsonl'}"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--to {folder} is a file; name a folder, or a file that ends in {', '.join(ENDINGS)}")


class Shard(NamedTuple):
    """One finished file of a part, still under its hidden name."""

    path: Path
    rows: int


class Draft:
    """The hidden folder, and the files in it. Leaving the context leaves nothing behind that was not moved out."""

    def __init__(self, home: Path, name: str, ending: str, shape: Shape, shard_rows: int | None = None) -> None:
        self.folder = home.absolute() / f".{name}.{os.getpid()}"
        self._ending, self._shape, self._shard_rows = ending, shape, shard_rows
        self._open: dict[str, Writer] = {}
        self._shards: dict[str, list[Shard]] = {}

    def __enter__(self) -> Draft:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        return self

    def write(self, part: str, row: Row) -> None:
        """Puts a row into the part's newest file; a full one is ended first."""
        shards = self._shards.get(part)
        if shards is None or shards[-1].rows == self._shard_rows:
            shards = self._begin(part)
        self._open[part].write(row)
        shards[-1] = shards[-1]._replace(rows=shards[-1].rows + 1)

    def _begin(self, part: str) -> list[Shard]:
        self._end(part)
        shards = self._shards.setdefault(part, [])
        path = self.folder / f"{part}-{len(shards):05d}{self._ending}"
        self._open[part] = open_writer(path, self._ending, self._shape)
        shards.append(Shard(path, 0))
        return shards

    def _end(self, part: str) -> None:
        if part in self._open:
            self._open[part].close()
            del self._open[part]

    def finish(self, parts: Iterable[str]) -> dict[str, list[Shard]]:
        """The files of each part, whole and on the disk; one without rows for a part that got none."""
        for part in parts:
            if part not in self._shards:
                self._begin(part)
            self._end(part)
        return {part: self._shards[part] for part in parts}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._open.values():
            writer.abandon()
        shutil.rmtree(self.folder, ignore_errors=True)


def move(files: Mapping[Path, Path]) -> None:
    """Gives files their final names. Raises UserError, before any of them has moved, where a folder has that name."""
    for final in files.values():
        if final.is_dir():
            raise UserError(f"{final} is a folder, where a file is to be written; move it, or name another place")
    for path, final in files.items():
        path.replace(final)


def move_folder(folder: Path, final: Path) -> None:
    """Gives the whole folder its final name, at once."""
    if final.is_dir():
        final.rmdir()
    folder.rename(final)
