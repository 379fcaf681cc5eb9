"""Files of JSON lines that only grow: a line is whole, or it does not count."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

Line = dict[str, Any]

_BOM = b"\xef\xbb\xbf"
"""What some editors put before the first line of a file that they save."""


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
_READ = 1 << 18
"""Bytes that are read at a time: lines of several kilobytes come half as fast with the usual eight."""


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
        if (line := parsed(raw)) is not None:
            yield line


def ids(path: Path) -> Iterator[str]:
    """The ids of a file's lines. Each is parsed: a line that was spoilt behind its id holds nothing that is there."""
    return (id for line in read(path) if isinstance(id := line.get("id"), str))


def about(path: Path, wanted: Callable[[str], bool], key: str = "id") -> Iterator[Line]:
    """The lines whose `key` is wanted; the others are passed by, most of them without being parsed."""
    mark = f'"{key}":"'.encode()
    for raw in whole(path):
        start = raw.find(mark) + len(mark)
        end = raw.find(b'"', start)
        # Only of a line as it is written here is the first such key the line's own, and not one inside another.
        quick = raw.startswith(b'{"id":"') and start >= len(mark) and b"\\" not in raw[start:end]
        if quick and not wanted(raw[start:end].decode("utf-8", "replace")):
            continue
        line = parsed(raw)
        if line is not None and isinstance(line.get(key), str) and wanted(line[key]):
            yield line


_READ = 1 << 22


def holding(path: Path, needle: bytes) -> Iterator[bytes]:
    """The whole lines that have these bytes somewhere, found without looking at the lines that have not."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        rest = b""
        while block := file.read(_READ):
            block = rest + block
            whole_until = block.rfind(b"\n") + 1
            at = block.find(needle, 0, whole_until)
            while at >= 0:
                end = block.find(b"\n", at) + 1
                yield block[block.rfind(b"\n", 0, at) + 1 : end].removeprefix(_BOM)
                at = block.find(needle, end, whole_until)
            rest = block[whole_until:]


def parsed(raw: bytes) -> Line | None:
    """The JSON object that the line is, or None."""
    try:
        line = orjson.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def broken(path: Path) -> int:
    """How many of the whole lines hold no JSON object: edited by hand, or by a bad disk."""
    return sum(1 for _ in whole(path)) - sum(1 for _ in read(path))


def whole(path: Path) -> Iterator[bytes]:
    """The whole lines of a file as they are, blank ones left out; a missing file has none."""
    try:
        file = path.open("rb", buffering=_READ)
    except FileNotFoundError:
        return
    with file:
        for number, raw in enumerate(file):
            if raw.endswith(b"\n") and raw.strip():
                yield raw if number else raw.removeprefix(_BOM)
