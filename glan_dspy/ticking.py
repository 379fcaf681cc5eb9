"""Plain lines of progress: one on stderr now and then, while something goes on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def lines_every(pause: float, line: Callable[[float], str]) -> Iterator[None]:
    """Prints `line(seconds so far)` each `pause` seconds, on the stderr of now even if that is redirected meanwhile."""
    done, stream, started = threading.Event(), sys.stderr, time.monotonic()

    def speak() -> None:
        while not done.wait(pause):
            print(line(time.monotonic() - started), file=stream, flush=True)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
