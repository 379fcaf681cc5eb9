"""The loopback server on a thread of its own, and the `glan` command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.loopback import Bucket, Loopback
from tests.serving import hosted


@contextmanager
def running(model: str = "rehearsal", bucket: Bucket | None = None) -> Iterator[tuple[str, Loopback]]:
    """(base URL, the server's state) while the context lasts."""
    with serving(loopback := Loopback(model, bucket)) as address:
        yield address, loopback


@contextmanager
def serving(loopback: Loopback) -> Iterator[str]:
    """The base URL of a server while the context lasts."""
    with hosted(loopback) as host:
        yield host.base_url


def counts(base_url: str) -> dict[str, int]:
    with urllib.request.urlopen(base_url.replace("/v1", "/counts")) as reply:
        found: dict[str, int] = json.load(reply)
    return found


def command(*words: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", f"{before}\nfrom glan_dspy.cli import main; main()", *words]


def glan(*words: str, cwd: Path, check: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `glan WORDS` to its end; `check` is the exit code that it must have (None: any)."""
    done = subprocess.run(
        command(*words), cwd=cwd, env=environment(**env), capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    assert check is None or done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def start(*words: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*words),
        cwd=cwd,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def environment(**more: str) -> dict[str, str]:
    root = str(Path(__file__).parents[1])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GLAN_", "OPENAI_", "AZURE_OPENAI_"))}
    return {**kept, "PYTHONPATH": root, "PYTHONUTF8": "1", **more}


def pairs(run: Path) -> list[tuple[str, str, str]]:
    """(id, question, answer) of every line of every instructions.jsonl, doubles included."""
    return [(row["id"], row["question"], row["answer"]) for row in rows(run, "instructions")]


def rows(run: Path, name: str) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(run.glob(f"disciplines/*/{name}.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
