"""Commands in an order, or with flags together, that users come up with: told, or done as it is meant."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.typing_commands import Glan, typed_here
from tests.processes import command, environment, start

DEBUG = ("--model-name", "rehearsal", "--language", "English", "--recipe", "debug")
OPTICS = (*DEBUG, "--discipline", "Optics")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("disciplines.txt").write_text("Dance\nBotany\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def glan(capsys: pytest.CaptureFixture[str]) -> Glan:
    return typed_here(capsys)


def made(out: str) -> set[str]:
    return {entry["name"] for entry in json.loads(Path(out, "run.json").read_text(encoding="utf-8"))["disciplines"]}


# --- a taxonomy, and what goes on with it ---------------------------------------------------------


def test_a_run_with_a_taxonomy_goes_on_with_that_and_with_no_other_list(glan: Glan) -> None:
    code, _, err = glan("generate", "--generate-disciplines", *DEBUG, "-o", "my run")
    assert code == 3 and "glan generate -o 'my run' --disciplines-filepath 'my run/disciplines.txt'" in err
    assert "check my run/disciplines.txt, then glan generate -o 'my run' goes on" in glan("status", "my run")[1]
    assert glan("plan", "-o", "my run")[0] == 0
    assert glan("generate", "-o", "my run")[0] == 0
    assert made("my run") and not made("my run") & {"Dance", "Botany"}
    assert "complete  yes" in glan("status", "my run")[1]


def test_a_taxonomy_that_was_not_made_yet_is_not_replaced_by_the_list_that_lies_there(glan: Glan) -> None:
    begun = start(
        "generate",
        "--generate-disciplines",
        "--yes",
        "--model-name",
        "rehearsal?latency=30",
        "-o",
        "run",
        cwd=Path.cwd(),
    )
    while not Path("run/run.json").exists():
        time.sleep(0.05)
    begun.kill()
    begun.wait()
    code, _, err = glan("generate", "-o", "run", "--model-name", "rehearsal")
    assert code == 1 and "go on with: glan generate --generate-disciplines -o run, or name disciplines" in err
    assert "glan generate --generate-disciplines -o run goes on" in glan("status", "run")[1]
    assert glan("generate", "-o", "run", *OPTICS)[0] == 0
    assert made("run") == {"Optics"}


def test_a_taxonomy_by_itself_is_gone_on_with_by_its_own_command(glan: Glan) -> None:
    begun = start("taxonomy", "--model-name", "rehearsal?latency=30", "-o", "run", cwd=Path.cwd())
    while not Path("run/run.json").exists():
        time.sleep(0.05)
    begun.kill()
    begun.wait()
    assert "glan taxonomy -o run goes on" in glan("status", "run")[1]
    assert "go on with: glan taxonomy -o run, or name disciplines" in glan("generate", "-o", "run", *DEBUG)[2]


# --- files that are somebody's --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.json", "calls.jsonl", ".lock", "disciplines", "disciplines.txt"])
def test_no_log_is_written_into_a_file_of_the_run(glan: Glan, name: str) -> None:
    code, _, err = glan("generate", *OPTICS, "--logfile-name", name)
    assert code == 1 and f"--logfile-name '{name}': may be one of the run's own files" in err


def test_a_vote_is_written_over_a_list_and_over_nothing_else(glan: Glan) -> None:
    Path("run.json").write_text("{}")
    code, _, err = glan("taxonomy", "vote", "disciplines.txt", "--to", "run.json")
    assert code == 1 and Path("run.json").read_text() == "{}" and "is no .txt" in err
    for _ in range(2):
        code, out, _ = glan("taxonomy", "vote", "disciplines.txt", "--to", "kept.txt")
        assert code == 0 and out == "kept.txt: 2 disciplines that more than half of 1 files kept\n"


@pytest.mark.parametrize("command", ["generate", "taxonomy", "plan"])
def test_an_empty_word_is_no_folder(glan: Glan, folder: Path, command: str) -> None:
    code, _, err = glan(command, "--model-name", "rehearsal", "-o", "")
    assert code == 1 and "-o '' names no folder" in err and not (folder / "run.json").exists()


@pytest.mark.parametrize("command", ["plan", "doctor"])
def test_a_run_that_is_not_there_lends_no_settings(glan: Glan, command: str) -> None:
    code, _, err = glan(command, "-o", "nope", "--model-name", "rehearsal")
    assert code == 1 and "nope is no run" in err


# --- flags that do nothing together ---------------------------------------------------------------


@pytest.mark.parametrize("flag", [("--num-pairs", "5"), ("--holdout", "5"), ("--generate-question-only",)])
def test_what_shapes_questions_is_not_for_those_of_a_file(glan: Glan, flag: tuple[str, ...]) -> None:
    Path("q.jsonl").write_text('{"question": "What is light?"}\n')
    code, _, err = glan("generate", *DEBUG, "--questions-filepath", "q.jsonl", *flag, "-o", "run")
    assert code == 1 and f"{' '.join(flag)} is for questions that are made here" in err and not Path("run").exists()


@pytest.mark.parametrize(
    ("lines", "flags", "said"),
    [
        ("Dance,2\n", (), "--weights w.csv shares out --num-pairs N: give that too"),
        ("", ("--num-pairs", "4"), "--weights w.csv names no discipline"),
        ("Dance,2\nDANCE,1\n", ("--num-pairs", "4"), "'DANCE' has two weights; leave one"),
    ],
)
def test_weights_that_do_nothing_are_told(glan: Glan, lines: str, flags: tuple[str, ...], said: str) -> None:
    Path("w.csv").write_text(lines)
    code, _, err = glan("generate", *DEBUG, "--weights", "w.csv", *flags)
    assert code == 1 and said in err


def test_a_broken_line_is_named_by_its_number_in_the_file(glan: Glan) -> None:
    for broken in ('{"question": ""}', '{"question"', "[1]", "7"):
        Path("q.jsonl").write_text('\ufeff{"question": "What is light?"}\n\n\n' + broken + "\n")
        code, _, err = glan("answer", "--questions-filepath", "q.jsonl", *DEBUG)
        assert code == 1 and "q.jsonl, line 4: " in err


def test_a_key_that_is_named_and_not_there_is_told(glan: Glan) -> None:
    base = ("--base-url", "http://127.0.0.1:9/v1", "--model-name", "m")
    code, _, err = glan("doctor", *base, "--answer-base-url", "http://127.0.0.1:9/v2", "--answer-api-key-env", "TYPO")
    assert code == 1 and "--answer-api-key-env TYPO: the environment has no such variable" in err


# --- names ------------------------------------------------------------------------------------------


def test_the_next_command_can_be_pasted(glan: Glan) -> None:
    assert "next: glan status 'my $(run)'\n" in glan("generate", *OPTICS, "-o", "my $(run)")[2]


def test_a_language_is_no_folder(glan: Glan) -> None:
    words = ("--model-name", "rehearsal", "--language", "Serbian/Croatian", "--recipe", "debug", "--no-gates")
    assert glan("generate", *words, "--discipline", "Optics", "-o", "run")[0] == 0
    assert glan("export", "run", "--format", "azure", "--to", "out", "--allow-rehearsal")[0] == 0
    assert [path.name.split("_")[2] for path in Path("out").iterdir()] == ["Serbian-Croatian"]


def test_what_of_a_benchmark_was_found_is_told_by_status(glan: Glan) -> None:
    assert glan("generate", *OPTICS, "-o", "first")[0] == 0
    first = next(Path("first").rglob("questions.jsonl")).read_text(encoding="utf-8").splitlines()[0]
    Path("bench.jsonl").write_text(json.dumps({"question": json.loads(first)["question"]}) + "\n", encoding="utf-8")
    assert glan("generate", *OPTICS, "--against", "bench.jsonl", "-o", "second")[0] == 0
    assert "bench  1 items found, in 1 texts" in glan("status", "second")[1]


# --- Ctrl-C twice -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("taxonomy",), ("generate", "--discipline", "Optics")])
def test_a_second_ctrl_c_ends_with_the_same_exit_code(words: tuple[str, ...]) -> None:
    words = (*words, "--model-name", "rehearsal?latency=5", "-o", "run")
    process = subprocess.Popen(command(*words), env=environment(), stderr=subprocess.DEVNULL)
    while not Path("run/run.json").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert process.returncode == 3


# --- the simulated model, and models by their names -------------------------------------------------


def test_a_language_that_the_simulated_model_lacks_can_be_rehearsed(glan: Glan) -> None:
    words = ("--model-name", "rehearsal", "--language", "Thai", "--recipe", "debug", "--discipline", "Optics")
    code, out, err = glan("generate", *words, "-o", "run")
    assert code == 0 and "run: 2 instructions" in out and "rejected" not in out
    assert "the simulated model speaks no Thai: it wrote English instead" in err


def test_a_model_named_for_answers_that_made_the_questions_too_is_no_other_model(glan: Glan) -> None:
    assert glan("generate", *OPTICS, "-o", "run")[0] == 0
    assert glan("generate", *OPTICS, "-o", "run", "--model-name-for-answer", "rehearsal")[0] == 0
    assert (
        "model_name_for_answer"
        in glan("generate", *OPTICS, "-o", "run", "--model-name-for-answer", "rehearsal?refuse=0.1")[2]
    )


def test_a_test_set_that_is_not_answered_yet_is_no_missing_one(glan: Glan) -> None:
    assert glan("generate", *OPTICS, "--holdout", "1", "--generate-question-only", "-o", "run")[0] == 0
    err = glan("export", "run", "--holdout", "--to", "test.jsonl", "--allow-rehearsal")[2]
    assert "run has no accepted pairs of its test set yet; `glan generate -o run` goes on with it" in err
