"""A run that stops, or is ended by an endpoint, sends nothing of what still waits for its pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.connect import Care, Models, language_model
from glan_dspy.engines.base import CALL
from glan_dspy.engines.pace import Hard
from glan_dspy.engines.rehearsal import RehearsalEngine
from glan_dspy.program import GLAN
from glan_dspy.records import Discipline
from glan_dspy.run.begin import begin
from glan_dspy.run.command import bulk
from glan_dspy.run.generate import generate
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Shown
from glan_dspy.run.walk import Walk
from glan_dspy.settings import Settings
from tests.loopback_thread import rows

MANY = [Discipline(name=name) for name in ("Optics", "Dance", "Law", "Logic", "Music", "Botany")]


def settings(**changes: Any) -> Settings:
    return Settings(**{"model_name": "rehearsal", "language": "English", **changes})


class Fails:
    """The simulated model, but for the calls of one stage, which all fail; keeps what it was asked."""

    def __init__(self, stage: str, error: Exception) -> None:
        self.model, self.stage, self.error = RehearsalEngine(), stage, error
        self.calls: list[str] = []

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        assert call is not None
        self.calls.append(call.key)
        await asyncio.sleep(0.01)
        if call.stage == self.stage:
            raise self.error
        return await self.model.complete(request)


def walked(engine: Fails, path: Path, chosen: Settings, disciplines: list[Discipline]) -> Outcome:
    """A walk as `generate` does it, with the pace of the settings, over that engine."""
    run = Run(path)

    async def main() -> Outcome:
        walk = Walk(run, glan, disciplines)
        hard = Hard(chosen.concurrency, chosen.rpm)
        lm = language_model("fake", engine, Care(2, walk.crew.pause, hard, on_stop=walk.crew.on_stop))
        glan.connect(Models(lm, lm, lm))
        return await walk()

    glan = GLAN(chosen)
    with run.lock():
        begin(run, "generate", chosen, disciplines, glan.digest)
        with bulk(chosen):
            return asyncio.run(main())


def stopping_when(due: Callable[[Shown], bool]) -> Callable[[Shown], Any]:
    """A display that stops the walk, as Ctrl-C does, as soon as that is so."""

    @contextmanager
    def display(walk: Shown) -> Iterator[None]:
        async def watch() -> None:
            while not due(walk):
                await asyncio.sleep(0.01)
            walk.stop()

        watching = asyncio.ensure_future(watch())
        yield
        watching.cancel()

    return display


@pytest.mark.parametrize("adapter", ["compact", "chat", "json"])
def test_one_ctrl_c_sends_nothing_of_what_waits_for_its_pace(tmp_path: Path, adapter: str) -> None:
    chosen = settings(rpm=3, adapter=adapter)
    outcome = generate(Run(tmp_path / "run"), chosen, MANY, stopping_when(lambda walk: walk.tally.calls > 0))
    assert outcome.interrupted and not (outcome.bugs or outcome.reason or outcome.failed)
    assert len(rows(tmp_path / "run", "calls")) == 1


def test_what_was_not_sent_is_done_by_the_next_command(tmp_path: Path) -> None:
    run, few = Run(tmp_path / "run"), settings(num_iterations=1, rpm=3)
    generate(run, few, MANY[:2], stopping_when(lambda walk: walk.tally.calls > 0))
    outcome = generate(run, few.model_copy(update={"rpm": None}), MANY[:2])
    assert outcome.tally.instructions == 20 and not outcome.failed


@pytest.mark.parametrize("error", [
    lm15.AuthError("no such key", status=401),
    lm15.UnsupportedModelError("no such model", status=404),
    lm15.BillingError("nothing left", status=402),
])  # fmt: skip
def test_a_wrong_key_sends_nothing_of_what_waits_for_its_pace(tmp_path: Path, error: Exception) -> None:
    engine = Fails("subjects.list", error)
    outcome = walked(engine, tmp_path / "run", settings(rpm=3), MANY)
    assert str(error).split(" (")[0].splitlines()[0] in outcome.reason
    assert "all failed alike" not in outcome.reason and not outcome.bugs
    assert len(engine.calls) == 1


@pytest.mark.parametrize("limit", [{"rpm": 3}, {"concurrency": 1}])
def test_a_wrong_key_does_not_send_the_other_subject_queries(tmp_path: Path, limit: dict[str, Any]) -> None:
    engine = Fails("subjects.list", lm15.AuthError("no such key", status=401))
    outcome = walked(engine, tmp_path / "run", settings(num_subject_queries=10, **limit), MANY[:1])
    assert "no such key" in outcome.reason and len(engine.calls) == 1
