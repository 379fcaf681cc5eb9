"""Each command as a user types it, in this process where that serves, in one of its own where signals are in play."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glan_dspy.cli.main import as_written_elsewhere
from tests.cli.typing_commands import Glan, typed_here
from tests.loopback_thread import pairs, rows, running
from tests.processes import command, environment, start

DEBUG = ("--model-name", "rehearsal", "--language", "English", "--recipe", "debug")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def glan(capsys: pytest.CaptureFixture[str]) -> Glan:
    return typed_here(capsys)


CONTRACT = """out output-dir recipe config seed disciplines-filepath language model-name model-name-for-answer
    max-number-of-fields max-number-of-subjects max-number-of-subtopics max-number-of-session-name num-iterations
    num-questions-per-iteration question-max-tokens question-batch-size answer-max-tokens answer-batch-size
    logfile-name generate-disciplines generate-question-only questions-filepath discipline yes base-url
    answer-base-url answer-api-key-env extra-body extra-header timeout reasoning-effort
    reasoning-headroom""".split()


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_help_of_generate_names_every_flag_at_any_width(
    glan: Glan, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    code, out, _ = glan("generate", "--help")
    assert code == 0
    assert [flag for flag in CONTRACT if not re.search(rf"--{flag}\b(?!-)", out)] == []


def test_help_of_glan_needs_neither_dspy_nor_pydantic() -> None:
    program = (
        "import sys; from glan_dspy.cli import run; run(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('dspy', 'openai', 'pydantic')))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "generate" in done.stdout


def test_version(glan: Glan) -> None:
    assert glan("--version")[1].startswith("glan-dspy ")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--model_name", "m"], ["--model-name", "m"]),
        (["--generate_disciplines", "False"], ["--no-generate-disciplines"]),
        (["--generate_question_only", "True", "--seed", "1"], ["--generate-question-only", "--seed", "1"]),
        (["--generate-question-only=false"], ["--no-generate-question-only"]),
        (["--discipline", "True"], ["--discipline", "True"]),
        (["--out=some_run"], ["--out=some_run"]),
    ],
)
def test_command_lines_of_the_azure_script_are_understood(words: list[str], meant: list[str]) -> None:
    assert as_written_elsewhere(words) == meant


def test_generate_says_what_it_made_and_goes_on_with_no_more_than_the_run(glan: Glan, folder: Path) -> None:
    code, out, err = glan("generate", *DEBUG, "--discipline", "Optics", "-o", "r")
    assert (code, out) == (0, "r: 2 instructions\n") and "next: glan status r" in err
    code, out, _ = glan("generate", "-o", "r")
    assert (code, out) == (0, "r: 2 instructions (2 of them from before)\n")
    assert len(rows(folder / "r", "calls")) == 1 + 1 + 2 + 2


def test_a_run_of_another_version_goes_on_with_one_line_about_it(glan: Glan, folder: Path) -> None:
    assert glan("generate", *DEBUG, "--discipline", "Optics")[0] == 0
    about = folder / "runs" / "first" / "run.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "versions": {"glan_dspy": "0.0.1"}}))
    first = start("generate", "-o", "runs/first", cwd=folder)
    assert first.wait() == 0
    told = [line for line in first.stderr.splitlines() if "0.0.1" in line]
    assert len(told) == 1 and told[0].startswith("glan: runs/first was begun with glan_dspy 0.0.1; this is ")
    assert "UserWarning" not in first.stderr and "warnings.warn" not in first.stderr


def test_a_discipline_added_to_the_file_joins_the_run(glan: Glan, folder: Path) -> None:
    (folder / "disciplines.txt").write_text("Optics\n")
    assert glan("generate", *DEBUG)[0] == 0
    (folder / "disciplines.txt").write_text("Optics\nDance\n")
    assert glan("generate")[0] == 0
    assert {row["discipline"] for row in rows(folder / "runs/first", "instructions")} == {"Optics", "Dance"}


def test_recipe_config_environment_and_flags_lie_on_one_another(
    glan: Glan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "c.toml").write_text("num_iterations = 2\nmax_number_of_subjects = 3\nseed = 4\n")
    monkeypatch.setenv("GLAN_MAX_NUMBER_OF_SUBJECTS", "1")
    words = ("generate", *DEBUG, "--config", "c.toml", "--discipline", "Optics", "--seed", "5")
    assert glan(*words)[0] == 0
    settings = json.loads((folder / "runs/first/run.json").read_text())["settings"]
    assert (settings["max_number_of_session_name"], settings["num_iterations"]) == (2, 2)
    assert (settings["max_number_of_subjects"], settings["seed"]) == (1, 5)


def test_status_has_the_promised_keys(glan: Glan) -> None:
    glan("generate", *DEBUG, "--discipline", "Optics")
    numbers = json.loads(glan("status", "runs/first", "--json")[1])
    promised = {
        "disciplines", "subjects", "syllabi", "questions", "instructions", "rejected", "calls", "prompt_tokens",
        "cached_tokens", "completion_tokens", "cost_usd", "complete",
    }  # fmt: skip
    assert promised <= numbers.keys()
    assert numbers["complete"] is True and numbers["calls"] == 6 and numbers["cost_usd"] == 0
    assert "complete  yes" in glan("status", "runs/first")[1]


def test_the_azure_export_is_its_file_to_the_key_order_and_name(glan: Glan, folder: Path) -> None:
    glan("generate", *DEBUG, "--discipline", "Optics")
    assert glan("export", "runs/first", "--format", "azure", "--to", "outputs")[0] == 0
    (file,) = (folder / "outputs").iterdir()
    assert re.fullmatch(r"GLAN_Instructions_English_2_Samples_[\w-]+\.jsonl", file.name)
    for line in file.read_text(encoding="utf-8").splitlines():
        assert list(json.loads(line)) == ["question", "subject", "level", "subtopics", "answer"]


def test_the_messages_export_keeps_question_and_answer_apart(glan: Glan, folder: Path) -> None:
    glan("generate", *DEBUG, "--discipline", "Optics")
    assert glan("export", "runs/first", "--to", "x/train.jsonl", "--allow-rehearsal")[0] == 0
    lines = [json.loads(line) for line in (folder / "x/train.jsonl").read_text(encoding="utf-8").splitlines()]
    made = {id: (question, answer) for id, question, answer in pairs(folder / "runs/first")}
    assert len(lines) == 2
    for line in lines:
        question, answer = made[line["id"]]
        assert line["messages"] == [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def test_a_question_file_of_the_azure_kind_is_answered(glan: Glan, folder: Path) -> None:
    glan("generate", *DEBUG, "--discipline", "Optics", "--generate-question-only")
    glan("export", "runs/first", "--format", "azure", "--to", "outputs")
    (file,) = (folder / "outputs").glob("GLAN_Questions_English_2_Samples_*.jsonl")
    words = ("--questions-filepath", str(file), "--model-name-for-answer", "rehearsal", "--language", "English")
    assert glan("answer", *words, "-o", "answered")[:2] == (0, "answered: 2 instructions\n")
    assert glan("generate", *words, "--model-name", "rehearsal", "-o", "also")[0] == 0
    asked = [json.loads(line)["question"] for line in file.read_text(encoding="utf-8").splitlines()]
    for name in ("answered", "also"):
        assert sorted(question for _, question, _ in pairs(folder / name)) == sorted(asked)
    assert glan("answer", "-o", "answered")[1] == "answered: 2 instructions (2 of them from before)\n"


def test_a_run_of_another_kind_is_left_alone(glan: Glan) -> None:
    glan("generate", *DEBUG, "--discipline", "Optics", "-o", "r")
    Path("q.jsonl").write_text('{"question": "Q?", "subject": "S", "level": 100, "subtopics": []}\n')
    code, _, err = glan("answer", "--questions-filepath", "q.jsonl", "-o", "r")
    assert code == 1 and "begun by `glan generate`" in err


def test_plan_asks_no_network_for_prices() -> None:
    env = {name: value for name, value in environment().items() if name != "LITELLM_LOCAL_MODEL_COST_MAP"}
    # Nothing answers at this address: a fetch would fail, and DSPy would say so.
    env["LITELLM_MODEL_COST_MAP_URL"] = "http://127.0.0.1:9/prices.json"
    words = command("plan", "--model-name", "gpt-4o-mini", "--discipline", "Optics")
    done = subprocess.run(words, env=env, capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "") and "price snapshot" in done.stdout


def test_plan_counts_the_calls_of_each_stage(glan: Glan) -> None:
    words = ("--discipline", "Optics", "--discipline", "Dance", "--recipe", "large", "--json")
    numbers = json.loads(glan("plan", *words)[1])
    assert numbers["calls"] == {"subjects": 2, "syllabus": 30, "question": 8100, "answer": 8100}
    paper = json.loads(glan("plan", "--discipline", "Optics", "--recipe", "paper", "--json")[1])
    assert paper["calls"]["subjects"] == 20 and paper["calls"]["syllabus"] == 400
    assert not Path("runs").exists()


def test_taxonomy_writes_an_outline_that_generate_takes(glan: Glan, folder: Path) -> None:
    code, out, _ = glan("taxonomy", "--model-name", "rehearsal", "--max-number-of-fields", "3", "-o", "r")
    assert (code, out) == (0, "r/disciplines.txt\n")
    tree = json.loads((folder / "r/taxonomy.json").read_text())
    assert len(tree["fields"]) == 3
    names = {name for field in tree["fields"] for sub in field["sub_fields"] for name in sub["disciplines"]}
    assert glan("generate", *DEBUG, "-o", "g", "--disciplines-filepath", "r/disciplines.txt")[0] == 0
    assert {row["discipline"] for row in rows(folder / "g", "instructions")} == names


def test_generated_disciplines_wait_for_a_person_unless_told_to_go_on(glan: Glan, folder: Path) -> None:
    code, _, err = glan("generate", *DEBUG, "--generate-disciplines", "-o", "r")
    assert code == 3 and "glan generate -o r --disciplines-filepath r/disciplines.txt" in err
    assert glan("generate", "-o", "r", "--disciplines-filepath", "r/disciplines.txt")[0] == 0
    assert len(pairs(folder / "r")) > 0
    assert glan("generate", *DEBUG, "--generate-disciplines", "--yes", "-o", "s")[0] == 0
    assert sorted(pairs(folder / "s")) == sorted(pairs(folder / "r"))


def test_vote_keeps_what_a_majority_kept(glan: Glan, folder: Path) -> None:
    (folder / "a.txt").write_text("# Science\n## Hard\nOptics\nMagic\n# Crafts\nBasketry\n")
    (folder / "b.txt").write_text("# Science\n## Hard\nOptics\n- Magic\nStatics\n")
    (folder / "c.txt").write_text("# Science\n## Hard\nOptics\nStatics\n- # Crafts\nBasketry\n")
    code, out, _ = glan("taxonomy", "vote", "a.txt", "b.txt", "c.txt")
    assert (code, out) == (0, "# Science\n## Hard\nOptics\nStatics\n")
    assert glan("taxonomy", "vote", "a.txt", "--to", "v.txt")[0] == 0
    assert (folder / "v.txt").read_text() == "# Science\n## Hard\nOptics\nMagic\n\n# Crafts\nBasketry\n"


def test_doctor_tells_of_each_model(glan: Glan) -> None:
    code, out, _ = glan("doctor", "--model-name", "rehearsal", "--model-name-for-answer", "rehearsal?empty=1")
    assert code == 1 and out.count("text        yes") == 1 and out.count("structured  yes") == 1
    with running() as (base_url, _):
        code, out, _ = glan("doctor", "--base-url", base_url, "--model-name", "sim")
    assert code == 0 and "sim (curriculum, question, answer)" in out
    code, out, _ = glan("doctor", "--base-url", base_url, "--model-name", "sim")
    assert code == 1 and "no connection" in out


def interrupted(folder: Path, *signals: signal.Signals) -> tuple[int, str, int, int]:
    """(exit code, stderr, calls that the server answered, calls that the run has on record)."""
    with running("rehearsal?latency=0.4&server_error=0.3") as (base_url, server):
        words = ("generate", "--base-url", base_url, "--model-name", "sim", "--language", "English", "-o", "r")
        process = start(*words, "--discipline", "Optics", "--discipline", "Dance", "--num-iterations", "9", cwd=folder)
        while sum(server.answered.values()) < 12:
            time.sleep(0.02)
        for number in signals:
            process.send(number)
            time.sleep(0.1)
        code = process.wait()
        time.sleep(0.8)
        paid = [line for line in rows(folder / "r", "calls") if "error" not in line]
        return code, process.stderr, sum(server.answered.values()), len(paid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_finishes_what_is_in_flight_and_says_how_to_go_on(folder: Path, number: signal.Signals) -> None:
    code, err, answered, recorded = interrupted(folder, number)
    assert code == 3 and err.splitlines()[-1] == "glan: stopped; go on with: glan generate -o r"
    assert answered == recorded < 100


def test_a_second_interrupt_ends_at_once(folder: Path) -> None:
    code, err, answered, recorded = interrupted(folder, signal.SIGINT, signal.SIGINT)
    assert code == 3 and "go on with: glan generate -o r" in err.splitlines()[-1]
    assert recorded <= answered


def test_progress_off_a_terminal_is_plain_lines_on_stderr(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glan_dspy.cli.progress.EVERY", 0.2)
    process = subprocess.run(
        [sys.executable, "-c", "from glan_dspy.cli import progress, run; progress.EVERY = 0.2; import sys; "
         "sys.exit(run(sys.argv[1:]))", "generate", *DEBUG[2:], "--model-name", "rehearsal?latency=0.5",
         "--discipline", "Optics"],
        cwd=folder, env=environment(NO_COLOR="1"), capture_output=True, text=True, encoding="utf-8")  # fmt: skip
    assert process.stdout == "runs/first: 2 instructions\n"
    assert "1/1 disciplines" in process.stderr or "0/1 disciplines" in process.stderr
    assert "\x1b" not in process.stderr


def test_keys_are_in_no_file_and_no_message(folder: Path) -> None:
    key = "sk-secret-0123456789"
    with running("rehearsal?server_error=0.3") as (base_url, _):
        words = ("generate", *DEBUG[2:], "--base-url", base_url, "--model-name", "sim", "--discipline", "Optics",
                 "--extra-header", f"X-Key: {key}-header")  # fmt: skip
        process = start(*words, cwd=folder, OPENAI_API_KEY=key)
        assert process.wait() == 0, process.said
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"sk-secret" not in written and "sk-secret" not in process.said


@pytest.mark.parametrize("closed", ["1>&-", "2>&-"])
def test_a_closed_stream_is_no_mistake(closed: str) -> None:
    words = shlex.join(command("--version"))
    assert subprocess.run(f"exec {words} {closed}", shell=True, env=environment(), check=False).returncode == 0


@pytest.mark.parametrize(
    ("unbuffered", "model", "code", "last"),
    [("1", "rehearsal?refuse=1", 3, "pairs short"), ("", "rehearsal", 0, "next: ")],
)
def test_what_came_of_a_run_does_not_depend_on_who_reads_it(
    tmp_path: Path, unbuffered: str, model: str, code: int, last: str
) -> None:
    """`glan generate | head -0` and the like: an unfinished run is not taken for done, nor a finished one for a bug."""
    words = ["generate", "--model-name", model, "--model-name-for-curriculum", "rehearsal", "--num-pairs", "2"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command(*words, "--language", "English", "--discipline", "Optics", "-o", "run"),
        cwd=tmp_path,
        env=environment(PYTHONUNBUFFERED=unbuffered),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == code and last in done.stderr.splitlines()[-1], done.stderr
    assert "Broken pipe" not in done.stderr
