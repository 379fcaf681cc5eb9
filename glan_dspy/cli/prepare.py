"""What the commands share before they begin: settings out of their layers, disciplines out of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.layers import given_settings, validated
from glan_dspy.outline import named_disciplines, read_disciplines
from glan_dspy.records import Discipline
from glan_dspy.run.begin import settings_of
from glan_dspy.run.store import Run
from glan_dspy.run.taxonomy_only import has_taxonomy_only, own_disciplines, taxonomy_command
from glan_dspy.settings import Settings


def require_run(path: Path) -> Run:
    """Raises UserError where there is none: its settings were to be used."""
    run = Run(path)
    run.about()
    return run


def prepare(
    run: Run, flags: dict[str, Any], recipe: str | None, config: Path | None
) -> tuple[Settings, dict[str, Any]]:
    """The settings, and which of them somebody gave. A run that exists lends its own to what is not given."""
    given = given_settings(flags, recipe=recipe, config=config)
    return validated({**settings_of(run), **given}), given


def with_own_disciplines(run: Run, settings: Settings, given: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The same, with the disciplines of the run's own taxonomy, where it has nothing else yet and none are named.

    Raises UserError where its taxonomy is not made yet: the file in the working directory is another list.
    """
    if given.keys() & {"discipline", "disciplines_filepath"} or not (run.exists and has_taxonomy_only(run)):
        return settings, given
    path = own_disciplines(run)
    if not path.exists():
        raise UserError(
            f"{run.path} has no disciplines yet, its taxonomy is not made; go on with: {taxonomy_command(run)}, or "
            "name disciplines with --discipline or --disciplines-filepath"
        )
    return from_file(path, settings, given)


def from_file(path: Path, settings: Settings, given: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The same, with the disciplines of this file."""
    settings = settings.model_copy(update={"disciplines_filepath": str(path), "discipline": ()})
    return settings, {**given, "disciplines_filepath": str(path)}


def disciplines_for(run: Run, settings: Settings, given: dict[str, Any]) -> tuple[Discipline, ...]:
    """What is named on the command line; else what the run was begun with; else the file.

    A run begun from a file reads it again, so that a discipline added to it joins the run.
    """
    if "discipline" in given:
        return named_disciplines(settings.discipline)
    path = Path(settings.disciplines_filepath)
    known = run.disciplines() if run.exists else ()
    read_again = "disciplines_filepath" in given or not known or (not settings.discipline and path.exists())
    return read_disciplines(path) if read_again else known
