"""The commands that the documentation's pages show, in order, with what the pages say comes of them.

A page shows commands in two kinds of block, and nowhere else:

    ```sh         each line is a command; a line that ends with a backslash goes on
    ```console    lines behind `$ ` are commands, the others are what they print; `…` stands for anything

`# exit code 3` behind a command says that it ends with that code; otherwise it ends with 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

NOT_RUN = frozenset({"json", "text", "yaml", "toml", "diff", "python"})
"""Blocks that hold no commands. The README's Python is run by tests/test_readme.py."""


class Block(NamedTuple):
    kind: str
    line: int
    """Of the page, where the block's first line stands."""
    lines: list[str]


class Command(NamedTuple):
    text: str
    line: int
    shown: tuple[str, ...] = ()
    """Lines that the page says it prints."""
    code: int = 0


def blocks(page: Path) -> Iterator[Block]:
    kind, start, held = "", 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.fullmatch(r"```(\w*)", line.strip())
        if fence is None:
            held.append(line)
        elif start:
            yield Block(kind, start, held)
            start = 0
        else:
            kind, start, held = fence[1], number + 1, []


def commands(page: Path) -> list[Command]:
    found: list[Command] = []
    for block in blocks(page):
        if block.kind == "sh":
            found += in_script(block)
        elif block.kind == "console":
            found += in_transcript(block)
    return found


def in_script(block: Block) -> Iterator[Command]:
    for number, line in whole_lines(block):
        if line.strip() and not line.lstrip().startswith("#"):
            yield command(line, number)


def in_transcript(block: Block) -> Iterator[Command]:
    typed: Command | None = None
    for number, line in whole_lines(block):
        if line.startswith("$ "):
            if typed:
                yield typed
            typed = command(line[2:], number)
        elif typed:
            typed = typed._replace(shown=(*typed.shown, line))
    if typed:
        yield typed


def whole_lines(block: Block) -> Iterator[tuple[int, str]]:
    """The lines with those behind a backslash put together, each with its number on the page."""
    held = ""
    for number, line in enumerate(block.lines, block.line):
        if line.endswith("\\"):
            held += line[:-1].rstrip() + " "
        else:
            yield number, held + (line.lstrip() if held else line)
            held = ""


def command(text: str, line: int) -> Command:
    said = re.search(r"#.*exit code (\d+)", text)
    return Command(text.strip(), line, code=int(said[1]) if said else 0)
