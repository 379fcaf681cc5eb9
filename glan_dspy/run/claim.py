"""Who may write to a discipline's folder: one process at a time, and the newest of them.

    .lock      held by the operating system's lock while the discipline is written; ends with its process
    .writer    the newest writer's token; whoever holds another one is fenced off

The lock is enough on one machine. The token is for the rest: a process that was believed to be lost, on a machine that
was cut off, and comes back when another one has taken over. It looks at the token before each line that it writes.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from filelock import FileLock, Timeout

from glan_dspy.errors import GlanError

PATIENCE = 120.0
"""Seconds that a claim waits for the process before it: one that is cut off from its coordinator ends within a minute,
and a file server keeps the locks of a machine that died for about 90 seconds."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class Fenced(GlanError):
    """Another process has taken the discipline over: nothing more is to be written."""


class Claim:
    """The right to write to one folder, from when it is made until `release`. Raises Fenced where it cannot be had."""

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock: FileLock | None = FileLock(folder / ".lock", timeout=patience, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise Fenced(f"{folder} is being written by another process") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self._lock = None  # a shared file system without locks: then the token alone decides
        self._token = secrets.token_hex(8).encode()
        self._file = os.open(folder / ".writer", os.O_RDWR | os.O_CREAT, 0o666)
        os.pwrite(self._file, self._token, 0)

    def check(self) -> None:
        """Raises Fenced where another process has made a claim since."""
        if os.pread(self._file, len(self._token), 0) != self._token:
            raise Fenced(f"{self.folder} was taken over by another process")

    def release(self) -> None:
        os.close(self._file)
        if self._lock is not None:
            self._lock.release()
