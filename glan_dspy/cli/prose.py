"""What a model wrote, as a terminal shows it: Markdown with its formulas as they are.

Rich draws; what it would drop or change of the text is mended here: lines end where they end in the text, list items
keep the numbers they have, and links, images, entities and HTML are left as they were written: `f[x](y)` is a formula
more often than a link, and nothing that a model wrote becomes an address to click on. A text of which a letter or a
digit would still be lost, by a cell too many in the row of a table or by lists too deep for the screen, is shown as it
is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.list import list_block
from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import (
    CodeBlock,
    Heading,
    ListElement,
    ListItem,
    Markdown,
    MarkdownContext,
    MarkdownElement,
    TableElement,
    TextElement,
)
from rich.padding import Padding
from rich.segment import Segment
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from glan_dspy.cli.formulas import readable, with_formulas
from glan_dspy.visible import visible

__all__ = ["prose", "verbatim"]

LONGEST = 50_000
"""Characters that are read as Markdown; a longer text is shown as it is."""


def prose(text: str) -> RenderableType:
    """The text as Markdown; as it is, where it is none that can be drawn whole."""
    text = visible(text)
    if len(text) > LONGEST:
        return verbatim(text)
    tokens = parser().parse(text)
    return Prose(text, tokens) if _letters(_kept(tokens)) == _letters([text]) else verbatim(text)


def _kept(tokens: list[Token]) -> Iterator[str]:
    """What the tokens have of the text, in its order."""
    for token in tokens:
        if token.type in ("fence", "list_item_open"):
            yield token.info
        yield from _kept(token.children) if token.children else (token.content,)


def _letters(texts: Iterable[str]) -> str:
    return re.sub(r"[\W_]+", "", "".join(texts))


def verbatim(text: str) -> Text:
    """The text as it is, without what would steer a terminal."""
    return Text(visible(text))


@cache
def parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    made.disable(["link", "image", "autolink", "entity", "reference", "html_block", "html_inline"])
    made.block.ruler.at("list", _list, {"alt": ["paragraph", "reference", "blockquote"]})
    return with_formulas(made)


def _list(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Markdown's rule without `+`: a line that begins with one is a sum more often than an item."""
    first = state.bMarks[start] + state.tShift[start]
    return state.src[first : first + 1] != "+" and list_block(state, start, end, silent)


class Title(Heading):
    """A heading at the left, of whatever rank."""

    LEVEL_ALIGN = dict.fromkeys(Heading.LEVEL_ALIGN, "left")  # rich's own


class Formula(TextElement):
    """A formula with lines of its own."""

    style_name = "markdown.math"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(self.text, (0, 0, 0, 4))


class Code(CodeBlock):
    """Code in the terminal's own colours, under the name of its language."""

    info = ""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> Code:
        code = cls((token.info.split() or ["text"])[0], markdown.code_theme)
        code.info = token.info.strip()
        return code

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.info:
            yield Text(f"    {self.info}", style="dim")
        code = str(self.text).rstrip()
        yield Syntax(
            code, self.lexer_name, theme="ansi_dark", background_color="default", word_wrap=True, padding=(0, 4)
        )


class Item(ListItem):
    """An item with its number as the text has it."""

    marker = "•"

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> Item:
        item = cls()
        item.marker = f"{token.info}{token.markup}" if token.info else cls.marker
        return item

    def lines(self, console: Console, options: ConsoleOptions, width: int) -> RenderResult:
        inside = options.update(width=max(10, options.max_width - width - 1))
        style = console.get_style("markdown.item.bullet", default="none")
        margin = f"{self.marker:>{width}} "
        for line in console.render_lines(self.elements, inside, style=self.style, pad=False) or [[]]:
            yield Segment(margin, style)
            yield from line
            yield Segment.line()
            margin = " " * (width + 1)


class Items(ListElement):
    items: list[Item]  # type: ignore[assignment]

    def on_child_close(self, context: MarkdownContext, child: object) -> bool:
        assert isinstance(child, Item)
        self.items.append(child)
        return False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(len(item.marker) for item in self.items) + 1
        for item in self.items:
            yield from item.lines(console, options, width)


class Grid(TableElement):
    """A table whose cells are folded where they are too wide, and never cut."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE, pad_edge=False, style="markdown.table.border", collapse_padding=True)
        rows = self.body.rows if self.body else []
        for cell in self.header.row.cells if self.header and self.header.row else []:
            table.add_column(cell.content, overflow="fold", header_style="markdown.table.header")
        for row in rows:
            table.add_row(*(cell.content for cell in row.cells))
        yield table


class Prose(Markdown):
    """Tokens of `parser`, drawn."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": Title,
        "fence": Code,
        "code_block": Code,
        "math_block": Formula,
        "bullet_list_open": Items,
        "ordered_list_open": Items,
        "list_item_open": Item,
        "table_open": Grid,
    }
    inlines = Markdown.inlines | {"math"}

    def __init__(self, text: str, tokens: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.text, self.parsed = text, tokens
        for token in tokens:
            for one in (token, *(token.children or ())):
                if one.type == "softbreak":
                    one.type = "hardbreak"
                elif one.type in ("math", "math_block"):
                    one.content = readable(one.content)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts = [part for part in super().__rich_console__(console, options) if isinstance(part, Segment)]
        lines = Segment.split_and_crop_lines(parts, options.max_width, pad=False)
        drawn = [part for line in lines for part in line]
        # Sorted: in a table the lines of neighbouring cells stand beside one another.
        whole = sorted(_letters(part.text for part in drawn)) == sorted(_letters(_kept(self.parsed)))
        yield from drawn if whole else [verbatim(self.text)]
