"""SIGTERM and Ctrl-C: once, what is in flight is finished and kept; twice, it ends at once."""

from __future__ import annotations

import signal

import pytest

from tests.faults.check import check
from tests.faults.conftest import Hurting
from tests.faults.modes import in_modes
from tests.processes import until


@pytest.mark.parametrize("mode", in_modes("plain", "batch"))
def test_after_sigterm_what_was_in_flight_is_on_file(hurting: Hurting, mode: str) -> None:
    case = hurting("SIGTERM", mode)
    command = case.start()
    case.until_paid(case.calls // 3, command)
    case.row.times += 1
    command.send(signal.SIGTERM)
    assert case.over(command) == 3
    case.finish(command)
    check(case)


@pytest.mark.parametrize("mode", in_modes("plain", "batch"))
def test_after_one_ctrl_c_what_was_in_flight_is_on_file(hurting: Hurting, mode: str) -> None:
    case = hurting("one Ctrl-C", mode)
    command = case.start()
    case.until_paid(case.calls // 2, command)
    case.row.times += 1
    command.ctrl_c()
    assert case.over(command) == 3
    case.finish(command)
    check(case)


@pytest.mark.parametrize("mode", in_modes("plain", leave_out=("batch",)))
def test_a_second_ctrl_c_waits_for_nothing(hurting: Hurting, mode: str) -> None:
    """For replies that take minutes here; a batch is not waited for after the first one already."""
    case = hurting("two Ctrl-C", mode, latency=0.3)
    command = case.start()
    case.until_paid(case.calls // 3, command)
    until(lambda: case.server.in_flight)
    case.row.times += 1
    case.uncounted += 1
    command.ctrl_c()
    command.ctrl_c()
    assert case.over(command) == 3
    case.count_in_flight()
    case.finish(command)
    check(case)
