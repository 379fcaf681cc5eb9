"""SIGKILL at random moments, in every mode, of every process: what is on file is whole, none of it is bought again."""

from __future__ import annotations

import time
from random import Random

import pytest

from tests.faults.case import Case
from tests.faults.check import check
from tests.faults.conftest import Hurting
from tests.faults.modes import MODES, in_modes
from tests.processes import Command, Spawning


def killed(case: Case, kills: int, rng: Random) -> None:
    """Goes through so many kills, spread over the run's calls, each of a process by chance, and finishes the run."""
    command: Command | None = None
    for kill in range(kills):
        command = command or case.start()
        at = case.paid() + rng.randint(0, max(1, (case.calls - case.paid()) // (kills - kill + 1)))
        case.until_paid(at, command)
        time.sleep(rng.uniform(0, 0.05))
        if not command.running:
            break
        if case.kill(command, rng.choice(case.mode.victims)):
            command = None
            if not case.mode.worker or rng.random() < 0.5:  # else the next command begins while orphans are at work
                case.count_in_flight()
    if command is None or case.over(command) != 0:
        case.finish(command)


@pytest.mark.parametrize("mode", in_modes("plain", "batch"))
def test_kills_lose_nothing_and_pay_for_nothing_finished_again(hurting: Hurting, mode: str) -> None:
    case = hurting("SIGKILL", mode)
    killed(case, 2 if case.mode.worker else 4, Random(mode))
    check(case)


@pytest.mark.long
@pytest.mark.parametrize(
    ("mode", "seed"), [(name, seed) for name, mode in MODES.items() for seed in range(2 if mode.heavy else 6)]
)
def test_a_hundred_kills(hurting: Hurting, mode: str, seed: int) -> None:
    case = hurting("SIGKILL", mode, disciplines=8, latency=0.05, commands=None if mode == "batch" else Spawning())
    killed(case, 6, Random(f"{mode} {seed}"))
    check(case)
