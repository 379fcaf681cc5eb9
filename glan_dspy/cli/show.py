"""`glan show`: a run's records to look at."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glan_dspy.cli.export import Holdout, MinScore, Only

if TYPE_CHECKING:
    from glan_dspy.cli.page import Page
    from glan_dspy.publish.browse import View
    from glan_dspy.publish.looking import Look
    from glan_dspy.run.store import Run

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")] = Path("runs/first"),
    id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="One record, by its id or the first 4 characters of it or more."),
    ] = None,
    only: Only = None,
    min_score: MinScore = None,
    holdout: Holdout = False,
    rejected: Annotated[
        bool,
        typer.Option("--rejected", help="What was dropped, instead: stage, reason, the model's words; by curate too."),
    ] = False,
    lineage: Annotated[
        bool,
        typer.Option("--lineage", help="How each came about: subject, sessions, concepts, calls, cost, prompts."),
    ] = False,
    limit: Annotated[int | None, typer.Option("-n", "--limit", metavar="N", min=1, help="At most so many.")] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Texts as they are, not drawn as Markdown; in a pipe byte for byte."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> int:
    """Page through a run's records in the terminal, or show one. Reads only; safe while the run goes on.

    \b
    glan show runs/first
    glan show runs/first de09825c --lineage
    glan show runs/first --only 'level >= 300 and discipline == "Optics"'
    glan show runs/first --rejected --only 'reason == "truncated"' -n 20
    glan show runs/first --json -n 100 | jq -r .question
    """
    from glan_dspy.publish.browse import View
    from glan_dspy.run.store import Run

    place, view = Run(run), View(only, min_score, held_out=holdout, rejected=rejected)
    place.about()
    looks = islice(one(place, id, view, lineage) if id else many(place, view, lineage), limit)
    if json:
        for look in looks:
            sys.stdout.write(json_line(look))
    else:
        put(looks, raw, whole=bool(id))
    return 0


def one(run: Run, id: str, view: View, lineage: bool) -> Iterator[Look]:
    """The record of this id. Raises UserError where it names none or several, and beside flags that choose others."""
    from glan_dspy.errors import UserError
    from glan_dspy.publish.browse import View
    from glan_dspy.publish.find import find
    from glan_dspy.publish.looking import Teller, look_at

    if view != View():
        raise UserError(
            f"{id!r} names one record, and --only, --min-score, --holdout and --rejected choose among all; "
            "leave out the one or the others"
        )
    look = look_at(run, find(run, id))
    yield Teller(run).with_prompts(look) if lineage else look._replace(lineage=None)


def many(run: Run, view: View, lineage: bool) -> Iterator[Look]:
    from glan_dspy.publish.browse import browse
    from glan_dspy.publish.looking import Look, Teller

    shown = browse(run, view)
    yield from Teller(run).tell(shown) if lineage else (Look(one.record, one.score) for one in shown)


def put(looks: Iterator[Look], raw: bool, whole: bool) -> None:
    """Each record as a page: drawn on a terminal, through a pager; as plain text in a pipe."""
    from glan_dspy.cli.page import as_text
    from glan_dspy.cli.pager import pager_command, put_pages, takes_colours
    from glan_dspy.visible import visible

    terminal, command = sys.stdout.isatty(), pager_command()
    draw: Callable[[Page], str]
    if terminal and not raw:
        from glan_dspy.cli.painted import Painter

        draw = Painter(shutil.get_terminal_size().columns, plain=not takes_colours(command))
    else:
        draw = partial(as_text, shown=visible if terminal or not raw else str)
    put_pages((draw(page_of(look, whole)) for look in looks), command)


def page_of(look: Look, whole: bool) -> Page:
    from glan_dspy.cli.page import record_page
    from glan_dspy.cli.page_lineage import lineage_sections

    page = record_page(look.record, look.score, look.state, whole)
    more = lineage_sections(look.lineage, look.prompts, look.caveat) if look.lineage else ()
    return page._replace(sections=(*page.sections, *more))


def json_line(look: Look) -> str:
    import orjson

    from glan_dspy.visible import escaped

    return escaped(orjson.dumps(look.as_line()).decode()) + "\n"
