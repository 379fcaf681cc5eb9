"""Two processes on one run: one writes, the other says who that is."""

from __future__ import annotations

import signal

import pytest

from tests.faults.check import check
from tests.faults.conftest import Hurting
from tests.faults.modes import in_modes


@pytest.mark.parametrize("mode", in_modes("plain", "batch"))
def test_the_second_process_says_who_has_the_run_and_the_first_goes_on(hurting: Hurting, mode: str) -> None:
    case = hurting("a second process", mode)
    first = case.start()
    case.until_paid(5, first)
    first.send(signal.SIGSTOP)  # or it might be through before the second one has begun
    for _ in range(2):
        second = case.start("generate", "-o", case.out)
        assert case.over(second) == 1
        assert f"{case.out} is being written by process {first.pid}" in second.last_line
        case.row.times += 1
    first.send(signal.SIGCONT)
    assert case.over(first) == 0
    check(case)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_begins_while_the_orphans_of_a_killed_one_still_work(hurting: Hurting, seed: int) -> None:
    case = hurting("SIGKILL, and the next process at once", "workers", disciplines=4, latency=0.2)
    for part in (4, 2):
        command = case.start()
        case.until_paid(case.calls // part, command)
        orphans = case.workers()
        assert orphans
        case.kill(command)
    case.finish()
    check(case)
