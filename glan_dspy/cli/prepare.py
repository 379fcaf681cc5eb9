"""What the commands share before they begin: settings out of their layers, disciplines out of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glan_dspy.layers import given_settings, validated
from glan_dspy.outline import named_disciplines, read_disciplines
from glan_dspy.records import Discipline
from glan_dspy.run.begin import settings_of
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings


def prepare(
    run: Run, flags: dict[str, Any], recipe: str | None, config: Path | None
) -> tuple[Settings, dict[str, Any]]:
    """The settings, and which of them somebody gave. A run that exists lends its own to what is not given."""
    given = given_settings(flags, recipe=recipe, config=config)
    return validated({**settings_of(run), **given}), given


def disciplines_for(run: Run, settings: Settings, given: dict[str, Any]) -> tuple[Discipline, ...]:
    """What is named on the command line; else what the run was begun with; else the file.

    A run begun from a file reads it again, so that a discipline added to it joins the run.
    """
    if "discipline" in given:
        return named_disciplines(settings.discipline)
    path = Path(settings.disciplines_filepath)
    known = run.disciplines() if run.exists else ()
    from_file = "disciplines_filepath" in given or not known or (not settings.discipline and path.exists())
    return read_disciplines(path) if from_file else known
