"""Keys are in no file, log, traceback or line of `ps`, whatever goes wrong and whatever the server says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.procs import processes
from tests.processes import Command, Forking, Spawning, until
from tests.security.echo import OTHERS, STATUSES, Echo
from tests.serving import hosted

KEY, ANSWER_KEY, HEADER = "sk-proj-KEYKEYKEYKEYKEY0123456789", "other-KEYKEYKEYKEY-9876543210", "team-KEYKEYKEY-555"
SECRETS = (KEY, ANSWER_KEY, HEADER)
ENVIRONMENT = {
    "OPENAI_API_KEY": KEY,
    "MY_ANSWER_KEY": ANSWER_KEY,
    "GLAN_EXTRA_HEADER": json.dumps([f"X-Team: Bearer {HEADER}"]),
}


SHORT = ("401", "500", "html", "in a model's words", "half a body", "redirect")
LONG = sorted({*STATUSES, *OTHERS} - {*SHORT})

ENDS = {"401": 1, "402": 1, "403": 1, "404": 1, "redirect": 1, "in a model's words": 0}
"""Exit codes; of the others 3, since what fails like that may heal."""


def words(base_url: str, *more: str) -> list[str]:
    return ["generate", "-o", "run", "--base-url", base_url, "--model-name", "m", "--language", "English",
            "--answer-api-key-env", "MY_ANSWER_KEY", "--max-attempts", "2", "--num-iterations", "1",
            "--discipline", "Optics", "--discipline", "Law", *more]  # fmt: skip


def leaks(folder: Path) -> list[str]:
    """Where a key, or a good part of one, can be read: files of the run, what was said, every process's words."""
    found = [str(path) for path in folder.rglob("*") if path.is_file() and any_in(path.read_bytes())]
    return found + [f"process {id}: {shown}" for id, shown in processes() if any_in(shown.encode())]


def any_in(data: bytes) -> bool:
    return b"KEYKEY" in data


def check(folder: Path, command: Command) -> None:
    assert leaks(folder) == [] and not any_in(command.said.encode()), command.said
    assert "Traceback" not in command.said, command.said


@pytest.mark.parametrize("kind", [*SHORT, *(pytest.param(kind, marks=pytest.mark.long) for kind in LONG)])
def test_what_a_server_repeats_of_a_request_is_nowhere(glan: Forking, tmp_path: Path, kind: str) -> None:
    with hosted(Echo(kind)) as host:
        command = glan.start(tmp_path, *words(host.base_url), env=ENVIRONMENT)
        assert command.wait() == ENDS.get(kind, 3), command.said
    check(tmp_path, command)


@pytest.mark.parametrize("kind", ["500", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("401", "redirect"))])
def test_nor_what_is_repeated_in_the_middle_of_a_run(glan: Forking, tmp_path: Path, kind: str) -> None:
    with hosted(Echo(kind, after=12)) as host:
        command = glan.start(tmp_path, *words(host.base_url), env=ENVIRONMENT)
        command.wait()
        check(tmp_path, command)
        doctor = glan.start(tmp_path, "doctor", "-o", "run", env=ENVIRONMENT)
        doctor.wait()
        check(tmp_path, doctor)


def test_nor_what_the_batch_endpoint_says(glan: Forking, tmp_path: Path) -> None:
    with hosted(Echo("400")) as host:
        command = glan.start(tmp_path, *words(host.base_url, "--batch"), env=ENVIRONMENT)
        assert command.wait() in (1, 3), command.said
    check(tmp_path, command)


@pytest.mark.long  # and a step of .ci/run
def test_workers_have_no_key_in_their_command_lines_nor_has_the_command_that_was_given_one(tmp_path: Path) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "GLAN_EXTRA_HEADER"}
    with hosted(Echo("500", after=12)) as host:
        header = ["--extra-header", f"X-Team: Bearer {HEADER}"]
        command = Spawning().start(tmp_path, *words(host.base_url, "--workers", "2", *header), env=environment)
        until(lambda: (tmp_path / "run" / "logfile.log").exists() or not command.running)
        while command.running:
            assert leaks(tmp_path) == []
        assert command.wait() in (1, 3), command.said
        assert (tmp_path / "run" / "disciplines").exists(), command.said
    check(tmp_path, command)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENAI_BASE_URL", f"http://me:{KEY}@127.0.0.1:9/v1"),
        ("OPENAI_BASE_URL", f"http://127.0.0.1:9/v1?key={KEY}"),
        ("AZURE_OPENAI_ENDPOINT", f"https://me:{KEY}@127.0.0.1:9"),
        ("GLAN_BASE_URL", f"http://me:{KEY}@127.0.0.1:9/v1"),
        ("GLAN_EXTRA_HEADER", f'["X: {KEY}'),
        ("GLAN_EXTRA_HEADER", f'["{KEY}"]'),
        ("GLAN_EXTRA_HEADER", f'["X: {KEY}\\n"]'),
        ("OPENAI_API_KEY", f"{KEY}\r"),
        ("OPENAI_API_KEY", f"{KEY}…"),
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(
    glan: Forking, tmp_path: Path, variable: str, value: str
) -> None:
    env = {"OPENAI_API_KEY": "x", "AZURE_OPENAI_API_KEY": "x", variable: value}
    base = [] if variable.endswith(("BASE_URL", "ENDPOINT")) else ["--base-url", "http://127.0.0.1:9/v1"]
    command = glan.start(tmp_path, "generate", "-o", "run", "--model-name", "m", "--discipline", "A", *base, env=env)
    assert command.wait() == 1, command.said
    assert len(command.said.splitlines()) == 1
    check(tmp_path, command)


def test_a_bugs_traceback_shows_no_key(glan: Forking, tmp_path: Path) -> None:
    before = """
import aiohttp, os
def broken(*args, **more):
    raise RuntimeError(f"sent {os.environ['OPENAI_API_KEY']} and {more}")
aiohttp.ClientSession.post = broken
"""
    command = glan.start(tmp_path, *words("http://127.0.0.1:9/v1"), before=before, env=ENVIRONMENT)
    assert command.wait() == 70 and "RuntimeError: sent [key] and" in command.said
    assert leaks(tmp_path) == []
