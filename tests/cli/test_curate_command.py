"""`glan curate` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.typing_commands import Glan, typed_here


@pytest.fixture
def glan(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Glan:
    monkeypatch.chdir(tmp_path)
    return typed_here(capsys)


@pytest.fixture
def made(glan: Glan) -> Glan:
    """`glan`, in a folder with a run whose second discipline has the first one's pairs too."""
    flags = ("--recipe", "debug", "--model-name", "rehearsal", "--language", "English")
    assert glan("generate", "--discipline", "Optics", "--discipline", "Sound", *flags)[0] == 0
    optics, sound = sorted(Path("runs/first/disciplines").iterdir())
    with (sound / "instructions.jsonl").open("ab") as file:
        for line in (optics / "instructions.jsonl").read_bytes().splitlines():
            file.write(json.dumps({**json.loads(line), "id": "copy-" + json.loads(line)["id"]}).encode() + b"\n")
    return glan


def test_copies_across_disciplines_are_dropped_and_status_and_export_know(made: Glan) -> None:
    code, out, _ = made("curate")
    assert code == 0
    assert [line.split() for line in out.splitlines()][1:] == [
        ["dropped", "2"],
        ["duplicate", "2"],
        ["written", "2", "decisions"],
    ]
    told = json.loads(made("status", "--json")[1])
    assert (told["instructions"], told["curated"]) == (4, {"duplicate": 2})
    assert "curated  duplicate 2" in made("status")[1]
    assert ": 4 rows" in made("export", "runs/first", "--to", "train.jsonl", "--allow-rehearsal")[1]


def test_a_dry_run_says_what_it_would_write(made: Glan) -> None:
    assert "would write  2 decisions" in made("curate", "--dry-run")[1]
    assert json.loads(made("status", "--json")[1])["curated"] == {}


def test_the_simulated_model_without_faults_falls_for_nothing(glan: Glan) -> None:
    flags = ("--model-name", "rehearsal", "--language", "Japanese", "--num-questions-per-iteration", "100")
    assert glan("generate", "--discipline", "Optics", "--discipline", "Sound", *flags)[0] == 0
    code, out, _ = glan("curate")
    assert code == 0 and out.splitlines()[1].split() == ["dropped", "0"]


def test_benchmarks_are_listed_with_the_items_found_and_examples(made: Glan) -> None:
    line = next(Path("runs/first/disciplines").glob("optics*/instructions.jsonl")).read_text("utf-8").splitlines()[0]
    rows = [{"question": json.loads(line)["question"]}, {"question": "Which bird of the northern coasts never lands?"}]
    Path("birds.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    out = made("curate", "--against", "birds.jsonl")[1]
    assert "birds: 1 of 2 items found, in 2 pairs" in out
    assert json.loads(line)["id"] in out


def test_the_card_names_what_the_whole_run_was_held_against_and_nothing_else(made: Glan) -> None:
    row = {"question": "Which bird of the northern coasts never lands?"}
    Path("birds.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    export = ("export", "runs/first", "--allow-rehearsal", "--to")
    assert made("curate", "--against", "birds.jsonl", "--dry-run")[0] == made(*export, "one")[0] == 0
    assert "The pairs were not held against any benchmark." in Path("one/README.md").read_text(encoding="utf-8")
    assert made("curate", "--against", "birds.jsonl")[0] == made(*export, "two")[0] == 0
    assert "as far as the gate finds them: birds.jsonl." in Path("two/README.md").read_text(encoding="utf-8")
    # What is made afterwards was held against nothing.
    assert made("generate", "-o", "runs/first", "--num-iterations", "30")[0] == made(*export, "three")[0] == 0
    assert "The pairs were not held against any benchmark." in Path("three/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("curate", "nowhere"), "nowhere is no run"),
        (("curate", "--near", "0.1"), "--near 0.1 is no limit to sort by; allowed: 0.5 to 1"),
        (("curate", "--near", "1.5"), "allowed: 0.5 to 1"),
        (("curate", "--near", "nan"), "allowed: 0.5 to 1"),
        (("curate", "--against", "nothing.jsonl"), "nothing.jsonl"),
        (("curate", "--tmp", "nowhere/at/all"), "--tmp names another folder"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(made: Glan, words: tuple[str, ...], said: str) -> None:
    code, out, err = made(*words)
    assert (code, out) == (1, "")
    assert said in err and err.count("\n") == 1
