"""A disk that takes no more: told in one line, whoever it is that finds it out, and nothing is bought for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from glan_dspy.engines.budget import Budget
from glan_dspy.errors import UserError
from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.serving import Purse
from glan_dspy.run.store import ROOM, Run
from glan_dspy.settings import Settings
from tests.run.test_lines import files_end_at

OPTICS = Discipline(name="Optics")


def test_nothing_is_asked_where_what_comes_back_has_no_room(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with files_end_at(ROOM - 1), pytest.raises(UserError, match=r"cannot write to .*: File too large; make room"):
        generate(run, Settings(model_name="rehearsal"), [OPTICS])
    assert sorted(path.name for path in run.path.iterdir()) == [".lock", ".lock-holder"]
    assert generate(run, Settings(model_name="rehearsal", language="English"), [OPTICS]).tally.instructions == 20


def test_a_disk_that_says_only_at_the_sync_that_it_is_full_ends_the_run(tmp_path: Path) -> None:
    """Network file systems do. A pipe stands for them: it takes what is written, and cannot be synced."""
    folder = tmp_path / "run" / "disciplines" / OPTICS.folder
    folder.mkdir(parents=True)
    os.mkfifo(folder / "calls.jsonl")
    outcome = generate(Run(tmp_path / "run"), Settings(model_name="rehearsal", num_iterations=1), [OPTICS])
    assert f"cannot write to {folder}: Invalid argument" in outcome.reason and not outcome.bugs


def test_a_reservation_that_cannot_be_written_down_sends_no_workers_call(tmp_path: Path) -> None:
    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    async def main() -> None:
        purse = Purse(Budget(10.0, write=full), sent.append, broken.append)
        purse.reserve("call", 1.0, "")
        await asyncio.sleep(0.01)

    sent: list[Any] = []
    broken: list[OSError] = []
    asyncio.run(main())
    assert sent == [{"room": ["call", "stopped"]}] and broken[0].errno == 28
