"""How a test makes its cases: `hurting("SIGKILL", "plain")`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.case import Case
from tests.faults.modes import MODES, Charges
from tests.faults.table import PROPERTY, Row, plain
from tests.processes import Commands, Forking, Spawning
from tests.serving import hosted


class Hurting(Protocol):
    def __call__(
        self, what: str, mode: str, *, disciplines: int = ..., latency: float = ..., run: str = ...,
        commands: Commands | None = ..., server: Charges | None = ...,
    ) -> Case: ...  # fmt: skip


@pytest.fixture
def hurting(tmp_path: Path, glan: Forking, record_property: Callable[[str, object], None]) -> Iterator[Hurting]:
    with ExitStack() as stack:

        def make(
            what: str, mode: str, *, disciplines: int = 3, latency: float = 0.03, run: str = "run",
            commands: Commands | None = None, server: Charges | None = None,
        ) -> Case:  # fmt: skip
            kind = MODES[mode]
            if missing := kind.missing():
                pytest.skip(missing)
            host = stack.enter_context(hosted(server or kind.server(latency)))
            return Case(
                tmp_path,
                kind,
                commands or (Spawning() if kind.heavy else glan),
                host,
                Row(what, mode),
                lambda row: record_property(PROPERTY, plain(row)),
                disciplines,
                run,
            )

        yield make
