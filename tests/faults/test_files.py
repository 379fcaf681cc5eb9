"""Files of a run that were cut, doubled, or hold something that no run writes: it goes on all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.case import Case, finished
from tests.faults.check import check
from tests.faults.conftest import Hurting
from tests.processes import until

NO_RECORDS = b'\x00\xff\xfe{"id":\n{}\n[1, 2]\nnull\n"id"\n{"id": 5}\n'


def cut(data: bytes) -> bytes:
    return data[: len(data) * 3 // 5]


def doubled(data: bytes) -> bytes:
    return data + data


def garbage(data: bytes) -> bytes:
    """Over a few bytes of a line, and between two halves of another: both are spoilt."""
    early, middle = len(data) // 4, len(data) // 2
    return data[:early] + b'"\xff{,' + data[early + 4 : middle] + NO_RECORDS + data[middle:]


def crlf(data: bytes) -> bytes:
    """From the middle on, as an editor on another system writes it."""
    middle = len(data) // 2
    return data[:middle] + data[middle:].replace(b"\n", b"\r\n")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": cut,
    "doubled": doubled,
    "garbage in the middle": garbage,
    "CRLF from the middle on": crlf,
}
MONEY = ["--max-cost", "1000", "--price-in", "1", "--price-out", "1"]
"""So that there is a file of reservations."""

KINDS = ("replies", "subjects", "syllabi", "questions", "instructions", "calls", "reserved", "logfile.log",
         ".lock-holder", ".writer")  # fmt: skip


def stopped_halfway(case: Case) -> None:
    command = case.start(*case.words, *MONEY)
    case.until_paid(case.calls // 2, command)
    command.ctrl_c()
    assert case.over(command) == 3


def files(run: Path, kind: str) -> list[Path]:
    name = kind if "." in kind else f"{kind}.jsonl"
    return [path for path in run.rglob(name) if path.stat().st_size]


def resumed_after(case: Case, damage: str, kinds: tuple[str, ...]) -> None:
    before = finished(case.run)
    for kind in kinds:
        for path in files(case.run, kind):
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
            case.row.times += 1
    destroyed = before - finished(case.run)
    case.finish()
    check(case, destroyed=destroyed, mended_by_hand=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_whose_files_are_all_spoilt_goes_on(hurting: Hurting, damage: str) -> None:
    case = hurting(f"files {damage}", "plain")
    stopped_halfway(case)
    resumed_after(case, damage, KINDS)


@pytest.mark.long
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_one_kind_of_file_spoilt_goes_on(hurting: Hurting, damage: str, kind: str) -> None:
    case = hurting(f"files {damage}", "plain")
    stopped_halfway(case)
    resumed_after(case, damage, (kind,))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_spoilt_description_of_the_run_is_told_and_nothing_is_asked(hurting: Hurting, damage: str) -> None:
    case = hurting(f"run.json {damage}", "plain")
    stopped_halfway(case)
    file, paid = case.run / "run.json", case.paid()
    whole = file.read_bytes()
    file.write_bytes(DAMAGES[damage](whole))
    case.row.times += 1
    if damage != "CRLF from the middle on":
        refused = case.start("generate", "-o", case.out)
        assert case.over(refused) == 1
        assert f"cannot read {case.out}/run.json" in refused.last_line and case.paid() == paid
        file.write_bytes(whole)
    case.finish()
    check(case)


@pytest.mark.parametrize(
    "damage", ["cut", *(pytest.param(more, marks=pytest.mark.long) for more in DAMAGES if more != "cut")]
)
def test_a_spoilt_journal_of_batches_loses_no_pair(hurting: Hurting, damage: str) -> None:
    """What it said of a batch is gone: that batch is bought again, and nothing else."""
    case = hurting(f"batch files {damage}", "batch")
    command = case.start()
    case.until_paid(case.calls * 2 // 3, command)
    case.kill(command)
    until(lambda: not case.server.in_flight)  # what is being computed is paid for too, and forgotten with the rest
    in_batches = case.paid() - finished(case.run)
    for path in (case.run / "batch.jsonl", *(case.run / "batch").glob("*.jsonl")):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    case.finish()
    check(case, destroyed=in_batches, mended_by_hand=True)
