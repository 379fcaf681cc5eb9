"""Begins a run, or goes on with one: which settings it was begun with, and whether these fit them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from glan_dspy import __version__
from glan_dspy.errors import UserError
from glan_dspy.records import Discipline
from glan_dspy.run.about import VERSION
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings, role

Kind = Literal["generate", "answer"]


def settings_of(run: Run) -> dict[str, Any]:
    """What a further command on the run inherits; empty for a new one."""
    if not run.exists:
        return {}
    return {
        name: value
        for name, value in run.about()["settings"].items()
        if name in Settings.model_fields and role(name) != "once"
    }


def begin(run: Run, kind: Kind, settings: Settings, disciplines: Iterable[Discipline], program_digest: str) -> None:
    """Writes run.json before anything is paid for. Raises UserError where it says something else already.

    Content settings must be equal; volume may only grow; the rest is taken as it now is.
    """
    versions = {"glan_dspy": __version__, "dspy": _dspy_version(), "python": _python_version()}
    named = [discipline.model_dump() for discipline in disciplines]
    values = {name: value for name, value in settings.model_dump(mode="json").items() if role(name) != "secret"}
    if not run.exists:
        run.write_about(
            {
                "version": VERSION,
                "kind": kind,
                "created": _now(),
                "settings": values,
                "program_digest": program_digest,
                "versions": versions,
                "disciplines": named,
            }
        )
        return
    about = run.about()
    if not about["disciplines"] and kind == "generate":
        # Only a taxonomy so far: nothing was made yet that other settings would not fit.
        run.write_about({**about, "settings": values, "program_digest": program_digest, "disciplines": named})
        return
    if about.get("kind", kind) != kind:
        raise UserError(f"{run.path} was begun by `glan {about['kind']}`; use another --out for `glan {kind}`")
    refuse_differences(run.path, about, values, program_digest)
    refuse_shrinking(run.path, about, settings, named)
    before = about.get("versions", {})
    if before != versions:
        warnings.warn(
            f"{run.path} was begun with {_told(before) or 'unknown versions'}; this is {_told(versions)}",
            UserWarning,
            stacklevel=2,
        )
    changed = {**about, "settings": values, "disciplines": named}
    if changed != about:
        run.write_about(changed)


def refuse_differences(path: Path, about: dict[str, Any], values: dict[str, Any], program_digest: str) -> None:
    before = about["settings"]
    different = [
        f"{name} {before.get(name)!r} -> {value!r}"
        for name, value in values.items()
        if role(name) == "content"
        and name != "program"
        and name in before
        and meant(before, name) != meant(values, name)
    ]
    if (known := about.get("program_digest", "unknown")) != program_digest:
        different.append(f"program {known} -> {program_digest}")
    if different:
        raise UserError(
            f"{path} was begun with other settings: {'; '.join(different)}. "
            "Leave them as they were, or use another --out"
        )


def meant(settings: dict[str, Any], name: str) -> Any:
    """The setting's value; a stage whose model is not named has the question model."""
    if name in ("model_name_for_answer", "model_name_for_curriculum"):
        return settings[name] or settings.get("model_name")
    return settings[name]


def refuse_shrinking(path: Path, about: dict[str, Any], settings: Settings, named: list[dict[str, Any]]) -> None:
    before = Settings.model_construct(**{**Settings().model_dump(), **about["settings"]})
    if before.num_pairs and (settings.num_pairs or 0) < before.num_pairs:
        raise UserError(
            f"{path} has {before.num_pairs:,} pairs planned; --num-pairs {settings.num_pairs or 0:,} is fewer, and a "
            "run only grows"
        )
    if not settings.num_pairs and settings.samples_per_syllabus < before.samples_per_syllabus:
        raise UserError(
            f"{path} has {before.samples_per_syllabus} questions a syllabus planned; "
            f"{settings.samples_per_syllabus} is fewer, and a run only grows"
        )
    kept = {Discipline(**item).id for item in named}
    gone = [item["name"] for item in about["disciplines"] if Discipline(**item).id not in kept]
    if gone:
        raise UserError(
            f"{path} has the discipline {gone[0]!r}"
            + (f" and {len(gone) - 1} more" if len(gone) > 1 else "")
            + ", which this command leaves out; a run only grows: name it too, or use another --out"
        )


def _told(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _dspy_version() -> str:
    from importlib.metadata import version

    return version("dspy")


def _python_version() -> str:
    import platform

    return platform.python_version()
