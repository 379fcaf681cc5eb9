"""The clock is set back by two hours in the middle of a run: nothing waits for it, nothing is bought again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.batch_server import BatchServer, Point
from tests.faults.check import check
from tests.faults.conftest import Hurting
from tests.faults.modes import MODES, in_modes
from tests.processes import environment, until

OTHER = {"id": "other", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-0",
         "completion_window": "24h", "metadata": None, "status": "completed"}  # fmt: skip

AHEAD = """
import os, time
now, now_ns = time.time, time.time_ns
time.time = lambda: now() + 7200 * (not os.path.exists({flag!r}))
time.time_ns = lambda: now_ns() + 7200 * 10**9 * (not os.path.exists({flag!r}))
"""
"""A clock that is two hours ahead until the file is there."""


@pytest.mark.parametrize("mode", in_modes("plain", "batch"))
def test_a_clock_that_is_set_back_does_no_harm(hurting: Hurting, tmp_path: Path, mode: str) -> None:
    case, flag = hurting("clock set back", mode), tmp_path / "set back"
    back = AHEAD.format(flag=str(flag))
    (tmp_path / "sitecustomize.py").write_text(back)  # for worker processes, which begin from nothing
    env = {"PYTHONPATH": f"{environment()['PYTHONPATH']}:{tmp_path}"} if MODES[mode].worker else {}
    command = case.start(before=back, env=env)
    case.until_paid(case.calls // 3, command)
    flag.touch()
    case.row.times += 1
    case.until_paid(case.calls * 2 // 3, command)
    command.ctrl_c()
    assert case.over(command) == 3
    assert case.over(again := case.start("generate", "-o", case.out, before=back, env=env)) == 0, again.said
    check(case)


@pytest.mark.parametrize("point", ["create", "created"])
def test_a_batch_from_before_the_clock_was_set_back_is_found_or_sent_at_once(
    hurting: Hurting, tmp_path: Path, point: Point
) -> None:
    """Its process was killed just before it was created, or just after; another batch has come since."""
    case, flag = hurting("clock set back", "batch"), tmp_path / "set back"
    server = case.server
    assert isinstance(server, BatchServer)
    hold = server.hold(point)
    command = case.start(before=AHEAD.format(flag=str(flag)))
    until(hold.reached.is_set)
    case.kill(command)
    hold.go_on.set()
    flag.touch()
    server.batches["other"] = {**OTHER, "created_at": int(time.time())}
    case.finish()
    check(case)
