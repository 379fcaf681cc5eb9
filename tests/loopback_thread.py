"""The loopback server on a thread of its own, and what a run made of what it said."""

from __future__ import annotations

import json
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


def pairs(run: Path) -> list[tuple[str, str, str]]:
    """(id, question, answer) of every line of every instructions.jsonl, doubles included."""
    return [(row["id"], row["question"], row["answer"]) for row in rows(run, "instructions")]


def rows(run: Path, name: str) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(run.glob(f"disciplines/*/{name}.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def written(run: Path, name: str) -> int:
    """How many whole lines there are, while the run is still being written."""
    return sum(path.read_bytes().count(b"\n") for path in run.glob(f"disciplines/*/{name}.jsonl"))
