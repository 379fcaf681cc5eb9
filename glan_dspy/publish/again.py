"""The command that makes a run again, from what run.json remembers: no keys, no addresses, no folders of a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from shlex import quote
from typing import Any

from glan_dspy.settings import Settings, role

_FILES = ("disciplines_filepath", "questions_filepath", "weights", "against", "program")
_ALWAYS = ("model_name", "language", "seed")
_NEVER = ("generate_disciplines", "generate_question_only")


def generate_command(about: Mapping[str, Any], name: str) -> list[str]:
    """The words of the command that made a run, with the settings that differ from the defaults.

    Left out is how fast it ran and over which endpoint. Files are named without their folders.
    """
    answering = about.get("kind") == "answer"
    words = ["glan answer" if answering else "glan generate"]
    for setting, value in content_settings(about).items():
        if setting == "questions_filepath" and not answering:
            continue
        flag = setting.replace("_", "-")
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words.append(f"--{'' if one else 'no-'}{flag}" if isinstance(one, bool) else f"--{flag} {quote(str(one))}")
    return [*words, f"-o {quote(f'runs/{name}')}"]


def content_settings(about: Mapping[str, Any]) -> dict[str, Any]:
    """What decided the pairs and differs from the defaults, and the model, the language and the seed in any case."""
    before, defaults = about["settings"], Settings().model_dump(mode="json")
    return {
        name: without_folder(value, is_file=name in _FILES)
        for name, value in before.items()
        if name in defaults
        and name not in _NEVER
        and (role(name) in ("content", "volume") or name == "questions_filepath")
        and (name in _ALWAYS or value != defaults[name])
        and value is not None
    }


def without_folder(value: Any, *, is_file: bool = False) -> Any:
    """The last part of a path, of each path in a list. What is no file may still be one: a model that is a folder.

    >>> without_folder("/srv/small"), without_folder("Qwen/Qwen3-8B"), without_folder(["a/b"], is_file=True)
    ('small', 'Qwen/Qwen3-8B', ['b'])
    """
    if isinstance(value, (list, tuple)):
        return [without_folder(one, is_file=is_file) for one in value]
    if not isinstance(value, str) or not (is_file or re.match(r"[/\\~.]|[A-Za-z]:[/\\]|file:", value)):
        return value
    return PureWindowsPath(value).name or PurePosixPath(value).name or value


def name_of_run(path: Path) -> str:
    return path.resolve().name or "run"


def on_lines(words: list[str]) -> str:
    """One command, a flag a line."""
    return " \\\n    ".join(words)


def other_parameters(about: Mapping[str, Any]) -> Iterator[str]:
    """What else every request carried, by name: --extra-body may change what a model writes."""
    yield from sorted(about["settings"].get("extra_body") or {})
