"""The server is gone for a while: shorter than its retries a run waits for it, longer it says how to go on."""

from __future__ import annotations

import time

import pytest

from tests.faults.case import Case
from tests.faults.check import check
from tests.faults.conftest import Hurting
from tests.faults.modes import in_modes
from tests.processes import Command, Spawning


def gone(case: Case, seconds: float, *more: str) -> Command:
    """The command, begun, when the server has been gone for so long."""
    command = case.start(*case.words, *more)
    case.until_paid(case.calls // 2, command)
    case.host.go()
    case.uncounted += 1  # what it was about to answer
    time.sleep(seconds)
    case.host.come()
    case.row.times += 1
    return command


@pytest.mark.parametrize("mode", in_modes("plain", "batch"))
def test_an_outage_that_is_shorter_than_the_retries_is_waited_for(hurting: Hurting, mode: str) -> None:
    case = hurting("server gone for 1.5 s", mode)
    assert case.over(gone(case, 1.5)) == 0
    check(case)


@pytest.mark.parametrize("mode", in_modes("plain", leave_out=("batch",)))
def test_an_outage_that_is_longer_than_the_retries_ends_with_the_command_that_goes_on(
    hurting: Hurting, mode: str
) -> None:
    case = hurting("server gone for longer than the retries", mode)
    command = gone(case, 3.0, "--max-attempts", "2")
    assert case.over(command) == 3
    case.finish(command)
    check(case)


@pytest.mark.long
def test_five_minutes_without_a_server(hurting: Hurting) -> None:
    case = hurting("server gone for five minutes", "plain", disciplines=8, commands=Spawning())
    command = gone(case, 300.0)
    if case.over(command) != 0:
        case.finish(command)
    check(case)
