"""`glan answer`: answers for questions that exist already, ours or the Azure script's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glan_dspy.cli.flags import ASKING, Config, Grouped, Out, Recipe, with_settings

if TYPE_CHECKING:
    from glan_dspy.run.store import Run
    from glan_dspy.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_FLAGS = (
    "questions_filepath",
    "language",
    "model_name",
    "model_name_for_answer",
    "answer_max_tokens",
    "answer_batch_size",
    "answer_sees",
    "answer_temperature",
    "top_p",
    "max_asks",
    "seed",
    "program",
    "logfile_name",
    "batch",
    "adapter",
    "gates",
    "against",
    "against_field",
    "workers",
    "ray",
    *ASKING,
)


def answer(flags: dict[str, Any], out: Out = Path("runs/answers"), recipe: Recipe = None, config: Config = None) -> int:
    """Answer the questions of a JSONL file: a run's questions.jsonl, or one that the Azure script wrote.

    \b
    glan answer --questions-filepath GLAN_Questions_Korean_100_Samples_1a2b.jsonl --language Korean \\
                --model-name-for-answer gpt-4o-mini -o runs/answers
    """
    from glan_dspy.cli.prepare import prepare
    from glan_dspy.errors import UserError
    from glan_dspy.run.store import Run

    run = Run(out)
    settings, _ = prepare(run, flags, recipe, config)
    if settings.questions_filepath is None and not run.exists:
        raise UserError("name the questions: glan answer --questions-filepath FILE.jsonl")
    return answer_file(run, settings, Path(settings.questions_filepath) if settings.questions_filepath else None)


def refuse_what_is_the_files(settings: Settings) -> None:
    """Raises UserError for what shapes questions that are made here: a file's are all answered."""
    from glan_dspy.errors import UserError

    for name in ("num_pairs", "holdout", "weights", "generate_disciplines", "generate_question_only"):
        if value := getattr(settings, name):
            flag = f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
            raise UserError(
                f"{flag} is for questions that are made here; those of a file are all answered: leave it out, or give "
                "a file with fewer"
            )


def answer_file(run: Run, settings: Settings, path: Path | None) -> int:
    """Answers the questions of the file, and those of an earlier file that the run still has open."""
    from glan_dspy.cli.ending import finish
    from glan_dspy.cli.progress import progress
    from glan_dspy.run.generate import answer
    from glan_dspy.run.questions_file import read_questions

    questions = iter(read_questions(path, settings.language) if path else ())  # nothing here keeps them
    return finish(run, settings, answer(run, settings, questions, progress), command="answer")


app.command(cls=Grouped)(with_settings(answer, _FLAGS))
