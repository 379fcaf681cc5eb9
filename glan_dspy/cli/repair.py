"""`glan repair`: asks again for what was rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from glan_dspy.cli.flags import ASKING, Grouped, with_settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_FLAGS = (
    "model_name",
    "model_name_for_answer",
    "model_name_for_curriculum",
    "question_max_tokens",
    "answer_max_tokens",
    "curriculum_max_tokens",
    "curriculum_temperature",
    "question_temperature",
    "answer_temperature",
    "top_p",
    "adapter",
    "gates",
    "question_batch_size",
    "answer_batch_size",
    "batch",
    *ASKING,
)


def repair(
    flags: dict[str, Any],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)],
    where: Annotated[
        str,
        typer.Option(
            "--where", metavar="EXPR", help="Which rejected items, by their keys and `reason`.", show_default=False
        ),
    ],
) -> int:
    """Ask again for rejected items, with other settings if you like. Their ids stay; an acceptance supersedes a reject.

    \b
    glan repair runs/korean --where 'reason == "truncated"' --answer-max-tokens 4096
    glan repair runs/korean --where 'reason in ("refusal", "abstained")' --model-name-for-answer gpt-4o
    """
    from glan_dspy.cli.ending import finish, same_command, say
    from glan_dspy.cli.prepare import prepare
    from glan_dspy.cli.progress import progress
    from glan_dspy.filtering import compile_filter
    from glan_dspy.run.repair import repair as mend
    from glan_dspy.run.store import Run

    place = Run(run)
    place.about()
    settings, _ = prepare(place, flags, None, None)
    # A run of questions alone is repaired as such.
    only = bool(place.about()["settings"].get("generate_question_only"))
    settings = settings.model_copy(update={"generate_question_only": only})
    fits = compile_filter(where, option="--where")
    outcome, counts = mend(place, settings, fits, where, progress)
    again = ", ".join(f"{count:,} ({stage})" for stage, count in counts.items())
    say(f"asked again for {again or 'none: the run has all its pairs'}")
    return finish(place, settings, outcome, go_on=same_command("repair", run, {"where": where, **flags}))


app.command(cls=Grouped)(with_settings(repair, _FLAGS))
