"""The processes of a run, as /proc shows them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processes() -> Iterator[tuple[int, str]]:
    """(process id, command line) of all of them."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                yield int(folder.name), words.decode("utf-8", "replace").strip()


def workers(mark: str, folder: Path) -> list[int]:
    """Those with the mark in their command line that work in the folder, whoever began them."""
    return [id for id, words in processes() if mark and mark in words and works_in(id, folder)]


def works_in(id: int, folder: Path) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{id}/cwd").resolve() == folder.resolve()
    return False


def kill(ids: list[int]) -> None:
    for id in ids:
        with suppress(ProcessLookupError):
            os.kill(id, signal.SIGKILL)
