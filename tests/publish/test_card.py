"""The dataset card: true to the run, readable by the Hub, without what is nobody's business."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.cli.main import run as glan
from glan_dspy.publish.again import content_settings, generate_command
from glan_dspy.publish.card import plain, size_category
from glan_dspy.publish.formats import Wording
from glan_dspy.records import Rejected
from glan_dspy.run.store import Run
from tests.loopback_thread import pairs
from tests.publish.made import make_run, pair, put

SECRET_AND_PLACES: dict[str, Any] = {
    "extra_header": ("X-Key: topsecret",),
    "extra_body": {"service_tier": "flex", "api_key": "topsecret"},
    "base_url": "http://box-17.corp.example:8000/v1",
    "answer_base_url": "http://10.0.0.7/v1",
    "answer_api_key_env": "TOPSECRET_KEY",
    "disciplines_filepath": "/srv/anna/lists/mine.txt",
    "against": ("/srv/anna/benchmarks/gsm8k.jsonl", r"C:\anna\mmlu"),
    "model_name": "/srv/anna/models/small-7b",
    "logfile_name": "anna.log",
}


def card_of(run: Run, to: Path, **wanted: Any) -> str:
    put(run, to, **wanted)
    return (to / "README.md").read_text(encoding="utf-8")


def metadata_of(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


def test_the_hub_reads_its_metadata_and_no_licence_is_invented(tmp_path: Path) -> None:
    run = make_run(tmp_path / "my run", [pair(1), pair(2, language="Norwegian"), pair(3, language="Klingon")])
    card = card_of(run, tmp_path / "set", split="train=0.5,val=0.5")
    assert metadata_of(card) == {
        "pretty_name": "my run",
        "language": ["en", "no"],
        "size_categories": ["n<1K"],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "instruction-tuning", "glan"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": "train", "path": "train-*.parquet"},
                    {"split": "val", "path": "val-*.parquet"},
                ],
            }
        ],
    }
    assert "# license: name one here" in card and "None is chosen yet" in card
    assert "does not know Klingon" in card


def test_it_tells_what_is_in_it_and_what_fell(tmp_path: Path) -> None:
    made = [pair(n, name) for name, count in {"Optics": 5, "Algebra": 3}.items() for n in range(count)]
    run = make_run(tmp_path / "run", [*made, pair(9, held_out=True)], price_in=("2.5",), seed=7)
    shelf = run.shelf(run.disciplines()[0])
    shelf.append("rejected", *(Rejected(id=f"r{n}", stage="answer", reason="refusal") for n in range(2)))
    shelf.append("decisions", {"id": made[0].id, "decision": "dropped", "reason": "near_duplicate"})
    call = {"id": "c", "stage": "answer", "prompt_tokens": 1000, "completion_tokens": 200, "cost_usd": 1.234}
    shelf.append("calls", call)
    shelf.close()
    card = card_of(run, tmp_path / "set", only="level < 900", wording=Wording("Be *brief*."))
    for line in (
        "| Optics | 4 |",
        "| Algebra | 3 |",
        "| train | 7 |",
        "| refusal | 2 |",
        "| near_duplicate (whole run) | 1 |",
        "| curriculum | asker |",
        "| questions | asker |",
        "| answers | teller |",
        "| calls | 1 |",
        "| cost of the whole run | $1.23 |",
        "| price in, dollars for a million tokens | 2.5 |",
        "| seed | 7 |",
        "| program digest | d1 |",
        "Only pairs that fit: level &#60; 900",
        "Every row has this system prompt: Be &#42;brief&#42;.",
        "The run keeps 1 further pairs apart as a test set. They are not in these files.",
        "The pairs were not held against any benchmark.",
        "The run was not complete when this was exported.",
    ):
        assert f"{line}\n" in card, line
    assert "no training data" not in card


def test_simulated_pairs_are_called_that_first(tmp_path: Path) -> None:
    card = card_of(make_run(tmp_path / "run", [pair(1, simulated=True)]), tmp_path / "set", allow_rehearsal=True)
    assert "> **This is no training data.** 1 of the 1 pairs" in card and "simulated" in metadata_of(card)["tags"]


def test_a_run_json_with_lines_taken_out_still_gets_a_card(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    about = run.about()
    run.write_about({"version": 1, "settings": {"language": "English"}, "disciplines": about["disciplines"]})
    card = card_of(run, tmp_path / "set")
    assert "| program digest | not known |" in card and "| curriculum | not known |" in card


def test_no_key_address_or_folder_of_a_machine_is_in_it(tmp_path: Path) -> None:
    one = pair(1, question_model=SECRET_AND_PLACES["model_name"])
    card = card_of(make_run(tmp_path / "run", [one], **SECRET_AND_PLACES), tmp_path / "set")
    for word in ("topsecret", "TOPSECRET", "corp.example", "10.0.0.7", "anna", "/srv", str(tmp_path)):
        assert word not in card, word
    for word in ("small-7b", "mine.txt", "gsm8k.jsonl", "mmlu", "api_key, service_tier"):
        assert word in card, word


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    name = "<script>alert(1)</script> | [x](http://x) `{{ 7*7 }}` **b**\n# Heading"
    card = card_of(make_run(tmp_path / 'r"un: {{x}}', [pair(1, name)]), tmp_path / "set", only="id != '```'")
    assert "<script" not in card and "](http://x)" not in card and "49" not in card
    assert metadata_of(card)["pretty_name"] == 'r"un: {{x}}'
    (row,) = [line for line in card.splitlines() if "alert(1)" in line and line.endswith("| 1 |")]
    assert len(re.findall(r"\|", row)) == 3
    assert "````\nglan generate" in card


@given(st.text())
def test_plain_text_has_nothing_of_markdown_in_it(text: str) -> None:
    assert not set(plain(text)) & set("\n\r|<>`*[]{}\\$~!")


@pytest.mark.parametrize(
    ("rows", "size"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10_000_000, "10M<n<100M"), (10**12, "n>1T")],
)
def test_sizes_are_the_hub_s(rows: int, size: str) -> None:
    assert size_category(rows) == size


def test_the_command_in_the_card_makes_the_same_pairs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text("Optics\nWorld History\n")
    words = "--recipe debug --model-name rehearsal --language French --double-share 0.25 --no-gates --seed 5"
    assert glan(["generate", *words.split(), "--disciplines-filepath", "mine.txt", "-o", "runs/a b"]) == 0
    words = "--format sharegpt --only 'level >= 100' --split train=0.5,val=0.5 --reasoning think-tags --allow-rehearsal"
    assert glan(["export", "runs/a b", *shlex.split(words), "--to", "set"]) == 0
    before, data = pairs(Path("runs/a b")), {path.name: path.read_bytes() for path in Path("set").glob("*.parquet")}
    (commands,) = re.findall(r"```\n(.*?)\n```", Path("set/README.md").read_text(), re.DOTALL)
    Path("runs/a b").rename("old")
    Path("set").rename("old-set")
    for command in commands.replace("\\\n", " ").splitlines():
        assert glan(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert len(before) == 4 and sorted(pairs(Path("runs/a b"))) == sorted(before)
    assert {path.name: path.read_bytes() for path in Path("set").glob("*.parquet")} == data


def test_a_command_names_what_decided_the_pairs_and_not_how_fast() -> None:
    settings = {"model_name": "m", "language": "Thai", "seed": 0, "gates": False, "concurrency": 9, "num_pairs": 50}
    about = {"kind": "generate", "settings": settings}
    assert content_settings(about) == {
        "model_name": "m",
        "language": "Thai",
        "seed": 0,
        "gates": False,
        "num_pairs": 50,
    }
    assert generate_command(about, "my run") == [
        "glan generate", "--model-name m", "--language Thai", "--seed 0", "--no-gates", "--num-pairs 50",
        "-o 'runs/my run'",
    ]  # fmt: skip


def test_a_run_of_answers_names_its_question_file() -> None:
    about = {"kind": "answer", "settings": {"model_name": "m", "questions_filepath": "/data/q.jsonl"}}
    assert generate_command(about, "r") == [
        "glan answer",
        "--model-name m",
        "--questions-filepath q.jsonl",
        "-o runs/r",
    ]
