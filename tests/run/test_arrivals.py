"""Answers that come in one turn of the loop: judged together, written together, and each one's end its own."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Message, Response, Usage

from glan_dspy.engines.base import Call
from glan_dspy.gates.line import Answered, AnswerGates, QuestionGates, verdicts
from glan_dspy.gates.verdict import Verdict
from glan_dspy.records import Discipline, Instruction, Question
from glan_dspy.run.arrivals import Arrivals, at_limit
from glan_dspy.run.branch import Branch
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Tally
from glan_dspy.settings import Settings

OPTICS = Discipline(name="Optics")
SETTINGS = Settings()


class Gates(AnswerGates):
    """Lets everything through but "bad"; breaks on "breaks"."""

    def __init__(self) -> None:
        self.judged: list[list[str]] = []

    def judge(self, answered: Sequence[Answered]) -> list[Verdict | None]:
        answers = [one.pair.answer for one in answered]
        self.judged.append(answers)
        if "breaks" in answers:
            raise ZeroDivisionError("a gate's bug")
        return [Verdict("refusal", "") if answer == "bad" else None for answer in answers]


def branch_in(path: Path, name: str = "Optics") -> Branch:
    discipline = Discipline(name=name)
    return Branch(discipline, Run(path).shelf(discipline), Tally(), QuestionGates(SETTINGS))


def come(arrivals: Arrivals, *answers: tuple[Branch, str]) -> list[Any]:
    """What becomes of answers that all come at once."""

    async def one(number: int, branch: Branch, answer: str) -> bool:
        question = Question(id=f"q{number}", question="?", subject="Lenses", level=1)
        pair = Instruction(**question.model_dump(), answer=answer, answer_model="sim")
        return await arrivals.judged(branch, question, pair, Call("answer", question.id))

    async def all_of_them() -> list[Any]:
        jobs = (one(number, *answer) for number, answer in enumerate(answers))
        return await asyncio.gather(*jobs, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_what_comes_together_is_judged_together_and_goes_where_it_belongs(tmp_path: Path) -> None:
    gates, optics, dance = Gates(), branch_in(tmp_path), branch_in(tmp_path, "Dance")
    ends = come(Arrivals(gates, 100), (optics, "one"), (dance, "bad"), (optics, "three"), (dance, "four"))
    assert ends == [True, False, True, True] and gates.judged == [["one", "bad", "three", "four"]]
    assert optics.accepted == {"q0", "q2"} and dance.accepted == {"q3"} and dance.rejected == {"q1": "refusal"}
    assert optics.shelf.ids("instructions") == {"q0", "q2"} and dance.shelf.ids("rejected") == {"q1"}


def test_a_gate_that_breaks_on_one_answer_loses_no_other(tmp_path: Path) -> None:
    optics = branch_in(tmp_path)
    ends = come(Arrivals(Gates(), 100), (optics, "one"), (optics, "breaks"), (optics, "bad"))
    assert [ends[0], ends[2]] == [True, False] and isinstance(ends[1], ZeroDivisionError)
    assert optics.accepted == {"q0"} and optics.rejected == {"q2": "refusal"}


def test_a_full_disk_ends_each_one_s_job_and_counts_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optics, dance = branch_in(tmp_path), branch_in(tmp_path, "Dance")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(optics.shelf, "append", full)
    ends = come(Arrivals(Gates(), 100), (optics, "one"), (dance, "two"), (optics, "bad"))
    assert ends[1] is True and [type(ends[0]), type(ends[2])] == [OSError, OSError]
    assert optics.accepted == set() and optics.rejected == {} and dance.accepted == {"q1"}


def test_who_gives_up_waiting_finds_the_answer_in_its_file(tmp_path: Path) -> None:
    """The second Ctrl-C cancels every job; what was paid for and read is written down before they end."""
    optics, arrivals = branch_in(tmp_path), Arrivals(Gates(), 100)
    question = Question(id="q", question="?", subject="Lenses", level=1)
    pair = Instruction(**question.model_dump(), answer="one", answer_model="sim")

    async def given_up() -> None:
        waiting = asyncio.ensure_future(arrivals.judged(optics, question, pair, Call("answer", "q")))
        asyncio.get_running_loop().call_soon(waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert optics.shelf.ids("instructions") == {"q"}

    asyncio.run(given_up())


@pytest.mark.parametrize(("used", "thoughts", "limit"), [(100, None, True), (99, None, False), (2100, 2001, False),
                                                         (2100, 2000, True), (None, None, False)])  # fmt: skip
def test_thoughts_do_not_use_up_the_room_of_an_answer(used: int | None, thoughts: int | None, limit: bool) -> None:
    usage = Usage(output_tokens=used, reasoning_tokens=thoughts)
    call = Call("answer", "q")
    call.response = Response(id=None, model="m", message=Message.assistant(""), finish_reason="stop", usage=usage)
    assert at_limit(call, 100) is limit


def test_an_answer_that_is_written_down_is_not_asked_for_any_more(tmp_path: Path) -> None:
    """Counted twice, as there and as on its way, it would keep the discipline from its last pairs."""
    optics = branch_in(tmp_path)
    optics.answering = {"q0", "q1", "q2"}
    come(Arrivals(Gates(), 100), (optics, "one"), (optics, "bad"))
    assert optics.answering == {"q2"}


def test_each_item_has_the_verdict_of_the_first_gate_that_it_does_not_pass() -> None:
    asked: list[tuple[str, str]] = []

    def gate(name: str, fallen: str) -> Any:
        def judge(item: str) -> Verdict | None:
            asked.append((name, item))
            return Verdict(name, "") if item in fallen else None

        return judge

    found = verdicts(["a", "b", "c"], [gate("first", "b"), gate("second", "bc")])
    assert [verdict and verdict.reason for verdict in found] == [None, "first", "second"]
    assert asked == [("first", "a"), ("first", "b"), ("first", "c"), ("second", "a"), ("second", "c")]
