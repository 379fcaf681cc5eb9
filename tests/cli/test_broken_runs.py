"""Runs that are none, half, newer or edited by hand: every command that reads a run has at most one line to say.

Each breakage is tried on a copy of a whole run by every command. It ends with 0 where it can do its work with what is
sound, and with 1 and one line where it cannot; nothing of the run is lost, and nothing half is left beside it.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glan_dspy.cli.main import run as glan
from glan_dspy.run.about import VERSION
from glan_dspy.run.store import Run

Break = Callable[[Path], object]

READING: dict[str, tuple[str, ...]] = {
    "status": ("status", "run"),
    "status --json": ("status", "run", "--json"),  # with the coverage
    "show": ("show", "run"),
    "show --only": ("show", "run", "--only", "level > 0", "--json"),
    "show --rejected": ("show", "run", "--rejected"),
    "show --lineage": ("show", "run", "--lineage", "-n", "2"),
    "export": ("export", "run", "--to", "out.jsonl", "--allow-rehearsal", "--min-score", "1"),
    "export FOLDER": ("export", "run", "--to", "set", "--allow-rehearsal"),  # with its card
    "export azure": ("export", "run", "--to", "azure", "--format", "azure"),
    "push": ("push", "run", "--repo", "a/b", "--allow-rehearsal"),
    "plan": ("plan", "--from", "run", "--model-name", "rehearsal", "--discipline", "Optics"),
    "curate --dry-run": ("curate", "run", "--dry-run"),
}
WRITING = {
    "curate": ("curate", "run"),
    "judge": ("judge", "run", "--model-name-for-judge", "rehearsal", "--votes", "1"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has a file of each kind, with something in it."""
    path = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "true")
        words = ("--model-name", "rehearsal?wrong_language=0.3", "--language", "English", "--recipe", "debug")
        more = ("--num-questions-per-iteration", "4", "--holdout", "1", "--discipline", "Optics", "--discipline", "Art")
        assert glan(("generate", *words, *more, "-o", str(path))) == 0
        assert glan(("judge", str(path), "--model-name-for-judge", "rehearsal", "--votes", "1")) == 0
    for discipline in Run(path).disciplines():
        shelf = Run(path).shelf(discipline)
        shelf.append("decisions", {"id": min(shelf.ids("instructions")), "decision": "dropped", "reason": "holdout"})
        shelf.close()
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-token-here"))
    shutil.copytree(whole, "run")
    return Path("run")


def contents(path: Path) -> dict[Path, bytes]:
    """The run's files, without its log and what tells of its writers."""
    files = (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return {file: file.read_bytes() for file in files if file.exists() and re.fullmatch(r"[^.].*(?<!\.log)", file.name)}


def ends_well(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> int:
    """Its exit code, after a look at what it says and leaves."""
    capsys.readouterr()
    code = glan(words)
    out, told = capsys.readouterr()
    errors = [line for line in told.splitlines() if line.startswith("glan: ")]
    assert code in (0, 1) and "Traceback" not in told, (words, told)
    assert len(errors) == code and not re.search("[\x1b\u202e]", out + told), (words, told)
    left = {path.name for path in Path().iterdir()} - {"run", "out.jsonl", "set", "azure", "no-token-here"}
    assert not left and (code == 0 or not Path(words[-1]).exists() or words[-1] == "run"), (words, left)
    for name in ("out.jsonl", "set", "azure"):
        shutil.rmtree(name, ignore_errors=True) if Path(name).is_dir() else Path(name).unlink(missing_ok=True)
    return code


def try_all(run: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The exit code of every command on the broken run."""
    before = contents(run)
    codes = {name: ends_well(words, capsys) for name, words in READING.items()}
    assert contents(run) == before, "a command that reads has written"
    for name, words in WRITING.items():
        codes[name] = ends_well(words, capsys)
        after = contents(run)
        for path, data in before.items():
            assert after[path].startswith(data[: data.rfind(b"\n") + 1]), (name, path)
    return codes


# --- run.json -----------------------------------------------------------------------------------------------------


def about(**changes: Any) -> Break:
    def breaks(run: Path) -> None:
        known = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**known, **changes}))

    return breaks


def settings(**changes: Any) -> Break:
    def breaks(run: Path) -> None:
        known = json.loads((run / "run.json").read_text())["settings"]
        about(settings={**known, **changes})(run)

    return breaks


def written(data: bytes) -> Break:
    return lambda run: (run / "run.json").write_bytes(data)


def a_file(run: Path) -> None:
    shutil.rmtree(run)
    run.write_text("x")


def emptied(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()


def a_folder(run: Path) -> None:
    (run / "run.json").unlink()
    (run / "run.json").mkdir()


NO_RUNS: dict[str, tuple[Break, str]] = {
    "is not there": (shutil.rmtree, "run is no run: it has no run.json; `glan generate -o run`"),
    "is a file": (a_file, "run is no run"),
    "is an empty folder": (emptied, "run is no run"),
    "has a folder for run.json": (a_folder, "cannot read run/run.json: "),
    "has an empty run.json": (written(b""), "cannot read run/run.json: "),
    "has a torn run.json": (written(b'{"version": 1, "settings": {"langu'), "cannot read run/run.json: "),
    "has garbage for run.json": (written(b"\x00\xff" * 99), "cannot read run/run.json: "),
    "has a list for run.json": (written(b"[]"), "run/run.json is not the description of a run"),
    "is a newer version's": (about(version=VERSION + 1, versions={"glan_dspy": "9.0"}, settings=7), "newer version of"),
    "has no settings": (about(settings=[]), "settings '[]': input should be a valid dictionary; put it right"),
    "has another seed": (settings(seed="a"), "settings.seed 'a': input should be a valid integer"),
    "has an unknown adapter": (settings(adapter="x"), "settings.adapter 'x': input should be 'compact'"),
    "has a number for a discipline": (about(disciplines=[7]), "disciplines.0 '7': input should be"),
    "has a nameless discipline": (about(disciplines=[{"name": " "}]), "a discipline has no name"),
    "has words for a version": (about(version="new"), "version 'new': input should be a valid integer"),
    "is of another kind": (about(kind="report"), "kind 'report': input should be 'generate' or 'answer'"),
    "has words for shares": (about(quota={"shares": {"a": "many"}}), "quota.shares.a 'many': input should be"),
}  # fmt: skip


@pytest.mark.parametrize(("breaks", "said"), NO_RUNS.values(), ids=NO_RUNS)
def test_what_is_no_run_is_said_by_every_command(
    run: Path, breaks: Break, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(run)
    before = contents(run)
    for name, words in {**READING, **WRITING}.items():
        assert glan(words) == 1, name
        told = capsys.readouterr().err
        assert told.startswith("glan: ") and told.count("\n") == 1 and said in told, (name, told)
        assert contents(run) == before and [path.name for path in Path().iterdir()] == (["run"] if run.exists() else [])


def test_what_run_json_may_lack_or_have_besides_is_no_mistake(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = json.loads((run / "run.json").read_text())
    less = {"settings": {"a_setting_to_come": 1, "num_pairs": None}, "disciplines": known["disciplines"], "x": 1}
    written(b"\r\n".join(json.dumps(less, indent=1).encode().split(b"\n")))(run)
    assert {name for name, code in try_all(run, capsys).items() if code} == {"push", "judge"}


# --- files ---------------------------------------------------------------------------------------------------------


def every(change: Callable[[Path], object]) -> Break:
    """Does it to every file of the first discipline; the other one stays as it was."""

    def breaks(run: Path) -> None:
        for path in sorted(min((run / "disciplines").iterdir()).glob("*.jsonl")):
            change(path)

    return breaks


def changed(change: Callable[[bytes], bytes]) -> Break:
    return every(lambda path: path.write_bytes(change(path.read_bytes())))


def rows(change: Callable[[dict[str, Any]], Any]) -> Break:
    def each(data: bytes) -> bytes:
        return b"".join(json.dumps(change(json.loads(line))).encode() + b"\n" for line in data.splitlines())

    return changed(each)


WRONG: tuple[Any, ...] = (
    None,
    7,
    -1,
    1e300,
    2**70,
    True,
    "",
    "x\x1b[31m\u202e",
    [],
    [7],
    ["x"],
    {},
    {"a": 7},
    {"a": "b"},
)


def replaced(value: Any) -> Break:
    return rows(lambda row: dict.fromkeys(row, value))


def spoilt(seed: int) -> Break:
    """Of every row a few values are of another kind, or gone."""
    dice = random.Random(seed)

    def change(row: dict[str, Any]) -> dict[str, Any]:
        odd = {key: dice.choice(WRONG) for key in dice.sample(sorted(row), min(len(row), dice.randint(1, 4)))}
        gone = dice.choice([*row, None])
        return {key: value for key, value in {**row, **odd}.items() if key != gone}

    return rows(change)


JUNK = (
    b'null\n[]\n7\n"x"\n{}\n{"id":\n{"id":7}\n{"id":null}\n{"id":[]}\n{"id":{}}\n{"id":""}\n\xff\xfe\n\n  \n'
    b'{"id":"\xe9"}\n{"id":"\\ud800"}\n{"item":"x","id":"y"}\n' + b"[" * 100_000 + b"\n"
)

BROKEN: dict[str, Break] = {
    "a discipline's folder is missing": lambda run: shutil.rmtree(min((run / "disciplines").iterdir())),
    "files are missing": every(lambda path: path.unlink()),
    "files are empty": changed(lambda data: b""),
    "last lines are torn": changed(lambda data: data[:-9]),
    "only a torn line is there": changed(lambda data: data[:20]),
    "files are binary": changed(lambda data: bytes(range(256)) * 20),
    "a power cut left zeros": changed(lambda data: data + b"\0" * 4096),
    "an editor put a BOM and CRLF": changed(lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n")),
    "an editor saved another encoding": changed(lambda data: data.replace(b"e", b"\xe9")),
    "lines come twice, in another order": changed(lambda data: b"".join(data.splitlines(keepends=True)[::-1]) * 2),
    "rows were laid out": rows(lambda row: dict(reversed(row.items()))),
    "rows stand in lists": rows(lambda row: [row]),
    "junk lies between the lines": changed(lambda data: JUNK + data + JUNK),
    **{f"all values are {value!r}": replaced(value) for value in (None, 7, "x\x1b[31m\u202e", [7], {"a": "b"})},
    **{f"some values are odd ({seed})": spoilt(seed) for seed in range(4)},
}


SHORT = ("files are empty", "an editor put a BOM and CRLF", "some values are odd (0)")
"""What is tried each time; the others take minutes."""


@pytest.mark.parametrize(
    "breaks",
    [pytest.param(breaks, id=name, marks=() if name in SHORT else pytest.mark.long) for name, breaks in BROKEN.items()],
)
def test_commands_do_their_work_with_what_is_sound_or_say_what_is_missing(
    run: Path, breaks: Break, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(run)
    codes = try_all(run, capsys)
    assert set(codes.values()) <= {0, 1} and codes["status"] == codes["status --json"] == 0, codes


def test_without_any_discipline_on_the_disk_each_says_what_is_missing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "disciplines")
    fine = {"status", "status --json", "curate --dry-run", "curate"}
    assert {name for name, code in try_all(run, capsys).items() if not code} == fine


@pytest.mark.parametrize("name", ["instructions", "questions", "calls", "rejected", "decisions"])
def test_a_file_that_cannot_be_read_is_named(run: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = min((run / "disciplines").iterdir()) / f"{name}.jsonl"
    path.unlink(missing_ok=True)
    path.mkdir()  # root reads whatever its mode says, but no folder
    assert try_all(run, capsys)["status --json"] == 1
    glan(("status", "run"))
    assert f"cannot read or write {path}: Is a directory" in capsys.readouterr().err


def test_the_first_line_behind_a_bom_is_not_lost(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    glan(("show", "run", "--json"))
    before = capsys.readouterr().out
    BROKEN["an editor put a BOM and CRLF"](run)
    glan(("show", "run", "--json"))
    assert capsys.readouterr().out == before
    assert glan(("show", "run", json.loads(before.splitlines()[0])["id"])) == 0
