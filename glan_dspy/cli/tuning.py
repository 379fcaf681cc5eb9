"""What `glan optimize` and `glan evaluate` share: their flags, the plan they show, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from glan_dspy.cli.flags import ASKING

if TYPE_CHECKING:
    from glan_dspy.optimize.journal import Log
    from glan_dspy.run.plan import Planned
    from glan_dspy.settings import Settings

FLAGS = (
    "language",
    "curriculum_language",
    "model_name",
    "seed",
    "adapter",
    "draft_first",
    "answer_sees",
    "question_max_tokens",
    "answer_max_tokens",
    "curriculum_max_tokens",
    "question_temperature",
    "answer_temperature",
    "curriculum_temperature",
    "top_p",
    "max_number_of_subjects",
    "max_number_of_subtopics",
    "max_number_of_session_name",
    *ASKING,
)

Stage = Annotated[
    list[str] | None,
    typer.Option(
        "--stage",
        metavar="NAME",
        help="question and answer (default), or subjects and syllabus (repeatable).",
        show_default=False,
    ),
]
Valset = Annotated[
    str | None,
    typer.Option(
        "--valset", metavar="FILE", help="Rows of your own, JSONL; the built-in 120 unless given.", show_default=False
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        "--judge-model",
        metavar="TEXT",
        help="Model that judges level, concepts and answers, at --answer-base-url where that is given.",
        show_default=False,
    ),
]


def stages_of(given: Sequence[str] | None) -> tuple[str, ...]:
    """The stages in their order. Raises UserError for an unknown one, and where the two kinds are mixed."""
    from glan_dspy.errors import UserError
    from glan_dspy.optimize.writer import CURRICULUM, PAIR

    wanted = set(given or PAIR)
    if unknown := wanted - {*CURRICULUM, *PAIR}:
        raise UserError(f"--stage {min(unknown)!r} is unknown; it is one of {', '.join((*CURRICULUM, *PAIR))}")
    if wanted & set(PAIR) and wanted & set(CURRICULUM):
        raise UserError(
            "--stage takes question and answer, or subjects and syllabus, not both kinds at once: they are written in "
            "languages of their own; tune one kind, then the other with --program FILE"
        )
    return tuple(stage for stage in (*CURRICULUM, *PAIR) if stage in wanted)


def show_plan(rows: Sequence[Planned], title: str) -> None:
    """The plan as a table, on stderr."""
    from rich.console import Console
    from rich.table import Table

    from glan_dspy.cli.plan import dollars, tokens
    from glan_dspy.run.plan import total_dollars

    table = Table("calls of", "model", title=title)
    for heading in ("at most", "tokens in", "tokens out", "dollars"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.stage, row.model, f"{row.calls:,}", tokens(row.prompt_tokens), tokens(row.reply_tokens),
                      dollars(row.dollars))  # fmt: skip
    table.add_section()
    table.add_row("all", "", f"{sum(row.calls for row in rows):,}", "", "", dollars(total_dollars(tuple(rows))))
    console = Console(stderr=True)
    console = console if console.is_terminal else Console(stderr=True, width=110)
    console.print(table)


def agree(rows: Sequence[Planned], settings: Settings) -> None:
    """Asks on a terminal where more than $5 may be spent. Raises Stopped for a no."""
    from glan_dspy.cli.agree import ASK_ABOVE, question
    from glan_dspy.errors import Stopped
    from glan_dspy.run.plan import total_dollars

    expected = total_dollars(tuple(rows))
    if expected is None or expected.high <= ASK_ABOVE or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if not typer.confirm(question(expected, settings), err=True):
        raise Stopped("nothing was sent; --max-cost sets a cap, a smaller --budget costs less, --yes asks nothing")


@contextmanager
def ended_well(log: Log, settings: Settings) -> Iterator[None]:
    """Turns what ended the work into an error for people; what was bought is in the log, whatever happened."""
    from glan_dspy.errors import Stopped
    from glan_dspy.optimize.journal import Halt

    kept = f"what was bought is in {log.path}: the same command goes on"
    try:
        yield
    except Halt as halt:
        raise told(halt.why, settings, kept) from halt.why
    except OSError as error:
        raise told(error, settings, kept) from error
    except KeyboardInterrupt:
        raise Stopped(f"stopped; {kept}") from None


def told(why: BaseException, settings: Settings, kept: str) -> BaseException:
    """The error as it is shown; a bug stays what it is."""
    from dspy import lm15
    from dspy.utils.exceptions import LMError

    from glan_dspy.engines.budget import REACHED
    from glan_dspy.engines.retry import HEALS
    from glan_dspy.errors import Stopped, UserError
    from glan_dspy.run.crew import first_line

    if getattr(why, "provider_code", None) == REACHED:
        return Stopped(f"the budget is reached: {first_line(why)}; {kept} with a higher --max-cost")
    if isinstance(why, HEALS):
        return Stopped(f"no reply after {settings.max_attempts} attempts: {first_line(why)}; {kept}")
    if isinstance(why, (lm15.LM15Error, LMError)):
        return UserError(f"{first_line(why)}. Mended, {kept}")
    if isinstance(why, OSError):
        return UserError(f"cannot write {why.filename or 'to the log'}: {why.strerror or why}. Mended, {kept}")
    return why


def say_left_out(left_out: dict[str, str]) -> None:
    for part, why in left_out.items():
        print(f"glan: {part} is not in the score: {why}", file=sys.stderr)
