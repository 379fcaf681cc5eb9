"""Where pages go: through a pager on a terminal, straight on into a pipe; each as soon as it is made."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from glan_dspy.errors import UserError


def pager_command() -> list[str]:
    """$PAGER, else less; nothing where stdout is no terminal, or one that cannot be paged."""
    if not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "unknown") or os.name == "nt":
        return []
    wanted = os.environ.get("PAGER")
    with suppress(ValueError):  # a quotation mark that is not closed
        words = shlex.split(wanted or "")
        if words and shutil.which(words[0]):
            return words
    return ["less", "-R"] if wanted != "" and shutil.which("less") else []


def takes_colours(command: list[str]) -> bool:
    """Whether what we write ends up on a terminal as it is."""
    return not command or Path(command[0]).name == "less"


def put_pages(pages: Iterable[str], command: list[str]) -> None:
    """Shows the pages as they come, until the reader leaves; without a command they go to stdout."""
    if not command:
        for page in pages:
            sys.stdout.write(page)
        return
    pager = _Pager(command)
    with _handling(signal.SIGINT, pager.interrupted):
        try:
            with suppress(_Left), _handling(signal.SIGCHLD, pager.child_ended):
                for page in pages:
                    pager.write(page)
        finally:
            pager.close()


@contextmanager
def _handling(number: signal.Signals, handler: Callable[..., None]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


class _Left(Exception):
    """The reader has left the pager: nothing more is wanted."""


class _Pager:
    """Started by the first page: while nothing is found yet, there is nothing to look at."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.left = False
        """Whether the reader's leaving was noticed: it is said once."""

    def write(self, page: str) -> None:
        try:
            pipe = self._pipe()
            pipe.write(page.encode("utf-8", "replace"))
            pipe.flush()
        except BrokenPipeError:
            self._leave()

    def _pipe(self) -> IO[bytes]:
        if self.process is None:
            # F: what fits on the screen is simply shown; R: with colours; X: what was read stays there.
            environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, env=environment)
        assert self.process.stdin is not None
        return self.process.stdin

    def interrupted(self, *_: object) -> None:
        """Ctrl-C: the pager's own affair, while there is one."""
        if self.process is None or self.process.poll() is not None:
            raise KeyboardInterrupt

    def child_ended(self, *_: object) -> None:
        """The reader has left, perhaps in the middle of a long search for more."""
        if self.process is not None and self.process.poll() is not None:
            self._leave()

    def _leave(self) -> None:
        if not self.left:
            self.left = True
            raise _Left

    def close(self) -> None:
        """Waits until the reader leaves. Raises UserError for a pager that failed."""
        if self.process is None:
            return
        with suppress(BrokenPipeError):
            self._pipe().close()
        if self.process.wait() > 0:
            told = f"the pager {shlex.join(self.command)} ended with code {self.process.returncode}"
            raise UserError(f"{told}; PAGER=less or PAGER= (none) may do better")
