"""What the pages say is true: their Python runs, their commands and flags exist, their links lead somewhere."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from glan_dspy.cli.main import COMMANDS, run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_the_readmes_python_runs_as_written(number: int) -> None:
    space: dict[str, object] = {}
    exec(compile(PYTHON[number], "README.md", "exec"), space)
    for name, test in space.items():
        if name.startswith("test_") and callable(test):
            test()


def test_the_readme_has_the_two_commands_each_enough_alone() -> None:
    blocks = re.findall(r"```\w*\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert "pip install uv && uv run glan generate --model-name rehearsal --language English" in blocks
    assert "pip install uv && uv run pytest" in blocks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_flag_on_the_page_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"(?:^|`|\s)glan ([a-z]+[^`\n#]*)", text):
        command = line.split()[0]
        if command not in COMMANDS:
            assert command in {"stands", "and"}, f"{page.name}: glan {line}"
            continue
        words = [command, *(["vote"] if line.split()[1:2] == ["vote"] else []), "--help"]
        assert run(words) == 0
        known = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        written = {flag.replace("_", "-") for flag in re.findall(r"(?<!\S)--[a-z][a-z_-]*", line)}
        assert written <= known | {"--help"}, f"{page.name}: glan {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_the_page_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_tree_names_every_file_that_is_there_and_none_that_is_gone() -> None:
    tree = re.search(r"```text\n(disciplines\.txt.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert tree
    folders = ("benchmarks", "docs", "glan_dspy", "optimize", "signatures", "tests")
    there = {path.name for folder in folders for path in (ROOT / folder).rglob("*.*")}
    named = set(re.findall(r"[\w*]+\.(?:py|js|css|toml)\b", tree[1]))
    assert [name for name in named if not any(fnmatch(file, name) for file in there)] == []
    ours = [path for folder in folders[2:5] for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py"]
    alike = {path.name for path in ours if path.parent.name == "cli"}  # "one file a command"
    assert sorted({path.name for path in ours if not any(fnmatch(path.name, name) for name in named)} - alike) == []
