"""The batch server on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.batch_server import BatchServer, Faults
from tests.serving import hosted


@contextmanager
def running(
    model: str = "rehearsal", faults: Faults | None = None, page: int = 100
) -> Iterator[tuple[str, BatchServer]]:
    """(base URL, the server's state) while the context lasts."""
    with hosted(server := BatchServer(model, faults, page)) as host:
        yield host.base_url, server
