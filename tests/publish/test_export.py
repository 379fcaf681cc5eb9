"""Files that appear whole, and hold each accepted pair once."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from glan_dspy.cli.main import run as glan
from glan_dspy.errors import UserError
from glan_dspy.publish.formats import Wording
from glan_dspy.run.store import Run
from tests.publish.made import add, files_end_at, ids, make_run, names, pair, put, read

ENDINGS = [".jsonl", ".jsonl.zst", ".parquet"]
PAIRS = [pair(number, name) for name in ("Optics", "Algebra") for number in range(20)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "run", PAIRS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_of_file_holds_the_same_rows(run: Run, tmp_path: Path, ending: str) -> None:
    done = put(run, tmp_path / f"new/out{ending}", form="sharegpt")
    assert done.files == {tmp_path / f"new/out{ending}": 40} and names(tmp_path / "new") == [f"out{ending}"]
    assert read(tmp_path / f"new/out{ending}") == [
        {
            "id": one.id,
            "conversations": [{"from": "human", "value": one.question}, {"from": "gpt", "value": one.answer}],
        }
        for one in PAIRS
    ]


def test_kept_thoughts_are_in_a_parquet_file_too(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1, reasoning="Hm."), pair(2)])
    put(run, tmp_path / "out.parquet", wording=Wording("Be brief.", "keep"))
    first, second = (row["messages"] for row in read(tmp_path / "out.parquet"))
    assert [turn["reasoning_content"] for turn in first] == [None, None, "Hm."]
    assert second[-1]["reasoning_content"] == ""


def test_a_folder_has_shards_as_the_hub_names_them_and_a_card(run: Run, tmp_path: Path) -> None:
    done = put(run, tmp_path / "set", shard_size=15)
    expected = {f"train-0000{n}-of-00003.parquet": rows for n, rows in enumerate((15, 15, 10))}
    assert {path.name: rows for path, rows in done.files.items()} == expected
    assert names(tmp_path / "set") == ["README.md", *expected]
    assert all(len(read(tmp_path / "set" / name)) == rows for name, rows in expected.items())
    assert ids(*done.files) == [one.id for one in PAIRS]


def test_a_part_that_gets_no_pair_has_its_file_all_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    done = put(run, tmp_path / "set", split="train=0.5,val=0.5")
    assert sorted(done.files.values()) == [0, 1] and len(done.files) == 2
    assert sum(len(read(path)) for path in done.files) == 1


def test_a_split_into_files_puts_its_names_before_the_ending(run: Run, tmp_path: Path) -> None:
    done = put(run, tmp_path / "out.jsonl.zst", split="train=0.5,val=0.5")
    assert [path.name for path in done.files] == ["out-train.jsonl.zst", "out-val.jsonl.zst"]
    assert sorted(ids(*done.files)) == sorted(one.id for one in PAIRS)
    assert put(run, tmp_path / "all.jsonl", split="train=1").files == {tmp_path / "all.jsonl": 40}


def test_an_empty_folder_is_filled_and_one_with_something_in_it_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    put(run, tmp_path / "set")
    (tmp_path / "set/README.md").write_text("license: mit")
    with pytest.raises(UserError, match=r"is a folder that holds README.md, train-00000-of-00001.parquet; name a new"):
        put(run, tmp_path / "set")
    assert (tmp_path / "set/README.md").read_text() == "license: mit" and names(tmp_path) == ["run", "set"]


def test_the_azure_file_goes_into_any_folder_or_under_a_name_of_ones_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/other").touch()
    (path,) = put(run, tmp_path / "outputs", form="azure").files
    assert path.name.startswith("GLAN_Instructions_English_40_Samples_") and len(names(tmp_path / "outputs")) == 2
    put(run, tmp_path / "mine.jsonl", form="azure")
    assert (tmp_path / "mine.jsonl").read_bytes() == path.read_bytes()


def test_each_id_comes_once_and_what_curate_dropped_never(run: Run, tmp_path: Path) -> None:
    add(run, [pair(0, answer="Later."), pair(99, held_out=True)])
    run.shelf(run.disciplines()[0]).append("decisions", {"id": PAIRS[1].id, "decision": "dropped", "reason": "near"})
    put(run, tmp_path / "out.jsonl")
    assert ids(tmp_path / "out.jsonl") == [one.id for one in PAIRS if one != PAIRS[1]]
    put(run, tmp_path / "test.jsonl", held_out=True)
    assert ids(tmp_path / "test.jsonl") == [pair(99).id]
    assert [path.name for path in put(run, tmp_path / "test", held_out=True).files] == ["test-00000-of-00001.parquet"]


# --- nothing half, nothing lost --------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> Run:
    """Its files are larger than what is buffered, in any packing."""
    return make_run(tmp_path / "run", (pair(number, answer=os.urandom(4000).hex()) for number in range(1500)))


@pytest.mark.parametrize("ending", [*ENDINGS, ""])
@pytest.mark.parametrize("size", [2000, 3_000_000])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(large: Run, tmp_path: Path, ending: str, size: int) -> None:
    to = tmp_path / f"out{ending}"
    if ending:
        to.write_text("old")
    with (
        files_end_at(size),
        pytest.raises(UserError, match=r"cannot write to .*out.*: File too large; nothing was left"),
    ):
        put(large, to)
    assert names(tmp_path) == (sorted(["run", to.name]) if ending else ["run"])
    assert not ending or to.read_text() == "old"


@pytest.mark.parametrize("ending", [*ENDINGS, ""])
def test_ctrl_c_in_the_middle_leaves_nothing_behind(large: Run, tmp_path: Path, ending: str) -> None:
    begun = threading.Event()

    def interrupt() -> None:
        while not any(path.stat().st_size for path in tmp_path.glob(".out*/*")):
            time.sleep(0.0005)
        begun.set()
        os.kill(os.getpid(), signal.SIGINT)

    add(large, (pair(number, answer="x" * 20_000) for number in range(2000, 6000)))
    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        put(large, tmp_path / f"out{ending}")
        time.sleep(5)  # a signal that comes late still comes here
    thread.join()
    assert begun.is_set() and names(tmp_path) == ["run"]


def test_one_simulated_pair_among_others_is_refused_and_nothing_is_left(run: Run, tmp_path: Path) -> None:
    add(run, [pair(77, "Algebra", simulated=True)])
    with pytest.raises(UserError, match="--allow-rehearsal exports them all the same"):
        put(run, tmp_path / "out.jsonl")
    assert names(tmp_path) == ["run"]
    assert put(run, tmp_path / "out.jsonl", allow_rehearsal=True).contents.simulated == 1


def test_a_folder_in_the_place_of_one_part_is_seen_before_any_file_moves(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out-val.jsonl").mkdir()
    with pytest.raises(UserError, match=r"out-val.jsonl is a folder"):
        put(run, tmp_path / "out.jsonl", split="train=0.5,val=0.5")
    assert names(tmp_path) == ["out-val.jsonl", "run"]


def test_a_place_that_cannot_be_written_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"cannot write to .*file/out.jsonl: "):
        put(run, tmp_path / "file/out.jsonl")
    with pytest.raises(UserError, match=r"file is a file; name a folder, or a file that ends in .jsonl"):
        put(run, tmp_path / "file")


def test_a_file_of_the_run_that_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    path = run.shelf(run.disciplines()[1]).path / "instructions.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"cannot read .*instructions.jsonl: Is a directory"):
        put(run, tmp_path / "out.jsonl")
    assert names(tmp_path) == ["run"]


# --- bad input -------------------------------------------------------------------------------------------------


def test_lines_that_hold_no_pair_are_passed_over_and_counted(run: Run, tmp_path: Path) -> None:
    path = run.shelf(run.disciplines()[0]).path / "instructions.jsonl"
    good = json.loads(path.read_text().splitlines()[0])
    edited: list[Any] = [{**good, "answer": " "}, {**good, "level": []}, {"id": "x"}, ["a"], 7]
    lines = "".join(json.dumps(line) + "\n" for line in edited)
    path.write_bytes(path.read_bytes() + lines.encode() + b"{broken\n" + b'\xff"\n' + b'{"id": "torn')
    done = put(run, tmp_path / "out.jsonl")
    assert done.contents.rows == 40
    assert (done.spoilt.count, done.spoilt.first) == (7, str(path))


def test_a_run_of_spoilt_lines_only_says_so(run: Run, tmp_path: Path) -> None:
    for discipline in run.disciplines():
        (run.shelf(discipline).path / "instructions.jsonl").write_text("x\n")
    with pytest.raises(UserError, match=r"holds no pair: 2 lines are none, the first in .*instructions.jsonl"):
        put(run, tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "out.json"), "--to out.json: the ending '.json' is unknown; known: .jsonl, .jsonl.zst, .parquet"),
        (("--to", "out.jsonl", "--format", "chatml"), "--format 'chatml' is unknown"),
        (("--to", "out.jsonl", "--split", "train=0.9"), "add up to 0.9, not to 1; for example"),
        (("--to", "out.jsonl", "--balance", "level"), "--balance 'level' is unknown; known: discipline"),
        (("--to", "out.jsonl", "--shard-size", "10"), "--shard-size needs a folder"),
        (("--to", "out", "--shard-size", "0"), "--shard-size 0 is less than one row"),
        (("--to", "out", "--format", "azure", "--split", "a=0.5,b=0.5"), "--to out/azure.jsonl"),
        (("--to", "out.parquet", "--format", "azure"), "--format azure is JSON lines; name a folder or out.jsonl"),
        (("--to", "out.jsonl", "--only", "level >"), "--only 'level >': column"),
        (("--to", "out.jsonl", "--only", "level > 900"), "nothing of run is left: 40 do not fit --only"),
        (("--to", "out.jsonl", "--holdout"), "run has no test set"),
        (("--to", "run"), "--to run is a folder that holds disciplines, run.json; name a new one"),
        (("--to", "run/disciplines/optics.jsonl"), "where the run keeps its own files"),
        (("--to", "./run/../run/calls.jsonl"), "where the run keeps its own files"),
    ],
)
def test_bad_input_gets_one_line_and_changes_nothing(
    run: Run, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path.parent)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert glan(["export", "run", *words]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err
    assert {path: path.read_bytes() for path in run.path.parent.rglob("*") if path.is_file()} == {
        run.path.parent / path: data for path, data in before.items()
    }


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (None, "is no run: it has no run.json"),
        (b"{", "cannot read"),
        (b"[]", "is not the description of a run"),
        (b'{"version": 99, "settings": {}, "versions": {"glan_dspy": "9.0"}}', "newer version of glan-dspy (9.0)"),
        (b'{"settings": {}}', "has no accepted pairs yet; `glan generate -o"),
    ],
)
def test_what_is_no_run_or_not_yet_one_is_said(tmp_path: Path, about: bytes | None, said: str) -> None:
    (tmp_path / "run").mkdir()
    if about is not None:
        (tmp_path / "run/run.json").write_bytes(about)
    with pytest.raises(UserError) as caught:
        put(Run(tmp_path / "run"), tmp_path / "set")
    assert said in str(caught.value) and names(tmp_path) == ["run"]


def test_the_command_says_what_each_file_got_and_what_is_not_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(Path("run"), [*PAIRS, pair(1, "Botany")])
    path = run.shelf(run.disciplines()[0]).path / "instructions.jsonl"
    path.write_bytes(path.read_bytes() + b"{}\n")
    words = [
        "--to",
        "out.jsonl",
        "--split",
        "train=0.5,val=0.5",
        "--balance",
        "discipline",
        "--only",
        "not 'm 3' in question",
    ]
    assert glan(["export", "run", *words]) == 0
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["out-train.jsonl", "out-val.jsonl"]
    assert "balanced: 1 pairs of each of 3 disciplines" in err and "passed over: 1 lines hold no pair" in err
    assert sum(int(line.split()[-2]) for line in out.splitlines()) == 3
