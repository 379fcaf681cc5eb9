"""Writes docs/settings.md from the settings themselves, so that the page says what the code does.

    uv run python docs/make_settings.py

A test compares the page with `page()`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from glan_dspy.layers import recipes
from glan_dspy.settings import Settings, panel, role

PAGE = Path(__file__).with_name("settings.md")

TOP = """\
# Settings

Every setting of a run. This page is written by `docs/make_settings.py` from `glan_dspy/settings.py`; change it there.

A setting is given as a flag, as a variable of the environment, in a file of `--config`, or by a recipe:

```sh
glan generate --recipe debug --model-name rehearsal --language English -o runs/by-flags
GLAN_MODEL_NAME=rehearsal GLAN_DISCIPLINE='["Optics", "Botany"]' glan generate --recipe debug -o runs/by-variables
printf 'model_name = "rehearsal"\\ndiscipline = ["Optics", "Botany"]\\n' > mine.toml
glan generate --recipe debug --config mine.toml -o runs/by-file
```

Where two of them name the same setting, the later one of this line holds: recipe, file, variables, flags. In files and
variables a list is `["Optics", "Botany"]`, where a flag is repeated. A name that is no setting is refused, with the
nearest one that is. `glan generate` and `glan plan` take all of them, other commands those that concern them:
`glan judge --help`.

What a second command on the same run may do with a setting, column *later*:

| | |
| --- | --- |
| stays | shapes what is made: it must be what the run was begun with, or the command says which differ and stops |
| grows | how much is made: more disciplines, more questions, more pairs |
| changes | how fast, where, and for how much: as you like |
| once | of this one command; the next does not inherit it |
| secret | changes, and is written to no file: give it again |

Beside the settings `glan generate` has `-o RUN` (`--out`, `--output-dir`: the run directory, `runs/first`),
`--recipe NAME`, `--config FILE.toml` and `-y` (`--yes`: ask nothing).
"""

LATER = {"content": "stays", "volume": "grows", "pace": "changes", "once": "once", "secret": "secret"}


def page() -> str:
    """The whole page: a table for each heading of `glan generate --help`, in its order."""
    names = list(Settings.model_fields)
    panels = list(dict.fromkeys(map(panel, names)))
    known = {recipe: changes(recipe) for recipe in recipes()}
    parts = [TOP.rstrip()]
    for heading in panels:
        lines = ["", f"## {heading}", "", "| flag, variable | default | later | what |", "| --- | --- | --- | --- |"]
        parts += [*lines, *(row(name, known) for name in names if panel(name) == heading)]
    return "\n".join([*parts, ""])


def changes(recipe: str) -> dict[str, Any]:
    """What a recipe sets."""
    return tomllib.loads((resources.files("glan_dspy") / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8"))


def row(name: str, known: dict[str, dict[str, Any]]) -> str:
    field = Settings.model_fields[name]
    dashed = name.replace("_", "-")
    flag = f"`--{dashed}`" + (f", `--no-{dashed}`" if field.annotation is bool else "")
    default = "; ".join([shown(field.default), *by_recipe(name, known)])
    text = (field.description or "").replace("|", "\\|")
    what = text + choices(field.annotation, text)
    return f"| {flag}<br>`GLAN_{name.upper()}` | {default} | {LATER[role(name)]} | {what} |"


def by_recipe(name: str, known: dict[str, dict[str, Any]]) -> Iterator[str]:
    for recipe, values in known.items():
        if name in values:
            yield f"{recipe} {shown(values[name])}"


def shown(value: Any) -> str:
    """
    >>> shown(None), shown(()), shown({}), shown(True), shown(0.7), shown("Korean")
    ('none', 'none', 'none', 'on', '0.7', '`Korean`')
    """
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`" if isinstance(value, str) else str(value)


def choices(annotation: Any, text: str) -> str:
    """The words of a closed set, where the setting is one and its description does not name them all."""
    kinds = (annotation, *get_args(annotation))
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    return f" One of {', '.join(f'`{word}`' for word in words)}." if any(word not in text for word in words) else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
