"""A disk that is full, or cannot be written to: told in one line, nothing is torn, and with room it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.check import check
from tests.faults.conftest import Hurting
from tests.faults.modes import in_modes
from tests.faults.mounts import disk
from tests.processes import ended

NO_ROOM = "No space left on device"


@pytest.mark.parametrize("mode", in_modes("plain", "batch"))
@pytest.mark.parametrize("leave", [24, *(pytest.param(more, marks=pytest.mark.long) for more in (0, 8, 100))])
def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(
    hurting: Hurting, tmp_path: Path, mode: str, leave: int
) -> None:
    with disk(tmp_path / "disk") as place:
        case = hurting("disk full", mode, run="disk/run")
        command = case.start()
        case.until_paid(1, command)
        place.fill(leave)
        case.row.times += 1
        case.uncounted += 1
        assert case.over(command) == 1
        assert NO_ROOM in command.last_line
        case.count_in_flight()
        paid = case.paid()
        again = case.start("generate", "-o", case.out)
        assert case.over(again) == 1
        assert NO_ROOM in again.last_line and case.paid() == paid, "something was bought that had no place to go"
        place.make_room()
        case.finish(command)
        check(case)


@pytest.mark.parametrize("mode", in_modes("plain", leave_out=("batch",)))
def test_a_read_only_run_can_be_looked_at_and_is_not_begun(hurting: Hurting, tmp_path: Path, mode: str) -> None:
    with disk(tmp_path / "disk") as place:
        case = hurting("read-only RUN", mode, run="disk/run")
        command = case.start()
        case.until_paid(case.calls // 2, command)
        command.ctrl_c()
        assert case.over(command) == 3
        paid = case.paid()
        place.read_only()
        case.row.times += 1
        refused = case.start("generate", "-o", case.out)
        assert case.over(refused) == 1
        assert "cannot write to disk/run" in refused.last_line and case.paid() == paid
        told = ended(case.commands, case.folder, "status", case.out, "--json").out.read_text(encoding="utf-8")
        assert json.loads(told)["complete"] is False
        assert "would write" in ended(case.commands, case.folder, "curate", case.out, "--dry-run").stdout
        place.writable()
        case.finish()
        check(case)
