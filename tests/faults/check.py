"""What must be true of a run after whatever was done to it: the one checker of all cases."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings
from tests.faults.case import AT_ONCE, Case
from tests.loopback_thread import pairs, rows
from tests.processes import ended

Pair = tuple[str, str, str]
"""An id, its question, its answer."""


def check(case: Case, *, destroyed: int = 0, mended_by_hand: bool = False) -> None:
    """Everything that was planned is there, once, whole and with its own answer; nothing finished was paid for again.

    `destroyed`: records that the case itself took away, so that they had to be bought again. `mended_by_hand`: the
    case left lines in the files that no run writes.
    """
    case.until_quiet()
    row, wanted = case.row, made_without_harm(case.names)
    exported = export(case)
    row.pairs = len(exported)
    row.lost += len(wanted ^ set(exported)) + len(exported) - len(set(exported))
    row.again += sum(case.server.paid.values()) - len(case.server.paid)
    row.in_flight += 0 if case.mode.lasting else AT_ONCE * case.uncounted
    case.record(row)
    assert row.lost == 0, f"missing {wanted - set(exported)}, or not to be there {set(exported) - wanted}"
    assert row.again <= row.in_flight + destroyed
    assert len(case.server.paid) == case.calls
    check_status(case)
    check_log(case)
    if not mended_by_hand:
        check_files(case)


def export(case: Case) -> list[Pair]:
    """The pairs as somebody gets them who trains on them."""
    ended(case.commands, case.folder, "export", case.out, "--to", "train.jsonl")
    lines = (case.folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["id"], *(message["content"] for message in row["messages"])) for row in map(json.loads, lines)]


@cache
def made_without_harm(names: tuple[str, ...]) -> frozenset[Pair]:
    """The pairs of a run that nothing happens to: the simulated model says the same each time."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        settings = Settings(model_name="rehearsal", language="English")
        generate(Run(run), settings, [Discipline(name=name) for name in names])
        return frozenset(pairs(run))


def status(case: Case) -> dict[str, Any]:
    """What `glan status --json` says of a run that must be complete."""
    said = ended(case.commands, case.folder, "status", case.out, "--json").out.read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(said)
    assert told["complete"], told
    return told


def check_status(case: Case) -> None:
    told = status(case)
    assert told["instructions"] == 20 * len(case.names) and told["disciplines"] == len(case.names)
    assert told["rejected"] == {}


def check_log(case: Case) -> None:
    log = (case.run / "logfile.log").read_text(encoding="utf-8", errors="replace")
    assert "Traceback" not in log, log


def check_files(case: Case) -> None:
    """Every line is whole, no record is there twice, and every call that was paid for is on file with its tokens."""
    for name in ("subjects", "syllabi", "questions", "instructions", "replies"):
        ids = [row["id"] for row in rows(case.run, name)]
        assert len(ids) == len(set(ids)), f"{name}.jsonl holds something twice"
    for path in case.run.rglob("*.jsonl"):
        assert path.read_bytes()[-1:] in (b"\n", b""), f"{path} ends with half a line"
    calls = [row for row in rows(case.run, "calls") if "error" not in row]
    paid = sum(case.server.paid.values())
    # A batch's replies that a kill caught between their calls' lines and their records are read, and noted, once more.
    noted = len({(call["stage"], call["item"], call["ask"]) for call in calls}) if case.mode.lasting else len(calls)
    assert paid - case.row.in_flight <= noted <= paid, f"{noted} calls on file, {paid} paid"
    assert all(call["prompt_tokens"] and call["completion_tokens"] for call in calls)
