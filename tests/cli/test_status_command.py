"""`glan status` and what it says about coverage, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glan_dspy.cli.main import run


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ("--model-name", "rehearsal", "--language", "English", "--max-number-of-subjects", "2")
    assert run(("generate", "--discipline", "Optics", "--discipline", "Dance", *flags)) == 0


def test_a_run_of_questions_goes_on_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the flag, the command that is named would buy all their answers."""
    flags = ("--model-name", "rehearsal?refuse=1", "--model-name-for-curriculum", "rehearsal", "--num-pairs", "4")
    questions = ("--generate-question-only", "--discipline", "Optics", "-o", "q")
    assert run(("generate", *flags, "--language", "English", *questions)) == 3
    capsys.readouterr()
    assert run(("status", "q")) == 0
    assert "no; glan generate -o q --generate-question-only goes on" in capsys.readouterr().out


def test_json_has_the_coverage_beside_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(("status", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["coverage"]["pairs"] == told["instructions"] == 40
    assert told["coverage"]["evenness"]["disciplines"] == 1.0


def test_the_table_has_it_by_itself_where_it_is_quickly_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert run(("status", "--no-coverage")) == 0
    plain = capsys.readouterr().out
    assert run(("status",)) == 0
    whole = capsys.readouterr().out
    monkeypatch.setattr("glan_dspy.cli.status.QUICKLY_COVERED", 1)
    assert run(("status",)) == 0 and capsys.readouterr().out == plain
    assert run(("status", "--coverage")) == 0 and capsys.readouterr().out == whole
    assert whole.startswith(plain) and "new phrases" not in plain
    assert "sessions  12 of 12 used, 100.0%" in whole and "evenness  disciplines 1.00" in whole
    assert "strategies  double " in whole and "duplicates  0.0% of the questions\n" in whole
    assert "new phrases  the last tenth of the questions brought " in whole


def test_a_run_that_has_no_pairs_yet_has_dashes_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    for folder in Path("runs/first/disciplines").iterdir():
        (folder / "instructions.jsonl").unlink()
    capsys.readouterr()
    assert run(("status", "--coverage")) == 0
    out = capsys.readouterr().out
    assert "sessions  0 of 12 used, 0.0%" in out and "strategies  -\n" in out and "disciplines -, levels -" in out
    assert "new phrases  -: no discipline has ten questions" in out
