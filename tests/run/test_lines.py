"""Files of JSON lines: what a line that could not be written whole leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glan_dspy.run.lines import Appender, ids, read

resource = pytest.importorskip("resource")


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Files cannot grow beyond so many bytes: the system writes what fits, then refuses, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_that_do_not_fit_leave_nothing_of_themselves(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    appender = Appender(path)
    appender.append({"id": "a"})
    whole = path.read_bytes()
    with files_end_at(len(whole) + 20), pytest.raises(OSError):
        appender.append({"id": "b"}, {"id": "c", "text": "x" * 100})
    assert path.read_bytes() == whole
    appender.append({"id": "d"})
    appender.close()
    assert [line["id"] for line in read(path)] == ["a", "d"]


def test_an_appender_goes_on_after_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"id":"a"}\n{"id":"to')
    appender = Appender(path)
    appender.append({"id": "b"}, {"id": "c"})
    assert [line["id"] for line in read(path)] == ["a", "b", "c"]
    appender.close()


def test_a_line_that_is_spoilt_behind_its_id_has_none(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"id":"a","x":1}\n{"id":"b","x":"\xff"}\n{"id":"c"\n{"id":"\xff"}\n{"id":5}\n{}\n{"id":"d"}\r\n')
    assert list(ids(path)) == ["a", "d"]
