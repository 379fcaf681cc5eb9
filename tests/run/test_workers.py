"""Several worker processes on one run: what one process would make, within one budget, through the death of any."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glan_dspy.errors import UserError
from glan_dspy.records import Discipline
from glan_dspy.run.claim import Claim, Fenced
from glan_dspy.run.command import Display
from glan_dspy.run.coordinator import Coordinator
from glan_dspy.run.generate import generate
from glan_dspy.run.status import status
from glan_dspy.run.store import Run, Shelf
from glan_dspy.run.tally import Outcome, Shown
from glan_dspy.run.workers import listen
from glan_dspy.settings import Settings
from tests.loopback_thread import counts, pairs, rows, running, written
from tests.processes import command, environment

DISCIPLINES = [Discipline(name=f"Discipline {n}") for n in range(6)]
NEEDED = 6 * 3 + 2 * 120
"""Calls of those: a list of subjects, two syllabi, and 20 pairs each."""


def settings(**more: object) -> Settings:
    return Settings.model_validate({"model_name": "rehearsal", "language": "English", "workers": 2, **more})


def watching(act: Callable[[Coordinator], bool]) -> Display:
    """A display that calls `act` every hundredth of a second, until it says that it has acted."""

    @contextmanager
    def display(shown: Shown) -> Iterator[None]:
        assert isinstance(shown, Coordinator)

        async def watch() -> None:
            while not act(shown):
                await asyncio.sleep(0.01)

        task = asyncio.ensure_future(watch())
        yield
        task.cancel()

    return display


def process_of(name: str) -> int:
    found = re.search(r"process (\d+)", name)
    assert found
    return int(found[1])


def kill_a_worker_when(some: Callable[[Coordinator], bool]) -> Display:
    def act(coordinator: Coordinator) -> bool:
        busy = [member for member in coordinator.members.values() if member.leases]
        if not (busy and some(coordinator)):
            return False
        os.kill(process_of(busy[0].name), signal.SIGKILL)
        return True

    return watching(act)


def test_workers_make_what_one_process_makes(tmp_path: Path) -> None:
    chosen = settings(model_name="rehearsal?duplicate=0.1&refuse=0.05&bad_json=0.05", num_pairs=120, holdout=3)
    outcomes = [generate(Run(tmp_path / str(n)), chosen.model_copy(update={"workers": n}), DISCIPLINES) for n in (1, 3)]
    assert sorted(pairs(tmp_path / "1")) == sorted(pairs(tmp_path / "3"))
    one, three = (outcome.tally for outcome in outcomes)
    assert one.plain() == three.plain() and three.instructions == 120 and three.disciplines_done == 6
    assert not (outcomes[1].failed or outcomes[1].short or outcomes[1].why)
    assert status(Run(tmp_path / "3"))["complete"]


def test_a_dead_workers_disciplines_go_on_elsewhere_and_only_what_was_in_flight_is_bought_again(tmp_path: Path) -> None:
    with running("rehearsal?latency=0.05") as (base_url, _):
        chosen = settings(model_name="sim", base_url=base_url, question_batch_size=16, answer_batch_size=16)
        display = kill_a_worker_when(lambda coordinator: coordinator.tally.instructions > 30)
        outcome = generate(Run(tmp_path / "run"), chosen, DISCIPLINES, display)
        served = counts(base_url)
    made = pairs(tmp_path / "run")
    assert len(made) == len({id for id, _, _ in made}) == 120 == outcome.tally.instructions
    assert outcome.tally.disciplines_done == 6 and not (outcome.failed or outcome.bugs or outcome.interrupted)
    assert served["distinct"] == NEEDED and served["answered"] - NEEDED <= 32
    assert outcome.tally.found == 0


@pytest.mark.long
def test_one_ctrl_c_ends_all_workers_in_good_order_and_the_next_command_goes_on(tmp_path: Path) -> None:
    def stop(coordinator: Coordinator) -> bool:
        if coordinator.tally.instructions <= 10:
            return False
        coordinator.stop()
        return True

    with running("rehearsal?latency=0.05") as (base_url, _):
        run, chosen = Run(tmp_path / "run"), settings(model_name="sim", base_url=base_url)
        outcome = generate(run, chosen, DISCIPLINES, watching(stop))
        assert outcome.interrupted and not (outcome.bugs or outcome.reason or outcome.failed)
        assert 10 < outcome.tally.instructions == len(pairs(run.path)) < 120
        finished = generate(run, chosen, DISCIPLINES)
        assert finished.tally.instructions == 120 and finished.tally.found == outcome.tally.instructions
        assert counts(base_url)["answered"] == NEEDED  # what was in flight at the end was waited for


def test_what_all_workers_spend_together_stays_within_the_cap(tmp_path: Path) -> None:
    with running("rehearsal?latency=0.01") as (base_url, server):
        chosen = settings(model_name="sim", base_url=base_url, max_cost=2.0, price_in=("100",), price_out=("400",),
                          answer_max_tokens=600, curriculum_max_tokens=800, workers=2)  # fmt: skip
        outcome = generate(Run(tmp_path / "run"), chosen, DISCIPLINES)
        spent = (server.prompt_tokens * 100 + server.completion_tokens * 400) / 1_000_000
    assert outcome.budget and outcome.needs > 2.0 and not outcome.reason
    assert 1.0 < spent <= 2.0
    assert status(Run(tmp_path / "run"))["cost_usd"] == pytest.approx(spent, rel=1e-6)


@pytest.mark.long
def test_what_the_user_must_mend_ends_all_workers_with_its_reason(tmp_path: Path) -> None:
    with running() as (base_url, _):
        chosen = settings(model_name="sim", base_url=base_url.replace("/v1", "/nowhere"))
        outcome = generate(Run(tmp_path / "run"), chosen, DISCIPLINES)
    assert "404" in outcome.reason and not outcome.bugs


def test_workers_that_cannot_start_end_the_command_with_their_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 5\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    outcome = generate(Run(tmp_path / "run"), settings(), DISCIPLINES)
    assert outcome.reason == "worker ended with code 5: no such library"


def test_a_worker_that_is_killed_before_it_had_anything_to_do_is_replaced_twice_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = tmp_path / "python"
    shot.write_text(
        f"#!/bin/sh\necho again >> {tmp_path}/begun\necho too much memory >&2\nkill -9 $$\n", encoding="utf-8"
    )
    shot.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(shot))
    outcome = generate(Run(tmp_path / "run"), settings(workers=2), DISCIPLINES)
    assert outcome.reason == "worker was ended by SIGKILL: too much memory"
    assert 3 <= (tmp_path / "begun").read_text(encoding="utf-8").count("again") <= 6


@pytest.mark.long
def test_a_coordinator_that_is_killed_takes_its_workers_with_it_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with running("rehearsal?latency=0.05") as (base_url, _):
        words = ["generate", "-o", "run", "--base-url", base_url, "--model-name", "sim", "--language", "English",
                 "--workers", "2"]  # fmt: skip
        for discipline in DISCIPLINES:
            words += ["--discipline", discipline.name]
        with subprocess.Popen(command(*words), cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL) as process:
            try:
                while process.poll() is None and written(tmp_path / "run", "instructions") < 20:
                    time.sleep(0.02)
                assert process.poll() is None, "it was done before it could be killed"
            finally:
                process.kill()
        done = subprocess.run(command(*words), cwd=tmp_path, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        served = counts(base_url)
    made = pairs(tmp_path / "run")
    assert len(made) == len({id for id, _, _ in made}) == 120
    assert served["distinct"] == NEEDED and served["answered"] - NEEDED <= 10


def test_whatever_a_worker_prints_is_read(tmp_path: Path) -> None:
    """A pipe that nobody reads would hold the worker up, and the command with it."""
    printed = r"'one\n' + 'é' * 300_000 + '\nthree\nno end'"

    async def main() -> list[str]:
        code = f"import sys; sys.stderr.buffer.write(({printed}).encode()); sys.stderr.flush()"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=-1)
        assert process.stderr
        words = deque[str](maxlen=3)
        await listen(process.stderr, words)
        assert await process.wait() == 0
        return list(words)

    words = asyncio.run(main())
    assert words[1:] == ["three", "no end"] and words[0].startswith("éé") and len(words[0]) <= 2_000


def test_batches_need_no_workers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--workers 2 with --batch"):
        generate(Run(tmp_path / "run"), settings(batch=True, model_name="gpt-4o-mini"), DISCIPLINES)
    assert not (tmp_path / "run").exists()


# --- claims -----------------------------------------------------------------------------------------


def test_only_one_process_at_a_time_claims_a_folder(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    with pytest.raises(Fenced, match="being written by another process"):
        Claim(tmp_path, patience=0.05)
    claim.release()
    Claim(tmp_path, patience=0.05).release()


def test_a_late_writer_is_fenced_off_and_writes_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "optics")
    shelf.claim()
    shelf.append("questions", {"id": "1"})
    (shelf.path / ".writer").write_bytes(b"another's token!")  # as where a file system knows no locks
    with pytest.raises(Fenced, match="taken over"):
        shelf.append("questions", {"id": "2"})
    assert rows(tmp_path, "questions") == [] and (shelf.path / "questions.jsonl").read_bytes() == b'{"id":"1"}\n'
    shelf.close()


def test_a_walk_that_is_fenced_off_leaves_its_discipline_and_does_the_others(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")

    @contextmanager
    def display(shown: Shown) -> Iterator[None]:
        async def take_over() -> None:
            while not (files := list(run.path.glob("disciplines/discipline-0*/questions.jsonl"))):
                await asyncio.sleep(0.005)
            (files[0].parent / ".writer").write_bytes(b"another's token!")

        task = asyncio.ensure_future(take_over())
        yield
        task.cancel()

    chosen = settings(workers=1, model_name="rehearsal?latency=0.02")
    outcome: Outcome = generate(run, chosen, DISCIPLINES[:2], display)
    assert outcome.failed == ["Discipline 0"] and "taken over" in outcome.why and not outcome.bugs
    assert outcome.tally.disciplines_done == 1
