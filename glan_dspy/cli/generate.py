"""`glan generate`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import Any

import typer

from glan_dspy.cli.flags import DEFAULT_OUT, Config, Grouped, Out, Recipe, Yes, with_settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def generate(
    flags: dict[str, Any], out: Out = DEFAULT_OUT, recipe: Recipe = None, config: Config = None, yes: Yes = False
) -> int:
    """Make an instruction-tuning dataset from disciplines, or go on with one that was begun.

    \b
    glan generate --model-name rehearsal --language English            # no key, no network
    glan generate --model-name gpt-4o-mini --language Korean -o runs/korean
    glan generate --base-url http://localhost:8000/v1 --model-name my-model --recipe large -o runs/large
    glan generate -o runs/korean                                       # goes on where it was killed
    """
    from glan_dspy.cli.agree import agree
    from glan_dspy.cli.ending import finish
    from glan_dspy.cli.prepare import disciplines_for, from_file, prepare, with_own_disciplines
    from glan_dspy.cli.progress import progress
    from glan_dspy.errors import Stopped
    from glan_dspy.program import misfits
    from glan_dspy.run.generate import generate as walk
    from glan_dspy.run.store import Run
    from glan_dspy.run.taxonomy import make_taxonomy

    run = Run(out)
    settings, given = prepare(run, flags, recipe, config)
    for misfit in misfits(settings):
        print(f"glan: {misfit}", file=sys.stderr)
    if settings.questions_filepath:
        from glan_dspy.cli.answer import answer_file, refuse_what_is_the_files

        refuse_what_is_the_files(settings)
        return answer_file(run, settings, Path(settings.questions_filepath))
    if settings.generate_disciplines:
        path = make_taxonomy(run, settings)
        if not yes:
            raise Stopped(
                f"{path} holds the generated disciplines; check and edit it, then: "
                f"glan generate -o {quote(str(out))} --disciplines-filepath {quote(str(path))}"
            )
        settings, given = from_file(path, settings, given)
    else:
        settings, given = with_own_disciplines(run, settings, given)
    disciplines = disciplines_for(run, settings, given)
    if not yes:
        agree(run, settings, len(disciplines))
    return finish(run, settings, walk(run, settings, disciplines, progress))


app.command(cls=Grouped)(with_settings(generate))
