"""A run in a Ray cluster: what one process would make, through the loss of workers, nodes and the command itself.

Ray takes its time to begin, so that the default suite begins it once; `-m long` has the rest.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glan_dspy.cli.main import run as glan_run
from glan_dspy.errors import UserError
from glan_dspy.layers import validated
from glan_dspy.records import Discipline
from glan_dspy.run.cluster_session import require_answer
from glan_dspy.run.generate import generate
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings, SettingsError
from tests.loopback_thread import counts, pairs, running, written
from tests.processes import command, environment, glan
from tests.ray_cluster import LOOPBACK, Nodes, ray_cluster

DISCIPLINES = [Discipline(name=f"Discipline {n}") for n in range(8)]


def settings(**more: object) -> Settings:
    return Settings.model_validate({"model_name": "rehearsal", "language": "English", "workers": 2, **more})


def log_of(folder: Path) -> str:
    return (folder / "run" / "logfile.log").read_text(encoding="utf-8")


def below(pid: int) -> Iterator[int]:
    """The processes that a process began, and those that these began."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            yield int(child)
            yield from below(int(child))


def named(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ").strip()


def workers_of(pid: int) -> list[int]:
    return [child for child in below(pid) if named(child) == "ray::glan worker"]


def until(happened: Callable[[], bool], process: subprocess.Popen[str] | None = None, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end and (process is None or process.poll() is None), "it did not happen"
        time.sleep(0.05)


def words_for(base_url: str, ray: str, disciplines: int) -> list[str]:
    words = ["generate", "-o", "run", "--base-url", base_url, "--model-name", "sim", "--language", "English",
             "--ray", ray, "--workers", "2", "--question-batch-size", "16", "--answer-batch-size", "16",
             "--concurrency", "40"]  # fmt: skip
    for number in range(disciplines):
        words += ["--discipline", f"Discipline {number}"]
    return words


@contextmanager
def begun(folder: Path, words: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command(*words), cwd=folder, env=environment(**LOOPBACK), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """How it ended: its exit code, and what it said."""
    out, told = process.communicate(timeout=1_200)
    return process.returncode, out, told


def check(folder: Path, base_url: str, disciplines: int) -> int:
    """That the run has each of its pairs once, and at most what was in flight was bought again: how much it was."""
    made, served, expected = pairs(folder / "run"), counts(base_url), 20 * disciplines
    assert len(made) == len({id for id, _, _ in made}) == expected
    needed = disciplines * 3 + 2 * expected
    assert served["distinct"] == needed and 0 <= served["answered"] - needed <= 40
    return served["answered"] - needed


@pytest.mark.long  # and a step of .ci/run
def test_two_workers_in_a_ray_of_their_own_make_what_one_process_makes_though_one_of_them_is_killed(
    tmp_path: Path,
) -> None:
    before = set(Path("/tmp").glob("glan-ray-*"))
    with running("rehearsal?latency=0.05") as (base_url, _):
        words = [*words_for(base_url, "local", 8), "--max-cost", "50", "--price-in", "1", "--price-out", "4"]
        with begun(tmp_path, words) as process:
            until(lambda: written(tmp_path / "run", "instructions") > 40, process)
            os.kill(workers_of(process.pid)[0], signal.SIGKILL)
            code, out, told = ended(process)
        assert (code, out) == (0, "run: 160 instructions\n"), told
        check(tmp_path, base_url, 8)
        glan(*words, "-o", "one", "--ray", "off", "--workers", "1", cwd=tmp_path)
    assert sorted(pairs(tmp_path / "run")) == sorted(pairs(tmp_path / "one"))
    assert status(Run(tmp_path / "run"))["complete"]
    assert " was lost (WorkerCrashedError); its files are whole up to there" in log_of(tmp_path)
    assert set(Path("/tmp").glob("glan-ray-*")) == before and not (tmp_path / "run" / ".cluster").exists()


# --- what the user must mend --------------------------------------------------------------------------


def test_without_the_extra_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.chdir(tmp_path)
    words = ["generate", "--model-name", "rehearsal", "--language", "English", "--discipline", "Optics"]
    assert glan_run([*words, "--ray", "local"]) == 1
    assert "pip install 'glan-dspy[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert glan_run([*words, "--ray", "off"]) == 0


def test_an_address_where_nothing_listens_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["generate", "--model-name", "rehearsal", "--language", "English", "--discipline", "Optics"]
    assert glan_run([*words, "-o", str(tmp_path / "run"), "--ray", address]) == 1
    told = capsys.readouterr().err
    assert f"--ray {address}: no Ray cluster there (Connection refused)" in told and told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_what_is_not_ray_and_what_is_silent_are_told_from_a_cluster() -> None:
    with running() as (base_url, _), pytest.raises(UserError, match="what answers is not Ray"):
        require_answer(base_url.split("/")[2])
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UserError, match="no answer within"):
        require_answer(f"127.0.0.1:{silent.getsockname()[1]}", seconds=0.2)


def test_batches_need_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--ray auto with --batch"):
        generate(Run(tmp_path / "run"), settings(ray="auto", batch=True), DISCIPLINES)


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "10.0.0.1", "key@host:6379", "host:port", ""])
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    with pytest.raises(SettingsError, match=r"is HOST:PORT, auto, local or off"):
        validated({"ray": address})


# --- a cluster of two nodes ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_cluster(2, 2) as cluster:
        yield cluster


@pytest.mark.long
def test_a_node_is_lost_in_the_middle_of_three_thousand_pairs(tmp_path: Path, nodes: Nodes) -> None:
    with running("rehearsal?latency=0.05") as (base_url, _):
        with begun(tmp_path, words_for(base_url, nodes.address, 150)) as process:
            until(lambda: written(tmp_path / "run", "instructions") > 1_000, process)
            nodes.tell("kill")
            code, _, told = ended(process)
        nodes.tell("add")
        assert code == 0 and "was lost with its machine" in log_of(tmp_path), told
        print(f"\n3,000 pairs, a node lost: {check(tmp_path, base_url, 150)} calls more than needed")


@pytest.mark.long
def test_ctrl_c_ends_the_workers_in_good_order_and_a_killed_command_takes_them_with_it(
    tmp_path: Path, nodes: Nodes
) -> None:
    with running("rehearsal?latency=0.05") as (base_url, _):
        with begun(tmp_path, words_for(base_url, nodes.address, 30)) as process:
            until(lambda: written(tmp_path / "run", "instructions") > 50, process)
            process.send_signal(signal.SIGINT)
            code, _, told = ended(process)
        assert code == 3 and told.splitlines()[-1] == "glan: stopped; go on with: glan generate -o run"
        served = counts(base_url)
        assert served["answered"] == served["distinct"]  # what was in flight was waited for

        with begun(tmp_path, ["generate", "-o", "run"]) as process:
            until(lambda: written(tmp_path / "run", "instructions") > 200, process)
        time.sleep(2)
        so_far = written(tmp_path / "run", "calls")
        time.sleep(5)
        assert written(tmp_path / "run", "calls") == so_far

        with begun(tmp_path, ["generate", "-o", "run"]) as process:
            assert ended(process)[0] == 0
        check(tmp_path, base_url, 30)


@pytest.mark.long
def test_a_lost_coordinator_ends_the_command_and_the_next_one_goes_on(tmp_path: Path, nodes: Nodes) -> None:
    with running("rehearsal?latency=0.05") as (base_url, _):
        with begun(tmp_path, words_for(base_url, nodes.address, 20)) as process:
            until(lambda: written(tmp_path / "run", "instructions") > 50, process)
            os.kill(next(pid for pid in below(nodes.pid) if named(pid).startswith("ray::Office")), signal.SIGKILL)
            code, _, told = ended(process)
        assert code == 3 and told.splitlines()[-1] == (
            "glan: not finished: what was in hand; the run's coordinator was lost (ActorDiedError). "
            "Try again with: glan generate -o run"
        )
        with begun(tmp_path, ["generate", "-o", "run"]) as process:
            assert ended(process)[0] == 0
        check(tmp_path, base_url, 20)


@pytest.mark.long
def test_workers_that_lack_the_key_say_so_and_it_is_written_nowhere(tmp_path: Path, nodes: Nodes) -> None:
    words = ["generate", "-o", "run", "--language", "English", "--discipline", "Optics", "--ray", nodes.address,
             "--model-name", "gpt-4o-mini"]  # fmt: skip
    done = glan(*words, cwd=tmp_path, check=1, **{"OPENAI_API_KEY": "not-a-key", **LOOPBACK})
    last = done.stderr.splitlines()[-1]
    assert f"{socket.gethostname()}: model 'gpt-4o-mini' needs a key: set OPENAI_API_KEY" in last
    files = [path.read_text(errors="replace") for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert "not-a-key" not in done.stderr + "".join(files)
