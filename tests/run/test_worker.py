"""A worker's end of the wire, the coordinator played by the test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from glan_dspy.program import GLAN
from glan_dspy.run.begin import begin
from glan_dspy.run.store import Run
from glan_dspy.run.walk import Walk
from glan_dspy.run.worker import Desk, Leasing
from glan_dspy.settings import Settings


@pytest.mark.parametrize("stopped", [False, True])
def test_what_must_be_mended_is_told_also_when_it_is_met_after_a_stop(tmp_path: Path, stopped: bool) -> None:
    """What is still in flight then may find a full disk: one process says so, and so do several."""
    settings = Settings(model_name="rehearsal")
    run = Run(tmp_path / "run")
    begin(run, "generate", settings, [], "digest")

    async def told() -> list[dict[str, Any]]:
        said: list[bytes] = []
        desk = Desk(said.append)
        leasing = Leasing(Walk(run, GLAN(settings), ()), desk)
        if stopped:
            desk.hear([{"stop": 1}])
            desk.outbox.flush()
            assert not stoppings(said)
        leasing.walk.crew._end("cannot write to here: no space left")
        desk.outbox.flush()
        return stoppings(said)

    assert [what["reason"] for what in asyncio.run(told())] == ["cannot write to here: no space left"]


def stoppings(said: list[bytes]) -> list[dict[str, Any]]:
    return [message["stopping"] for bundle in said for message in orjson.loads(bundle) if "stopping" in message]
