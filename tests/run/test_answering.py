"""`glan answer` on many questions: memory holds those whose turn it is."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glan_dspy.records import Question
from glan_dspy.run.generate import answer
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Shown
from glan_dspy.settings import Settings
from tests.loopback_thread import rows

MANY = 3000


def questions() -> Iterator[Question]:
    for n in range(MANY):
        yield Question(id=f"{n:020}", question=f"What is {n} + {n}?", subject="Sums", level=100, discipline="Maths")


def test_the_questions_of_a_file_are_let_go_of_while_their_answers_are_made(tmp_path: Path) -> None:
    held: list[int] = []

    @contextmanager
    def display(walk: Shown) -> Iterator[None]:
        async def watch() -> None:
            while walk.tally.instructions < 100:
                await asyncio.sleep(0)
            held.append(sum(isinstance(thing, Question) for thing in gc.get_objects()))
            walk.stop()

        watching = asyncio.ensure_future(watch())
        yield
        watching.cancel()

    run, chosen = Run(tmp_path / "run"), Settings(model_name="rehearsal", language="English")
    answer(run, chosen, questions(), display)
    assert 0 < held[0] < 300
    assert len(rows(run.path, "questions")) == MANY


def test_all_questions_of_a_file_get_their_answers_over_two_commands(tmp_path: Path) -> None:
    run, chosen = Run(tmp_path / "run"), Settings(model_name="rehearsal", language="English")
    some = list(questions())[:60]
    answer(run, chosen, some[:40])
    answer(run, chosen, iter(some))
    assert sorted(row["id"] for row in rows(run.path, "instructions")) == [question.id for question in some]
