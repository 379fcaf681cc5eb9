"""How settings come to be: recipe < config file < GLAN_* environment < flags.

What is wrong in a layer is said in one line, with the nearest known name where one is unknown.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from glan_dspy.errors import first_flaw
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
    flags, environment, file = flags or {}, _environment(), _config(config)
    variables = _variables()
    # What lies under another layer is not used, and may be as it likes.
    validated(_without(environment, flags), variables.__getitem__)
    validated(_without(file, environment, flags), lambda name: f"{config}: {name}")
    return {**_recipe(recipe), **file, **environment, **flags}


def _without(values: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not any(name in other for other in others)}


def validated(values: dict[str, Any], place: Callable[[str], str] | None = None) -> Settings:
    """The settings of the values. `place` tells where a bad one stands; unless given, it is a flag's."""
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_in_one_line(error, place or _flag)) from None


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
    return {name: _read_variable(variable, name) for name, variable in _variables().items()}


def _variables() -> dict[str, str]:
    """The settings that the environment gives, each with its variable as it is spelled there."""
    known = {f"GLAN_{name.upper()}": name for name in Settings.model_fields}
    found = {}
    for variable in os.environ:
        if not variable.upper().startswith("GLAN_"):
            continue
        if variable.upper() not in known:
            raise SettingsError(
                f"the environment sets {variable}, which is no setting{_nearest(variable.upper(), known)}; unset it"
            )
        found[known[variable.upper()]] = variable
    return found


def _read_variable(variable: str, name: str) -> Any:
    """The text, of which the settings model makes a number; a list or an object is JSON."""
    text, default = os.environ[variable], Settings.model_fields[name].default
    if not isinstance(default, (tuple, dict)):
        return text
    try:
        value = orjson.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, list if isinstance(default, tuple) else dict):
        told = "" if _is_secret(name, text) else f"={text!r}"
        allowed = 'list such as ["A", "B"]' if isinstance(default, tuple) else 'object such as {"top_k": 5}'
        raise SettingsError(f"{variable}{told} cannot be read; allowed: a JSON {allowed}")
    return value


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _in_one_line(error: ValidationError, place: Callable[[str], str]) -> str:
    where, value, text = first_flaw(error)
    name = where.partition(".")[0]
    if name not in Settings.model_fields:
        return f"unknown setting {name!r}{_nearest(name, Settings.model_fields)}"
    told = "" if _is_secret(name, value) else f" {value!r}"
    return f"{place(name)}{told}: {text}"


def _is_secret(name: str, value: object) -> bool:
    """Whether a message must not repeat the value."""
    return role(name) == "secret" or (name.endswith("base_url") and bool(re.search("[@?#]", str(value))))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
