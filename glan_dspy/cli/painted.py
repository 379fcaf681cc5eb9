"""A page as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from glan_dspy.cli.page import Fact, Page
from glan_dspy.cli.prose import prose, verbatim
from glan_dspy.visible import one_line, visible

NARROWEST, WIDEST = 20, 100
"""Columns: longer lines are hard to read, shorter ones the terminal breaks itself."""

_THEME = Theme(
    {
        "markdown.math": "cyan",
        "markdown.code": "bold",
        "markdown.h1": "bold underline",
        "markdown.h2": "bold underline",
        "markdown.h3": "bold",
        "markdown.table.border": "dim",
    }
)


class Painter:
    """Draws pages for a terminal of this width; without colours where `plain`, or where the environment says so."""

    def __init__(self, width: int, *, plain: bool = False) -> None:
        self._console = Console(
            file=StringIO(),
            width=max(NARROWEST, min(width, WIDEST)),
            force_terminal=not plain,
            theme=_THEME,
            highlight=False,
            legacy_windows=False,
        )

    def __call__(self, page: Page) -> str:
        with self._console.capture() as drawn:
            for part in _parts(page):
                self._console.print(part)
        return drawn.get()


def _parts(page: Page) -> Iterator[RenderableType]:
    yield Rule(style="dim")
    yield Text(one_line(page.id), style="bold") + Text(f"  {one_line(page.state)}" if page.state else "")
    for section in page.sections:
        if section.title:
            yield Text(f"\n{one_line(section.title)}", style="bold green")
        if section.facts:
            yield _grid(section.facts)
        if section.text:
            yield Text("")
            yield prose(section.text) if section.markdown else verbatim(section.text)
    yield Text("")


def _grid(facts: tuple[Fact, ...]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        if value:
            grid.add_row(Text(visible(name)), Text(one_line(value)))
    return grid
