"""run.json as it is read back: looked through once, so that nobody who reads it trips over a hand's edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from glan_dspy.errors import UserError, first_flaw
from glan_dspy.records import Discipline
from glan_dspy.settings import Settings

VERSION = 1
"""Of the layout of a run directory."""


class Quota(BaseModel):
    """How many pairs each discipline is to bring, by its id; beyond them, what was given for lack of candidates."""

    model_config = ConfigDict(extra="allow")

    shares: dict[str, int]
    candidate_budget: float = 0.0
    extra: dict[str, int] | None = None


class About(BaseModel):
    """The file's keys, and what each of them must be; what else it has stays in it."""

    model_config = ConfigDict(extra="allow")

    version: int = Field(default=0, le=VERSION)
    kind: Literal["generate", "answer"] = "generate"
    created: str | int | float = ""
    settings: dict[str, Any]
    program_digest: str = ""
    versions: dict[str, str] = {}
    disciplines: list[Discipline] = []
    quota: Quota | None = None
    repairs: list[dict[str, Any]] = []
    forms: dict[str, Any] | None = None

    @field_validator("settings")
    @classmethod
    def _are_settings(cls, values: dict[str, Any]) -> dict[str, Any]:
        # Another version may have others, or lack some; those that are known are what they should be.
        known = {name: value for name, value in values.items() if name in Settings.model_fields}
        return {**values, **Settings.model_validate(known).model_dump(mode="json", include=set(known))}

    @field_validator("disciplines")
    @classmethod
    def _have_folders(cls, disciplines: list[Discipline]) -> list[Discipline]:
        if not all(discipline.name.strip() for discipline in disciplines):
            raise ValueError("a discipline has no name")
        return disciplines


def read_about(run: Path) -> dict[str, Any]:
    """The file's object. Raises UserError where there is none, none that can be read, or one of a newer version."""
    file = run / "run.json"
    try:
        about = orjson.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{run} is no run: it has no run.json; `glan generate -o {run}` makes one") from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}") from None
    if not isinstance(about, dict) or "settings" not in about:
        raise UserError(f"{file} is not the description of a run")
    refuse_newer(run, about)
    try:
        found = About.model_validate(about)
    except ValidationError as error:
        raise UserError(f"{file} is damaged, or was edited by hand: {_first(error)}; put it right again") from None
    return {**_ALWAYS, **found.model_dump(mode="json", exclude_unset=True)}


_ALWAYS: dict[str, Any] = {"version": 0, "kind": "generate", "created": "", "disciplines": []}
"""What every description has, where the file lacks it."""


def refuse_newer(run: Path, about: dict[str, Any]) -> None:
    """Before all else: what a newer version writes may look like damage to this one."""
    version, versions = about.get("version"), about.get("versions")
    if isinstance(version, (int, float)) and version > VERSION:
        by = versions.get("glan_dspy") if isinstance(versions, dict) else None
        raise UserError(f"{run} was made by a newer version of glan-dspy ({by}); install that one")


def _first(error: ValidationError) -> str:
    """`settings.seed 'a': input should be a valid integer`: where, the value, and what is wrong with it."""
    place, value, text = first_flaw(error)
    return f"{place} {str(value)[:60]!r}: {text}"
