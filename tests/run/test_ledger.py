"""RUN/reserved.jsonl: what calls in flight may cost, kept through kills, and no longer than it must be."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glan_dspy.run import ledger
from glan_dspy.run.generate import generate
from glan_dspy.run.money import open_budget
from glan_dspy.run.store import Run, write_whole
from glan_dspy.settings import Settings


def test_a_question_that_waits_in_a_batch_is_reserved_once_however_often_its_process_dies(tmp_path: Path) -> None:
    settings = Settings(model_name="sim", max_cost=1.0, price_in=("1",), price_out=("1",))
    run = Run(tmp_path / "run")
    generate(run, Settings(model_name="rehearsal"), [])

    async def reserve(id: str, key: str) -> None:
        with open_budget(run, settings) as budget:
            assert budget is not None
            await budget.reserve(id, 0.4, key)
            assert budget.spent + sum(budget.reserved.values()) == pytest.approx(0.4)

    for process in range(5):
        asyncio.run(reserve(f"call {process}", "answer/x/0"))

    async def alone() -> None:
        with open_budget(run, settings) as budget:
            assert budget is not None and budget.spent == pytest.approx(0.4)
            await budget.reserve("another", 0.4)

    asyncio.run(alone())
    with open_budget(run, settings) as budget:
        assert budget is not None and budget.spent == pytest.approx(0.8)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(2, 9))
@example([0, 2, 3, 0, 4, *[0] * 15, 1], 2)
def test_the_file_of_reservations_holds_what_is_open_and_not_much_more(moves: list[int], longest: int) -> None:
    open_ids: dict[str, None] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "LONGEST", longest)
        file = Path(folder) / "reserved.jsonl"
        book = ledger.Ledger(file, [{"id": "old", "usd": 1.0}], lambda: open_ids)
        for number, move in enumerate(moves):
            if str(move) in open_ids:
                del open_ids[str(move)]
            else:
                open_ids[str(move)] = None
                book.write({"id": str(move), "usd": number})
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            assert {"old", *open_ids} <= {line["id"] for line in lines}
            assert len(lines) <= 1 + 10 + longest
        book.close()


def test_a_file_of_many_open_reservations_is_not_put_together_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "LONGEST", 10)
    written = list[Path]()

    def counted(path: Path, data: bytes) -> None:
        written.append(path)
        write_whole(path, data)

    monkeypatch.setattr(ledger, "write_whole", counted)
    open_ids = dict[str, None]()
    book = ledger.Ledger(tmp_path / "reserved.jsonl", [], lambda: open_ids)
    for number in range(100):
        open_ids[str(number)] = None
        book.write({"id": str(number), "usd": 1.0})
    book.close()
    assert 5 <= len(written) <= 11


def test_what_a_dead_worker_had_in_flight_counts_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LONGEST", 10)
    settings = Settings(model_name="sim", max_cost=20.0, price_in=("1",), price_out=("1",))
    run = Run(tmp_path / "run")
    generate(run, Settings(model_name="rehearsal"), [])

    async def spend() -> None:
        with open_budget(run, settings) as budget:
            assert budget is not None
            await budget.reserve("the dead one's", 5.0)
            budget.lose("the dead one's")
            for number in range(30):  # which has the file put together anew
                await budget.reserve(str(number), 0.1)
                budget.settle(str(number), 0.0)

    asyncio.run(spend())
    calls = [{"id": str(number)} for number in range(30)]
    assert [line["usd"] for line in ledger.standing_in(run.path / "reserved.jsonl", calls)] == [5.0]


def test_a_reply_out_of_a_batch_that_is_read_once_more_leaves_no_reservation_standing(tmp_path: Path) -> None:
    """Noted by the first process, which died; reserved by the second, which found it noted."""
    file = tmp_path / "reserved.jsonl"
    book = ledger.Ledger(file, [])
    for id, item in (("first", "x"), ("second", "x"), ("third", "y")):
        book.write({"id": id, "usd": 0.4, "key": f"answer/{item}/0"})
    book.close()
    noted = {"id": "first", "stage": "answer", "item": "x", "ask": 0, "reply": "chatcmpl-1"}
    assert [line["id"] for line in ledger.standing_in(file, [noted])] == ["third"]


def test_a_line_that_somebody_edited_is_no_end_of_a_call(tmp_path: Path) -> None:
    book = ledger.Ledger(tmp_path / "reserved.jsonl", [])
    book.write({"id": "a", "usd": 0.4})
    book.close()
    assert len(ledger.standing_in(tmp_path / "reserved.jsonl", [{"note": "mine"}, {"reply": 1}, {}])) == 1
