"""`glan judge` as a user types it, and what exports make of its scores."""

from __future__ import annotations

import json
import shlex
import signal
import time
from pathlib import Path

import pytest

from tests.cli.typing_commands import Glan, typed_here
from tests.loopback_thread import counts, rows, running
from tests.processes import start

MAKE = ("generate", "--recipe", "debug", "--model-name", "rehearsal", "--language", "English", "--discipline", "Optics")


@pytest.fixture
def glan(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Glan:
    """`glan`, in a folder with a run of 20 pairs."""
    monkeypatch.chdir(tmp_path)
    call = typed_here(capsys)
    assert call(*MAKE, "--num-questions-per-iteration", "20")[0] == 0
    return call


def scores() -> dict[str, float]:
    return {line["id"]: line["score"] for line in rows(Path("runs/first"), "judgements")}


def exported(path: str = "train.jsonl") -> list[str]:
    return [json.loads(line)["id"] for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_it_tells_the_means_and_goes_on_for_nothing(glan: Glan) -> None:
    code, out, _ = glan("judge")
    first, *means = out.splitlines()
    assert (code, first) == (0, "runs/first: 20 pairs judged by rehearsal")
    told = {line.rsplit("  ", 1)[0].strip(): float(line.split()[-1]) for line in means}
    assert list(told) == ["score", "correct", "self contained", "fits", "useful"]
    assert told["score"] == pytest.approx(sum(scores().values()) / 20, abs=0.006)
    code, out, _ = glan("judge")
    assert (code, out.splitlines()[0]) == (0, "runs/first: 20 pairs judged by rehearsal (20 of them from before)")


def test_exports_keep_what_scores_enough_and_count_the_rest(glan: Glan) -> None:
    assert glan("judge", "--sample", "12")[0] == 0
    good = {id for id, score in scores().items() if score >= 4}
    assert 0 < len(good) < 12
    flags = ("export", "runs/first", "--to", "train.jsonl", "--allow-rehearsal")
    code, out, err = glan(*flags, "--min-score", "4")
    assert (code, out) == (0, f"train.jsonl: {len(good)} rows\n")
    assert err == f"left out: 8 have no judgement, {12 - len(good)} score less than 4.0\n"
    assert set(exported()) == good
    code, out, err = glan(*flags, "--only", "score >= 4 and strategy == 'single'")
    assert code == 0 and set(exported()) < good and "do not fit --only" in err


def test_an_export_that_leaves_nothing_says_why_and_keeps_the_old_file(glan: Glan) -> None:
    Path("train.jsonl").write_text("old", encoding="utf-8")
    flags = ("export", "runs/first", "--to", "train.jsonl", "--allow-rehearsal")
    code, out, err = glan(*flags, "--min-score", "1")
    assert (code, out) == (1, "")
    assert "20 have no judgement; `glan judge runs/first` gives them one" in err
    assert glan(*flags, "--only", "level > 900")[0] == 1
    assert Path("train.jsonl").read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["runs", "train.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("judge", "nowhere"), "nowhere is no run"),
        (("judge", "--only", "lvl > 3"), "did you mean 'level'?"),
        (("judge", "--only", "level > 900"), "has no accepted pair that fits --only"),
        (("judge", "--sample", "0"), "--sample '0': "),
        (("judge", "--votes", "-1"), "--votes '-1': "),
        (("judge", "--model-name-for-judge", "gpt-4o"), "OPENAI_API_KEY"),
        (("judge", "--model-name-for-judge", "rehearsal?refuse=2"), "'refuse' cannot be '2'"),
        (("export", "runs/first", "--to", "x", "--min-score", "6"), "--min-score '6': "),
        (("export", "runs/first", "--to", "x", "--only", "1 +"), "--only '1 +': column"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_asked(glan: Glan, words: tuple[str, ...], said: str) -> None:
    code, out, err = glan(*words)
    assert (code, out) == (1, "") and said in err
    assert rows(Path("runs/first"), "judgements") == []


def test_a_run_whose_every_judgement_is_useless_ends_with_the_command_that_goes_on(glan: Glan) -> None:
    code, out, err = glan("judge", "--model-name-for-judge", "rehearsal?empty=1", "--votes", "2", "--only", "level > 1")
    assert code == 1 and "0 pairs judged" in out
    assert "replies could not be used, all alike (empty" in err
    assert shlex.split(err.split("go on with: ")[1]) == [
        *("glan", "judge", "runs/first", "--model-name-for-judge", "rehearsal?empty=1"),
        *("--votes", "2", "--only", "level > 1"),
    ]


@pytest.mark.parametrize("fault", ["bad_json", "empty", "refuse"])
def test_a_judge_that_cannot_be_used_is_told_of_by_the_flags_that_judge_has(glan: Glan, fault: str) -> None:
    code, _, err = glan("judge", "--model-name-for-judge", f"rehearsal?{fault}=1")
    advice = err.split("all alike (")[1].split("Nothing made so far")[0]
    assert code == 1 and "another --model-name-for-judge" in advice
    assert "--out" not in advice and "--draft-first" not in advice and "--model-name-for-curriculum" not in advice


def test_ctrl_c_keeps_what_was_paid_for(glan: Glan) -> None:
    with running("rehearsal?latency=0.2") as (base_url, _):
        words = ("judge", "--model-name-for-judge", "sim", "--base-url", base_url, "--concurrency", "2")
        process = start(*words, cwd=Path())
        while process.running and counts(base_url)["answered"] < 4:
            time.sleep(0.01)
        process.send(signal.SIGINT)
        assert process.wait() == 3 and f"--concurrency 2 --base-url {base_url}" in process.stderr
        answered = counts(base_url)["answered"]
        assert len(rows(Path("runs/first"), "judgements")) == answered < 20
        assert glan(*words)[0] == 0 and counts(base_url)["answered"] == 20


def test_status_counts_the_calls_and_the_run_stays_complete(glan: Glan) -> None:
    before = json.loads(glan("status", "--json")[1])
    assert glan("judge")[0] == 0
    after = json.loads(glan("status", "--json")[1])
    assert after["complete"] and after["calls"] == before["calls"] + 20
    assert (after["instructions"], after["rejected"]) == (before["instructions"], before["rejected"])
    assert glan("generate")[0] == 0  # the run goes on as if it had not been judged
