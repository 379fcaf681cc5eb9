"""Whole runs through the Batch API, killed where it hurts most; the server counts what was bought."""

from __future__ import annotations

import errno
import json
import signal
from pathlib import Path
from typing import Any, get_args

import pytest

from benchmarks.batch_server import BatchServer, Faults, Point
from glan_dspy.engines import batch_desk
from glan_dspy.engines.batch_desk import Pace
from glan_dspy.gates.line import QuestionGates
from glan_dspy.records import Discipline, Instruction, Rejected
from glan_dspy.run.branch import Branch
from glan_dspy.run.generate import generate
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Tally
from glan_dspy.settings import Settings
from tests.batch_thread import running
from tests.loopback_thread import pairs, rows
from tests.loopback_thread import running as running_without_batches
from tests.processes import Command, Forking, ended, until

PAIRS, CALLS = 20, 3 + 2 * 20
"""What a discipline has of each."""


PRICES: dict[str, Any] = {"price_in": ("10",), "price_out": ("40",)}


def words(base_url: str, disciplines: int = 3) -> list[str]:
    names = [word for number in range(disciplines) for word in ("--discipline", f"Discipline {number}")]
    return ["generate", "-o", "run", "--batch", "--base-url", base_url, "--model-name", "sim", *names]


def check_whole(folder: Path, server: BatchServer, disciplines: int = 3) -> None:
    made = pairs(folder / "run")
    assert len(made) == len({id for id, _, _ in made}) == disciplines * PAIRS
    assert len(rows(folder / "run", "questions")) == disciplines * PAIRS
    assert max(server.bought.values()) == 1, "something was bought twice"
    assert len(server.bought) == disciplines * CALLS


def journal(folder: Path) -> list[dict[str, Any]]:
    file = folder / "run" / "batch.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def test_a_run_goes_through_one_batch_a_generation_and_leaves_no_replies_behind(glan: Forking, tmp_path: Path) -> None:
    with running(faults=Faults(delay=0.1)) as (base_url, server):
        ended(glan, tmp_path, *words(base_url, 6))
        check_whole(tmp_path, server, 6)
        assert len(server.batches) < 12  # four generations; a slow machine may split some
        lines = journal(tmp_path)
        assert sum(line["event"] == "done" for line in lines) == len(server.batches)
        assert list((tmp_path / "run" / "batch").iterdir()) == []
        calls = rows(tmp_path / "run", "calls")
        assert len(calls) == 6 * CALLS and all(call["finish_reason"] == "stop" for call in calls)
        # A second command has nothing to ask, and sends nothing.
        ended(glan, tmp_path, "generate", "-o", "run", "--base-url", base_url)
        assert sum(server.bought.values()) == 6 * CALLS


POINTS: list[tuple[Point, int]] = [("create", 2), ("content", 3)]
MORE = [(point, nth) for point in get_args(Point) for nth in (1, 2, 3, 4) if (point, nth) not in POINTS]


@pytest.mark.parametrize(("point", "nth"), [*POINTS, *(pytest.param(*more, marks=pytest.mark.long) for more in MORE)])
def test_a_kill_buys_nothing_twice(glan: Forking, tmp_path: Path, point: Point, nth: int) -> None:
    """Before the upload, after it, after the creation that was never heard of, while waiting, while downloading."""
    with running(faults=Faults(delay=0.05)) as (base_url, server):
        for _ in range(nth - 1):
            passed = server.hold(point)
            passed.go_on.set()
        hold = server.hold(point)
        process = glan.start(tmp_path, *words(base_url))
        until(hold.reached.is_set)
        assert process.kill() == -signal.SIGKILL
        hold.go_on.set()
        ended(glan, tmp_path, "generate", "-o", "run")
        check_whole(tmp_path, server)


def test_a_reply_that_is_noted_and_not_written_down_is_noted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves between a call's line and its record; here the disk is full for the one and not the other."""
    run, accept = Run(tmp_path / "run"), Branch.accept

    def full(branch: Branch, *made: Instruction) -> None:
        if branch.discipline.name != "Discipline 0":
            raise OSError(errno.ENOSPC, "No space left on device")
        accept(branch, *made)

    with running(faults=Faults(delay=0.05)) as (base_url, server):
        settings = Settings(model_name="sim", base_url=base_url, batch=True, max_cost=99, **PRICES)
        disciplines = [Discipline(name=f"Discipline {number}") for number in range(3)]
        monkeypatch.setattr(batch_desk, "PACE", Pace(settle=0.1, first_look=0.05, longest_look=0.1))
        with monkeypatch.context() as broken:
            broken.setattr(Branch, "accept", full)
            assert "No space left" in generate(run, settings, disciplines).reason
        noted = len(rows(run.path, "calls"))
        assert noted > len(pairs(run.path)) + len(rows(run.path, "questions")) + 3 * 3
        assert not generate(run, settings, disciplines).reason
        check_whole(tmp_path, server)
    calls = rows(run.path, "calls")
    assert len(calls) == 3 * CALLS
    assert {pair["answer_call"] for pair in rows(run.path, "instructions")} <= {call["id"] for call in calls}


def test_what_is_noted_of_an_item_that_is_asked_again_is_known(tmp_path: Path) -> None:
    """A repair that was killed: its item counts as rejected until the reply is written down."""
    optics = Discipline(name="Optics")
    shelf = Run(tmp_path / "run").shelf(optics)
    shelf.append("rejected", Rejected(id="q1", stage="answer", reason="truncated"))
    call = {"stage": "answer.write", "ask": 3, "model": "sim", "reply": "chatcmpl-1", "id": "1"}
    shelf.append("calls", {**call, "item": "q1"}, {**call, "item": "q2"})
    shelf.append(
        "instructions", Instruction(id="q2", question="?", subject="", level=1, answer="!", answer_model="sim")
    )
    branch = Branch(optics, shelf, Tally(), QuestionGates(Settings()), lasting=True)
    branch.load()
    assert branch.noted.keys() == {"answer.write/q1/3"}


@pytest.mark.long
def test_kills_while_replies_are_being_written_lose_and_buy_nothing(glan: Forking, tmp_path: Path) -> None:
    dealt = 0
    with running() as (base_url, server):
        for goal in (1, 20, 40):
            process = glan.start(tmp_path, *words(base_url))
            until_written(tmp_path, goal, process)
            dealt += process.kill() == -signal.SIGKILL
        ended(glan, tmp_path, *words(base_url))
        check_whole(tmp_path, server)
    assert dealt >= 1


def until_written(folder: Path, goal: int, process: Command) -> None:
    """Until there are so many pairs, or the process has ended before it could be killed."""

    def written() -> bool:
        files = (folder / "run").glob("disciplines/*/instructions.jsonl")
        return sum(file.read_bytes().count(b"\n") for file in files) >= goal or not process.running

    until(written)


def test_ctrl_c_ends_at_once_and_the_next_command_takes_the_batch_on(glan: Forking, tmp_path: Path) -> None:
    with running() as (base_url, server):
        look = server.hold("look")
        process = glan.start(tmp_path, *words(base_url))
        until(look.reached.is_set)
        server.faults.delay = 0.0
        assert process.kill(signal.SIGINT) == 3
        look.go_on.set()
        assert "go on with: glan generate -o run" in process.last_line
        assert len(server.batches) == 1
        ended(glan, tmp_path, "generate", "-o", "run")
        check_whole(tmp_path, server)


def test_kills_do_not_use_up_the_cap(glan: Forking, tmp_path: Path) -> None:
    """What stands in a batch is asked for again and reserved once; a new reservation each time would pass the cap."""
    money = ["--max-cost", "40", "--price-in", "100", "--price-out", "400"]
    with running() as (base_url, server):
        for _ in range(4):
            look = server.hold("look")
            process = glan.start(tmp_path, *words(base_url), *money)
            until(look.reached.is_set)
            process.kill()
            look.go_on.set()
        ended(glan, tmp_path, *words(base_url), *money)
        check_whole(tmp_path, server)


def test_lines_that_fail_or_are_missing_and_expired_batches_heal(glan: Forking, tmp_path: Path) -> None:
    faults = Faults(line_errors=0.1, lost_lines=0.1, expire_after=[2, 1, 0, 3, 0, 20], half_files=2, lost_answers=1)
    with running(faults=faults, page=2) as (base_url, server):
        ended(glan, tmp_path, *words(base_url))
        check_whole(tmp_path, server)
        assert server.custom_ids.total() > 3 * CALLS


def test_a_refused_batch_ends_the_run_with_what_the_endpoint_said(glan: Forking, tmp_path: Path) -> None:
    with running(faults=Faults(refuse=["The batch's model does not exist"])) as (base_url, server):
        said = ended(glan, tmp_path, *words(base_url, 6), check=1).said
        assert "The batch's model does not exist" in said and "Traceback" not in said
        ended(glan, tmp_path, "generate", "-o", "run")
        check_whole(tmp_path, server, 6)


def test_a_server_without_batches_is_named_and_the_run_goes_on_without_them(glan: Forking, tmp_path: Path) -> None:
    with running_without_batches() as (base_url, _):
        refused = ended(glan, tmp_path, *words(base_url, 1), check=1)
        assert f"{base_url} has no /files and /batches" in refused.stderr
        assert "--no-batch" in refused.stderr
        ended(glan, tmp_path, "generate", "-o", "run", "--no-batch")
    assert len(pairs(tmp_path / "run")) == PAIRS


def test_a_taxonomy_comes_through_a_batch_too(glan: Forking, tmp_path: Path) -> None:
    with running() as (base_url, server):
        ask = ["generate", "-o", "run", "--batch", "--base-url", base_url, "--model-name", "sim"]
        ended(glan, tmp_path, *ask, "--generate-disciplines", check=3)
        assert (tmp_path / "run" / "disciplines.txt").exists() and len(server.batches) == 1
        assert journal(tmp_path)[-1]["event"] == "done"


def test_the_simulated_model_has_no_batches(glan: Forking, tmp_path: Path) -> None:
    said = ended(glan, tmp_path, "generate", "--batch", "--model-name", "rehearsal", "--discipline", "A", check=1).said
    assert "--batch" in said and len(said.splitlines()) == 1 and not (tmp_path / "runs").exists()
