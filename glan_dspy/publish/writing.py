"""Files of rows: JSON lines, the same packed by zstd, and Parquet. Each is written as its rows come."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from glan_dspy.publish.formats import Row, Shape
from glan_dspy.run.lines import dump

ENDINGS = (".jsonl", ".jsonl.zst", ".parquet")

BATCH_ROWS, GROUP_BYTES = 500, 16 << 20
"""Rows that are packed together, and text of a row group of a Parquet file: what memory holds of each file."""


class Writer(Protocol):
    """A file that is being written. OSError where the disk is full; `abandon` then lets go of it."""

    def write(self, row: Row) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


def open_writer(path: Path, ending: str, shape: Shape) -> Writer:
    return Table(path, *shape) if ending == ".parquet" else Lines(path, packed=ending == ".jsonl.zst")


class Lines:
    """One JSON object a line."""

    def __init__(self, path: Path, *, packed: bool = False) -> None:
        self._path, self._file = path, _open(path)
        self._out: Any = self._file
        if packed:
            import pyarrow

            self._out = pyarrow.CompressedOutputStream(self._file, "zstd")

    def write(self, row: Row) -> None:
        self._out.write(dump(row))

    def close(self) -> None:
        self._out.close()
        self._file.close()
        _to_disk(self._path)

    def abandon(self) -> None:
        with suppress(OSError, ValueError):
            self._out.close()
        _let_go(self._file)


class Table:
    """A Parquet file packed by zstd. All columns are text, but for a conversation: a list of turns, all of it text."""

    def __init__(self, path: Path, columns: tuple[str, ...], turn: tuple[str, ...]) -> None:
        import pyarrow
        from pyarrow import parquet

        text = pyarrow.string()
        conversation = pyarrow.list_(pyarrow.struct([(key, text) for key in turn]))
        kinds = [conversation if turn and index == 1 else text for index in range(len(columns))]
        self._schema = pyarrow.schema(list(zip(columns, kinds, strict=True)))
        self._batch, self._table = pyarrow.RecordBatch.from_pylist, pyarrow.Table.from_batches
        self._path, self._file = path, _open(path)
        # Neither dictionaries nor statistics help where no two texts are alike.
        plainly = {"use_dictionary": False, "write_statistics": False}
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd", **plainly)
        self._rows: list[Row] = []
        self._batches: list[Any] = []

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._pack()
            if sum(batch.nbytes for batch in self._batches) >= GROUP_BYTES:
                self._flush()

    def _pack(self) -> None:
        """Rows as Python holds them take several times their text."""
        self._batches.append(self._batch(self._rows, schema=self._schema))
        self._rows = []

    def _flush(self) -> None:
        if self._batches:
            self._writer.write_table(self._table(self._batches))
        self._batches = []

    def close(self) -> None:
        if self._rows:
            self._pack()
        self._flush()
        self._writer.close()
        self._file.close()
        _to_disk(self._path)

    def abandon(self) -> None:
        with suppress(OSError, ValueError):
            self._writer.close()
        # Its own finaliser would try once more, on a file that is gone.
        self._writer.is_open = False
        _let_go(self._file)


def _open(path: Path) -> io.BufferedWriter:
    return io.BufferedWriter(io.FileIO(path, "wb"), 1 << 20)


def _to_disk(path: Path) -> None:
    """Through another handle: pyarrow closes the one that it was given."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _let_go(file: io.BufferedWriter) -> None:
    with suppress(OSError, ValueError):
        file.close()
    if not file.closed:  # what is still in its buffer has no place on the disk
        with suppress(OSError):
            file.raw.close()
