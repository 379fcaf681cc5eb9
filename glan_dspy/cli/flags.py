"""The settings as command-line flags: made from the settings model, so that none can be forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand

from glan_dspy.layers import recipes
from glan_dspy.settings import Json, Settings, SettingsError, panel


class Grouped(TyperCommand):
    """Help with the flags under headings, in plain lines: rich's panels cut long names off at 80 columns."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            if record := option.get_help_record(ctx):
                groups.setdefault(getattr(option, "rich_help_panel", None) or "Options", []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _folder(text: str | Path) -> Path:
    """An empty word, as of a shell's variable that is not set, is no folder; to Path it is the current one."""
    if not str(text).strip():
        from glan_dspy.errors import UserError

        raise UserError("-o '' names no folder; name one, such as runs/first")
    return Path(text)


Out = Annotated[
    Path,
    typer.Option("--out", "-o", "--output-dir", parser=_folder, metavar="RUN", help="Run directory.", show_default=True,
                 rich_help_panel="Run"),
]  # fmt: skip
MaybeOut = Annotated[
    Path | None,
    typer.Option("--out", "-o", parser=_folder, metavar="RUN", help="Start from this run's settings.",
                 rich_help_panel="Run"),
]  # fmt: skip
DEFAULT_OUT = Path("runs/first")


ASKING = (
    "reasoning_effort",
    "reasoning_headroom",
    "concurrency",
    "rpm",
    "tpm",
    "max_attempts",
    "timeout",
    "max_cost",
    "price_in",
    "price_cached",
    "price_out",
    "base_url",
    "answer_base_url",
    "answer_api_key_env",
    "extra_body",
    "structured",
    "extra_header",
)
"""The settings of every command that asks a model: how, how fast, where, and for how much."""


def with_settings(
    command: Callable[..., Any], names: Iterable[str] = tuple(Settings.model_fields)
) -> Callable[..., Any]:
    """The command with a flag for each setting; it gets those that were given as one dict, `flags`.

    All values stay text until the settings model has looked at them: it knows what is allowed, and says so.
    """
    names = tuple(names)
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "flags"]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name))
        for name in names
    ]

    def wrapper(**values: Any) -> Any:
        given = {name: values.pop(name) for name in names}
        return command(**values, flags=_read({name: value for name, value in given.items() if value not in (None, [])}))

    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    wrapper.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
    return wrapper


def _option(name: str) -> Any:
    field = Settings.model_fields[name]
    dashed = name.replace("_", "-")
    default = field.default
    shown = f" (default {default})" if default not in (None, (), {}, False) else ""
    if field.annotation is bool:
        return Annotated[
            bool | None,
            typer.Option(
                f"--{dashed}/--no-{dashed}", help=field.description, rich_help_panel=panel(name), show_default=False
            ),
        ]
    kind: Any = list[str] | None if field.annotation == tuple[str, ...] else str | None
    return Annotated[
        kind,
        typer.Option(
            f"--{dashed}",
            metavar=_metavar(field.annotation),
            rich_help_panel=panel(name),
            show_default=False,
            help=f"{field.description}{shown}",
        ),
    ]


def _metavar(annotation: Any) -> str:
    kinds = {annotation, *get_args(annotation)}
    return "N" if kinds & {int, float} else "JSON" if annotation is Json or Json in kinds else "TEXT"


def _read(given: dict[str, Any]) -> dict[str, Any]:
    import orjson

    if "extra_body" in given:
        try:
            given["extra_body"] = orjson.loads(given["extra_body"])
        except ValueError:
            raise SettingsError(f"--extra-body {given['extra_body']!r} is not a JSON object") from None
    return given


Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        rich_help_panel="Run",
        show_default=False,
        help=f"Named set of settings: {', '.join(recipes())} (default default).",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        rich_help_panel="Run",
        show_default=False,
        help="Settings from a file; flags and GLAN_* variables go over it.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", rich_help_panel="Run", help="Ask nothing, go on.")]
