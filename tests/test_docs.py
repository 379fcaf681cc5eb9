"""Every command of the pages does what they say: typed in order, page by page, in an empty directory."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback_thread import serving
from tests.pages import NOT_RUN, PAGES, ROOT, blocks, commands
from tests.reader import Reader, Server, missing, parts

SKIPPED = {
    "pip install uv": "needs the network; the tests run in what it leads to",
    "uv sync": "needs the network; the same",
    "source .venv/bin/activate": "puts `glan` on the path, where the tests have it",
    "cd glan-dspy": "the clone's folder, which is the test's own",
    "uv run pytest": "the tests are what runs",
    "uv run ruff": "run beside the tests",
    "uv run mypy": "run beside the tests",
    "uv run python -m benchmarks.": "takes minutes",
    "uv run python docs/make_settings.py": "writes into the repository; tested below",
    "vllm serve": "needs a graphics card",
    "ray ": "begins a cluster; tests/run/test_cluster.py has one",
    "glan generate --ray": "needs that cluster",
    "ollama pull": "needs the network",
    "OLLAMA_CONTEXT_LENGTH=16384 OLLAMA_NUM_PARALLEL=4 ollama serve": "a server of its own",
    "python -m tests.optimize.teachable": "the test's server has these models too",
}
"""Commands that are shown and not run, by their beginning, and why."""

SNAIL = "A snail climbs 3 metres a day and slides back 2 each night. How long is it on its way up a wall of 30 metres?"
INPUTS = {
    "testsets/gsm8k.jsonl": {"question": SNAIL},
    "testsets/mmlu/physics.jsonl": {"question": SNAIL.replace("snail", "beetle")},
    "samples/GLAN_Questions_Korean_100_Samples_1a2b.jsonl": {
        "question": "달팽이는 30미터 벽을 오르는 데 며칠이 걸립니까?",
        "subject": "산수",
        "level": 100,
        "subtopics": ["속력"],
    },
}
"""Files that a page speaks of and that a reader brings along, with one row each."""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(Server()) as address:
        yield address


@pytest.fixture
def reader(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.chdir(tmp_path)
    Path("docs/samples").mkdir(parents=True)
    for name, row in INPUTS.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    return Reader(address, monkeypatch)


def follow(page: Path, reader: Reader) -> None:
    """Types the page from its first command to its last."""
    for command in commands(page):
        left = [part for part in parts(command.text) if not skipped(part)]
        if left:
            said = reader.type(command._replace(text=" && ".join(left)))
            line = missing(command.shown, said)
            assert line is None, f"{named(page)}:{command.line}: {command.text}\nsaid\n{said}\nand not\n{line}"


def skipped(part: str) -> str | None:
    return next((beginning for beginning in SKIPPED if part.startswith(beginning)), None)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=named)
def test_the_commands_of_the_page_do_what_it_says(page: Path, reader: Reader) -> None:
    follow(page, reader)


def test_the_samples_are_what_their_page_makes(reader: Reader) -> None:
    follow(ROOT / "docs/samples/README.md", reader)
    for made in Path("docs/samples").iterdir():
        there = (ROOT / made).read_text(encoding="utf-8").splitlines()
        assert sorted(map(pair, made.read_text(encoding="utf-8").splitlines())) == sorted(map(pair, there))


def pair(line: str) -> tuple[str, str, str]:
    row = json.loads(line)
    return row["id"], row["question"], row["answer"]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_stand_in_blocks_that_are_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        assert block.kind in {"sh", "console", *NOT_RUN}, f"{named(page)}:{block.line}: a block of no known kind"
    assert not re.search(r"^ {4}(\$ )?(glan|uv|pip|python) ", text, re.MULTILINE), "an indented block is not run"
    for block in blocks(page):
        if block.kind == "sh":
            assert "…" not in "".join(block.lines), f"{named(page)}:{block.line}: nobody can paste `…`"


def test_each_reason_to_skip_is_needed() -> None:
    all_parts = [part for page in PAGES for command in commands(page) for part in parts(command.text)]
    assert SKIPPED.keys() == {skipped(part) for part in all_parts} - {None}


def test_what_is_skipped_names_files_that_are_there() -> None:
    for page in PAGES:
        for command in commands(page):
            if skipped(command.text):
                for path in re.findall(r"\b(?:tests|benchmarks)/[\w/.-]+", command.text):
                    assert (ROOT / path).exists(), f"{named(page)}:{command.line}: {path}"
                for module in re.findall(r"python -m (benchmarks\.\w+)", command.text):
                    assert (ROOT / f"{module.replace('.', '/')}.py").exists(), f"{named(page)}: {module}"


def test_the_page_of_settings_is_what_the_code_says() -> None:
    made = runpy.run_path(str(ROOT / "docs/make_settings.py"))["page"]()
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == made, "uv run python docs/make_settings.py"
