"""A file system of its own for a run: full, or read-only for a while. Needs root; a test without is skipped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class Disk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave: int) -> None:
        """Leaves so many kilobytes free."""
        system = os.statvfs(self.path)
        with suppress(OSError):  # others write too
            self._ballast.write_bytes(bytes(max(0, system.f_bavail * system.f_frsize - (leave << 10))))

    def make_room(self) -> None:
        self._ballast.unlink()

    def read_only(self) -> None:
        self._remount("ro")

    def writable(self) -> None:
        self._remount("rw")

    def _remount(self, how: str) -> None:
        mount("-o", f"remount,{how}", str(self.path))


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


@contextmanager
def disk(path: Path) -> Iterator[Disk]:
    path.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=64m", "glan-test", str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
