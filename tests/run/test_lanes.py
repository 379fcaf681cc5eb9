"""The stages keep one another busy, by a clock of the test's own and a model that takes its time for each token."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request, Response

from glan_dspy.connect import Models, language_model
from glan_dspy.engines.base import CALL
from glan_dspy.engines.rehearsal import RehearsalEngine
from glan_dspy.program import GLAN
from glan_dspy.records import Discipline
from glan_dspy.run.begin import begin
from glan_dspy.run.command import bulk
from glan_dspy.run.store import Run
from glan_dspy.run.walk import Walk
from glan_dspy.settings import Settings
from tests.clock import simulate


class FiftyTokensASecond:
    """The simulated model at a real one's speed; notes how many questions were in flight, and for how long."""

    def __init__(self) -> None:
        self.model, self.questions, self.changed = RehearsalEngine(), 0, 0.0
        self.spans: list[tuple[int, float]] = []

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        assert call is not None
        response = await self.model.complete(request)
        is_question = call.stage == "question.write"
        self._count(is_question)
        await asyncio.sleep((response.usage.output_tokens or 0) / 50)
        self._count(-is_question)
        return response

    def _count(self, change: int) -> None:
        now = asyncio.get_running_loop().time()
        self.spans.append((self.questions, now - self.changed))
        self.questions, self.changed = self.questions + change, now

    def full(self, lane: int) -> float:
        """The share of the time with so many in flight, from the first moment of it to the last."""
        places = [place for place, (questions, _) in enumerate(self.spans) if questions == lane]
        within = self.spans[places[0] : places[-1] + 1]
        return sum(seconds for questions, seconds in within if questions == lane) / sum(s for _, s in within)


@pytest.mark.parametrize(
    "wide",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"max_number_of_session_name": 30},
        pytest.param({"max_number_of_session_name": 30, "draft_first": True}, marks=pytest.mark.long),
        {"max_number_of_session_name": 30, "max_number_of_subjects": 8, "num_questions_per_iteration": 40},
    ],
)
def test_the_question_lane_is_full_however_long_the_syllabi_are(tmp_path: Path, wide: dict[str, Any]) -> None:
    chosen = Settings(model_name="rehearsal", language="English", generate_question_only=True,
                      question_batch_size=32, concurrency=128, **wide)  # fmt: skip
    pairs = chosen.max_number_of_subjects * chosen.samples_per_syllabus
    disciplines = [Discipline(name=f"Discipline {n}") for n in range(-(-1200 // pairs))]
    engine = FiftyTokensASecond()
    lm = language_model("fake", engine)
    glan, run = GLAN(chosen).connect(Models(lm, lm, lm)), Run(tmp_path / "run")

    async def main() -> None:
        await Walk(run, glan, disciplines)()

    with run.lock():
        begin(run, "generate", chosen, disciplines, glan.digest)
        with bulk(chosen):
            simulate(main)
    assert engine.full(32) >= 0.9
