"""The ways in which a run can be made, each one line of a table: what is hurt is hurt in all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import pytest

from benchmarks.batch_server import BatchServer
from benchmarks.loopback import Loopback, Serves


class Charges(Serves, Protocol):
    """A server that knows what it charged for."""

    @property
    def paid(self) -> Counter[str]: ...
    @property
    def in_flight(self) -> int: ...


def loopback(latency: float) -> Charges:
    return Loopback(f"rehearsal?latency={latency:g}")


def batches(latency: float) -> Charges:
    return BatchServer()


@dataclass(frozen=True)
class Mode:
    flags: tuple[str, ...] = ()
    server: Callable[[float], Charges] = loopback
    worker: str = ""
    """What the command line of each of its worker processes holds; empty where there are none."""
    lasting: bool = False
    """Whether calls outlive the process, so that not even what is in flight may be paid for twice."""
    missing: Callable[[], str] = lambda: ""
    """What is not installed here that it takes."""
    heavy: bool = False
    """Whether its processes take so long to begin that it has a case of each kind, and not many."""

    @property
    def victims(self) -> tuple[str, ...]:
        """Which of its processes can be killed."""
        return ("command", "worker", "all") if self.worker else ("command",)


def without_ray() -> str:
    return "" if find_spec("ray") else "Ray is not installed"


MODES = {
    "plain": Mode(),
    "batch": Mode(("--batch",), batches, lasting=True),
    "workers": Mode(("--workers", "2"), worker="glan_dspy.run.workers"),
    "ray": Mode(("--ray", "local", "--workers", "2"), worker="ray::glan worker", missing=without_ray, heavy=True),
}


def in_modes(*short: str, leave_out: tuple[str, ...] = ()) -> list[Any]:
    """Every mode as a test's parameter; those that are not named belong to the long form."""
    names = [name for name in MODES if name not in leave_out]
    return [name if name in short else pytest.param(name, marks=pytest.mark.long) for name in names]
