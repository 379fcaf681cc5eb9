"""No socket is opened but to the configured endpoints, no name looked up, no pickle read, no other program started."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.batch_server import BatchServer
from benchmarks.loopback import Loopback
from tests.processes import environment
from tests.serving import hosted

ROOT = Path(__file__).parents[2]


def watched(folder: Path, *ports: int) -> dict[str, str]:
    """The environment in which every Python process is watched."""
    hooks = folder / "hooks"
    hooks.mkdir()
    shutil.copy(Path(__file__).with_name("sitecustomize.py"), hooks)
    own = {"PYTHONPATH": f"{hooks}:{ROOT}", "HF_HOME": str(folder / "nobody"), "WATCHED": str(folder / "watched.jsonl")}
    return {**environment(), **own, "WATCHED_PORTS": ",".join(map(str, ports)), "HF_TOKEN": "", "HOME": str(folder)}


def told(folder: Path) -> list[dict[str, Any]]:
    file = folder / "watched.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


@pytest.mark.long  # and a step of .ci/run
def test_every_command_keeps_to_its_endpoints_and_reads_no_pickle(tmp_path: Path) -> None:
    with hosted(Loopback("rehearsal?wrong_language=0.2")) as host, hosted(BatchServer()) as batches:
        done = subprocess.run(
            [sys.executable, "-m", "tests.security.commands", str(tmp_path), host.base_url, batches.base_url],
            cwd=ROOT,
            env=watched(tmp_path, host.port, batches.port),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert codes.pop("push without a token") == 1
    assert set(codes.values()) == {0}, f"{codes}\n{done.stderr}"
    assert told(tmp_path) == []
