"""A user's mistake gets one line that says what is wrong and what to do, exit code 1, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from glan_dspy.cli.main import run

REHEARSAL = ("--model-name", "rehearsal", "--language", "English", "--recipe", "debug")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Told:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def one_line(self, *parts: str) -> None:
        assert self.code == 1, (self.code, self.err)
        assert self.err.count("\n") == 1 and "Traceback" not in self.err, self.err
        for part in parts:
            assert part in self.err, (part, self.err)


@pytest.fixture
def glan(capsys: pytest.CaptureFixture[str]) -> object:
    def call(*words: str) -> Told:
        code = run(words)
        return Told(code, *capsys.readouterr())

    return call


@pytest.mark.parametrize("flag", ["timeout", "candidate-budget", "rpm", "max-cost", "double-share"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_what_run_json_could_not_hold_is_refused(glan, folder, flag: str, value: str) -> None:  # type: ignore[no-untyped-def]
    glan("generate", *REHEARSAL, "--discipline", "Optics", f"--{flag}", value).one_line(f"--{flag}", value)
    assert not (folder / "runs").exists()


def test_a_discipline_of_blanks_is_none(glan, folder) -> None:  # type: ignore[no-untyped-def]
    (folder / "q.jsonl").write_text('{"question": "Why?", "discipline": "\u00a0"}\n', encoding="utf-8")
    flags = ("--model-name", "rehearsal", "--language", "English")
    assert glan("answer", "--questions-filepath", "q.jsonl", "-o", "run", *flags).code == 0
    assert glan("status", "run").code == 0


def test_a_missing_disciplines_file(glan, folder) -> None:  # type: ignore[no-untyped-def]
    glan("generate", *REHEARSAL).one_line("disciplines.txt", "--disciplines-filepath", "--discipline NAME")
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ("names no discipline",)),
        (b"# Only a field\n\n", ("names no discipline",)),
        (b"Optics\n../../etc/passwd\n", ("line 2", "looks like a path")),
        (b"Optics\n/root/secret\n", ("line 2", "looks like a path")),
        (b"Optics\nC:\\temp\n", ("line 2", "looks like a path")),
        (b"x" * 10_240 + b"\n", ("line 1", "10240 characters", "at most 200")),
        (b"Optics\nDance\n  OPTICS \n", ("twice", "line 1", "line 3")),
        ("Optics\nÖkologie\n".encode("latin-1"), ("not UTF-8",)),
        (b"Op\x00tics\n", ("line 1", "control character")),
    ],
)
def test_a_bad_disciplines_file(glan, folder, content: bytes, parts: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    (folder / "d.txt").write_bytes(content)
    glan("generate", *REHEARSAL, "--disciplines-filepath", "d.txt").one_line("d.txt", *parts)
    assert not (folder / "runs").exists()


def test_the_same_discipline_twice_on_the_command_line(glan) -> None:  # type: ignore[no-untyped-def]
    glan("generate", *REHEARSAL, "--discipline", "Optics", "--discipline", "optics").one_line("twice")


def test_a_path_on_the_command_line_is_not_told_of_as_a_line_of_a_file(glan) -> None:  # type: ignore[no-untyped-def]
    told = glan("generate", *REHEARSAL, "--discipline", "../../x")
    told.one_line("--discipline '../../x' looks like a path", "a discipline's name")
    assert "file" not in told.err


def test_a_vote_over_a_missing_file_names_no_flag_that_vote_has_not(glan) -> None:  # type: ignore[no-untyped-def]
    told = glan("taxonomy", "vote", "nope.txt")
    told.one_line("there is no disciplines file nope.txt")
    assert "--discipline" not in told.err


def test_names_in_any_script_get_folders_of_their_own_inside_the_run(glan, folder) -> None:  # type: ignore[no-untyped-def]
    names = ["언어학", "言語学", "लिपि", "علم الضوء", "???", "!!!", "TCP/IP networks", "a" * 200, "a" * 199 + "b"]
    words = [word for name in names for word in ("--discipline", name)]
    assert glan("generate", *REHEARSAL, *words).code == 0
    folders = [path.name for path in (folder / "runs/first/disciplines").iterdir()]
    assert len(folders) == len(names) and any(name.startswith("언어학-") for name in folders)
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["first"]


def test_an_unknown_config_key(glan, folder) -> None:  # type: ignore[no-untyped-def]
    (folder / "c.toml").write_text("num_iteration = 3\n")
    glan("generate", *REHEARSAL, "--config", "c.toml").one_line("c.toml", "'num_iteration'", "'num_iterations'")


def test_a_config_file_that_is_missing_or_no_toml(glan, folder) -> None:  # type: ignore[no-untyped-def]
    glan("generate", *REHEARSAL, "--config", "none.toml").one_line("none.toml")
    (folder / "c.toml").write_text("num_iterations: 3\n")
    glan("generate", *REHEARSAL, "--config", "c.toml").one_line("not TOML")


def test_an_unknown_recipe(glan) -> None:  # type: ignore[no-untyped-def]
    glan("generate", "--recipe", "larg").one_line("'larg'", "large", "paper")


@pytest.mark.parametrize("flag", ["--num-iterations", "--max-number-of-subjects", "--answer-batch-size", "--seed"])
@pytest.mark.parametrize("value", ["-1", "many", "1.5"])
def test_counts_that_are_no_counts(glan, flag: str, value: str) -> None:  # type: ignore[no-untyped-def]
    glan("generate", *REHEARSAL, flag, value).one_line(flag, value)


def test_zero_is_no_count_either(glan) -> None:  # type: ignore[no-untyped-def]
    flag = "--num-questions-per-iteration"
    glan("generate", *REHEARSAL, flag, "0").one_line(flag, "greater")


@pytest.mark.parametrize(
    ("words", "flag", "value", "allowed"),
    [
        ("show", "-n", "0", "--limit '0': input should be greater than or equal to 1"),
        ("judge", "--sample", "0", "--sample '0': input should be greater than or equal to 1"),
        ("judge", "--votes", "x", "--votes 'x': input should be a valid integer"),
        ("curate", "--near", "x", "--near 'x': input should be a valid number"),
        ("evaluate", "--show", "-1", "--show '-1': input should be greater than or equal to 0"),
        ("export r --to t.jsonl", "--min-score", "9", "--min-score '9': input should be less than or equal to 5"),
        ("export r --to t.jsonl", "--shard-size", "x", "--shard-size 'x': input should be a valid integer"),
    ],
)
def test_a_number_that_only_one_command_has_is_told_of_as_those_of_the_settings(  # type: ignore[no-untyped-def]
    glan, words: str, flag: str, value: str, allowed: str
) -> None:
    glan(*words.split(), flag, value).one_line(f"glan: {allowed}")


def test_no_key(glan, folder) -> None:  # type: ignore[no-untyped-def]
    told = glan("generate", "--discipline", "Optics", "--model-name", "gpt-4o")
    told.one_line("OPENAI_API_KEY", "--base-url", "rehearsal")
    assert not (folder / "runs").exists()


def test_no_key_for_azure(glan, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://nowhere.invalid")
    glan("generate", "--discipline", "Optics", "--model-name", "gpt-4o").one_line("AZURE_OPENAI_API_KEY")


def test_a_misspelt_fault_of_the_simulated_model(glan) -> None:  # type: ignore[no-untyped-def]
    glan("generate", "--discipline", "Optics", "--model-name", "rehearsal?latancy=1").one_line("latancy", "latency")


@pytest.mark.parametrize("content", ["{", "[]", '{"answer.write": {"signature": {}}}', '{"a": 1}'])
def test_a_program_file_of_another_shape(glan, folder, content: str) -> None:  # type: ignore[no-untyped-def]
    (folder / "p.json").write_text(content)
    glan("generate", *REHEARSAL, "--discipline", "Optics", "--program", "p.json").one_line("p.json")
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('{"question": "Q", "subject": "S", "level": 100, "subtopics": []}\n{"question": \n', ("line 2",)),
        ('{"question": "Q", "subject": "S", "level": 100, "subtopics": []}\n\n[1]\n', ("line 3",)),
        ('{"text": "Q"}\n', ("line 1", '"question"')),
        ("", ("holds no questions",)),
        ('{"question": "Q", "subtopics": "x"}\n', ("line 1: subtopics 'x': input should be a valid list\n",)),
    ],
)
def test_a_bad_questions_file(glan, folder, content: str, parts: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    (folder / "q.jsonl").write_text(content)
    glan("answer", "--questions-filepath", "q.jsonl", "--model-name", "rehearsal").one_line("q.jsonl", *parts)
    assert not (folder / "runs").exists()


def test_other_content_settings_on_an_old_run(glan, folder) -> None:  # type: ignore[no-untyped-def]
    assert glan("generate", *REHEARSAL, "--discipline", "Optics").code == 0
    before = {path: path.read_bytes() for path in (folder / "runs").rglob("*.jsonl")}
    told = glan("generate", *REHEARSAL[:3], "Korean", *REHEARSAL[4:], "--discipline", "Optics", "--seed", "9")
    told.one_line("language 'English' -> 'Korean'", "seed 0 -> 9", "--out")
    assert before == {path: path.read_bytes() for path in (folder / "runs").rglob("*.jsonl")}


def test_a_run_that_cannot_be_written(glan, folder) -> None:  # type: ignore[no-untyped-def]
    (folder / "file").write_text("")
    glan("generate", *REHEARSAL, "--discipline", "Optics", "-o", "file").one_line("cannot write to file")
    glan("generate", *REHEARSAL, "--discipline", "Optics", "-o", "/proc/run").one_line("cannot write to /proc/run")


@pytest.mark.parametrize("command", [("status",), ("export", "--to", "x.jsonl")])
def test_a_run_that_is_none(glan, folder, command: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    glan(command[0], str(folder), *command[1:]).one_line("is no run")


def test_a_run_of_a_newer_version(glan, folder) -> None:  # type: ignore[no-untyped-def]
    (folder / "run.json").write_text('{"version": 99, "settings": {}, "versions": {"glan_dspy": "9.0"}}')
    glan("status", ".").one_line("newer version", "9.0")


def test_an_unknown_flag_or_command_is_a_usage_error(glan) -> None:  # type: ignore[no-untyped-def]
    assert glan("generate", "--modle-name", "x").code == 2
    assert glan("generat").code == 2
    assert glan("export").code == 2


def test_an_environment_variable_that_is_no_setting(glan, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("GLAN_LANGAUGE", "Thai")
    glan("generate", *REHEARSAL, "--discipline", "Optics").one_line("GLAN_LANGAUGE", "GLAN_LANGUAGE")


def test_extra_body_that_is_no_json(glan) -> None:  # type: ignore[no-untyped-def]
    glan("generate", *REHEARSAL, "--discipline", "Optics", "--extra-body", "{top_k: 1}").one_line("--extra-body")
    glan("generate", *REHEARSAL, "--discipline", "Optics", "--extra-body", "[1]").one_line("--extra-body")


def test_simulated_pairs_are_not_exported_for_training_unasked(glan, folder) -> None:  # type: ignore[no-untyped-def]
    assert glan("generate", *REHEARSAL, "--discipline", "Optics").code == 0
    glan("export", "runs/first", "--to", "t.jsonl").one_line("rehearsal", "--allow-rehearsal")
    assert not (folder / "t.jsonl").exists()
    assert glan("export", "runs/first", "--to", "t.jsonl", "--allow-rehearsal").code == 0
    glan("export", "runs/first", "--to", "t.jsonl", "--format", "parquett").one_line("'parquett'", "messages")
    glan("export", "runs/first", "--to", ".", "--allow-rehearsal").one_line("is a folder")
