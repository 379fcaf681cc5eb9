"""How settings come to be: recipe < config file < GLAN_* environment < flags.

What is wrong in a layer is said in one line, with the nearest known name where one is unknown.
"""

from __future__ import annotations

import difflib
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from glan_dspy.settings import Settings, SettingsError, role


def recipes() -> tuple[str, ...]:
    """The names that `--recipe` takes."""
    folder = resources.files("glan_dspy") / "recipes"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_settings(
    flags: dict[str, Any] | None = None,
    *,
    recipe: str | None = None,
    config: Path | None = None,
    beneath: dict[str, Any] | None = None,
) -> Settings:
    """The settings of all layers; `beneath` lies under the recipe (a run's own settings, when it goes on).

    Raises SettingsError: an unknown recipe, key or GLAN_* variable (with the nearest known name), a value
    out of bounds, a config file that is missing or is not TOML.
    """
    given = given_settings(flags, recipe=recipe, config=config)
    return validated({**(beneath or {}), **given})


def given_settings(
    flags: dict[str, Any] | None = None, *, recipe: str | None = None, config: Path | None = None
) -> dict[str, Any]:
    """Only what somebody asked for: the merged layers without the defaults of settings not mentioned."""
    return {**_recipe(recipe), **_config(config), **_environment(), **(flags or {})}


def validated(values: dict[str, Any]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_in_one_line(error)) from None


def _recipe(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    if name not in recipes():
        raise SettingsError(f"--recipe {name!r} is unknown{_nearest(name, recipes())}; known: {', '.join(recipes())}")
    with resources.as_file(resources.files("glan_dspy") / "recipes" / f"{name}.toml") as path:
        return _toml(path)


def _config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    values = _toml(path)
    for key in values:
        if key not in Settings.model_fields:
            raise SettingsError(
                f"{path}: unknown setting {key!r}{_nearest(key, Settings.model_fields)}; "
                "`glan generate --help` lists them all"
            )
    return values


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"cannot read the config file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _environment() -> dict[str, Any]:
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
    from pydantic_settings import SettingsError as EnvError

    class Environment(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="GLAN_", extra="ignore")

    known = {f"GLAN_{name.upper()}": name for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith("GLAN_") and name.upper() not in known:
            raise SettingsError(
                f"the environment sets {name}, which is no setting{_nearest(name.upper(), known)}; unset it"
            )
    Environment.model_fields.update(Settings.model_fields)
    try:
        found = EnvSettingsSource(Environment, env_prefix="GLAN_")()
    except EnvError as error:
        raise SettingsError(
            f"the environment's GLAN_* settings cannot be read: {error}; lists and objects are JSON"
        ) from None
    return {name: value for name, value in found.items() if name in Settings.model_fields}


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _in_one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{_nearest(name, Settings.model_fields)}"
    text = str(first["msg"]).removeprefix("Value error, ")
    text = text[0].lower() + text[1:]
    secret = role(name) == "secret" or (name.endswith("base_url") and re.search("[@?#]", str(first["input"])))
    value = "" if secret else f" {first['input']!r}"
    return f"--{name.replace('_', '-')}{value}: {text}"
