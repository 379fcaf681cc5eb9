"""Files of JSON lines that only grow: a line is whole, or it does not count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

Line = dict[str, Any]


class Appender:
    """Appends lines to one file; each is with the operating system before `append` returns.

    So a killed process loses none of them. Against a power cut there is `sync`. What was torn at the end
    of the file by an earlier one is cut off when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self._dirty = False
        _cut_torn_end(self._file)

    def append(self, *lines: Line) -> None:
        """The lines together: all of them, or (a full disk, with OSError) none."""
        data = b"".join(dump(line) for line in lines)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise
        self._dirty = True

    def sync(self) -> None:
        if self._dirty:
            self._dirty = False
            os.fsync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            try:
                self.sync()
            finally:
                os.close(self._file)
                self._file = -1


def dump(line: Line) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or a number over 64 bits: half a character is nothing to keep
        return orjson.dumps(_encodable(line), option=orjson.OPT_APPEND_NEWLINE)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {str(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value if isinstance(value, (bool, float, type(None))) or abs(value) < 2**63 else str(value)


_BLOCK = 1 << 16


def _cut_torn_end(file: int) -> None:
    size = end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        block = os.pread(file, end - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)


def read(path: Path) -> Iterator[Line]:
    """The whole lines of a file that may be growing; a missing file has none. Lines that are no JSON are passed over.

    `broken` tells how many those are.
    """
    for raw in whole(path):
        try:
            line = orjson.loads(raw)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def ids(path: Path) -> Iterator[str]:
    """The ids of a file's lines. Each is parsed: a line that was spoilt behind its id holds nothing that is there."""
    return (id for line in read(path) if isinstance(id := line.get("id"), str))


def broken(path: Path) -> int:
    """How many of the whole lines hold no JSON object: edited by hand, or by a bad disk."""
    return sum(1 for _ in whole(path)) - sum(1 for _ in read(path))


def whole(path: Path) -> Iterator[bytes]:
    """The whole lines of a file as they are, blank ones left out; a missing file has none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for raw in file:
            if raw.endswith(b"\n") and raw.strip():
                yield raw
