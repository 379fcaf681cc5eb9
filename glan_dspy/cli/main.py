"""From words on a command line to an exit code: the one place where errors end."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import typer
from typer import _click as click
from typer.core import TyperCommand, TyperGroup

from glan_dspy.errors import Stopped, UserError, first_flaw

DONE, MEND, USAGE, STOPPED, BUG = 0, 1, 2, 3, 70
CTRL_C = 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Full, full for this user, read-only: wherever it strikes, it is the user's to mend."""

COMMANDS = {
    "generate": "Make a dataset, or go on with one.",
    "taxonomy": "Make a taxonomy of disciplines; `taxonomy vote` merges edited ones.",
    "answer": "Answer the questions of an existing file.",
    "plan": "Show how many calls a run would make, without making any.",
    "repair": "Ask again for rejected items, with other settings if you like.",
    "status": "Show how far a run is.",
    "report": "Show a run as one page in a browser.",
    "curate": "Drop copies across disciplines, and what benchmarks hold.",
    "judge": "Have a model score the pairs, or answer them anew.",
    "optimize": "Tune the prompts for a language and a model.",
    "evaluate": "Score programs of tuned prompts beside one another.",
    "show": "Page through a run's records, or look at one.",
    "export": "Write a run's pairs in a trainer's format.",
    "push": "Put a run's pairs and a dataset card on the Hugging Face Hub.",
    "doctor": "Try each model with one tiny request.",
}


AT_WORK = ("generate", "taxonomy", "answer", "repair", "curate", "judge", "optimize", "evaluate", "export", "push")
"""Commands that do more than show something."""


class Commands(TyperGroup):
    """Lists the commands without importing them; each brings pydantic, most of them DSPy."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name], callback=None) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        module = import_module(f"glan_dspy.cli.{name}")
        command = typer.main.get_command(module.app)
        command.name = name
        return name, command, rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="GLAN: from a list of disciplines to an instruction-tuning dataset.\n\n"
    "Try it without a key:  glan generate --model-name rehearsal --language English",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from glan_dspy import __version__

        print(f"glan-dspy {__version__}")
        raise typer.Exit


@app.callback()
def _glan(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
    ),
) -> None:
    pass


def run(argv: Sequence[str]) -> int:
    """Runs one command line and gives back its exit code; a traceback is shown for our own mistakes only."""
    try:
        code = typer.main.get_command(app).main(as_written_elsewhere(argv), prog_name="glan", standalone_mode=False)
        # typer's word for Ctrl-C is 130; a run's own handling of it, which finishes what is in flight, comes before.
        if code == CTRL_C:
            return _say("stopped; the same command goes on", STOPPED)
        return code if isinstance(code, int) else DONE
    except click.exceptions.UsageError as error:
        if isinstance(error, click.exceptions.BadParameter) and not _is_missing(error):
            return _say(_bad_value(error), MEND)
        error.show()
        return USAGE
    except UserError as error:
        return _say(error, MEND)
    except Stopped as error:
        return _say(error, STOPPED)
    except (typer.Abort, KeyboardInterrupt):
        return _say("stopped", STOPPED)
    except (BrokenPipeError, SystemExit):  # the latter is typer's and rich's, which see the former first
        # Whoever read our output has gone, `glan status | head` say: no mistake of anyone's. But what came of work was
        # not told, and a script that waits for 0 must not take it for done.
        return STOPPED if argv and argv[0] in AT_WORK else DONE
    except Exception as error:
        if _is_settings_error(error):
            return _say(error, MEND)
        if isinstance(error, OSError) and (error.filename or error.errno in FULL):
            # What may not be read, or is a folder; a disk that is full: somebody must mend that.
            where = error.filename or "the output"
            if error.errno in FULL:
                full = f"cannot write {where}: {error.strerror}"
                return _say(f"{full}: make room, or write elsewhere, and give the same command again", MEND)
            return _say(f"cannot read or write {where}: {error.strerror}", MEND)
        import traceback

        from glan_dspy.hiding import hidden, secrets

        print(hidden(traceback.format_exc(), secrets(headers_in(argv))), end="", file=sys.stderr)
        return _say("this is a bug in glan-dspy; please report the lines above. What was paid for is in the run", BUG)


def headers_in(argv: Sequence[str]) -> list[str]:
    """What the command line gives for --extra-header, which may be a key."""
    found = [word.partition("=")[2] for word in argv if word.replace("_", "-").startswith("--extra-header=")]
    return found + [value for word, value in pairwise(argv) if word.replace("_", "-") == "--extra-header"]


def _is_settings_error(error: Exception) -> bool:
    from glan_dspy.settings import SettingsError  # with pydantic in tow, which `glan --help` does without

    return isinstance(error, SettingsError)


def _say(message: object, code: int) -> int:
    from glan_dspy.visible import one_line  # a message may quote what a model wrote

    with suppress(BrokenPipeError):
        print(f"glan: {one_line(str(message))}", file=sys.stderr)
    return code


def told_warnings(others: Callable[..., None]) -> Callable[..., None]:
    """Shows our own warnings as `glan:` lines, without the place in our code; `others` shows everyone else's."""
    ours = Path(__file__).parents[1]

    def show(message: Warning | str, category: type[Warning], filename: str, *rest: Any, **more: Any) -> None:
        if ours in Path(filename).parents and issubclass(category, UserWarning):
            _say(message, DONE)
        else:
            others(message, category, filename, *rest, **more)

    return show


def let_go_of_output(code: int) -> int:
    """Writes out what is still held back; gives back the exit code. Where nobody reads, Python would end with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # closed by whoever began this process
                stream.flush()
        except BrokenPipeError:
            _discard(stream)
        except OSError as error:
            _discard(stream)
            code = code or _say(f"cannot write the output: {error.strerror}; make room, or write elsewhere", MEND)
    return code


def _discard(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_missing(error: Any) -> bool:
    return isinstance(error, click.exceptions.MissingParameter)


def _bad_value(error: Any) -> str:
    """What a setting's flag says of a bad value, for the flags that typer checks."""
    from pydantic import ValidationError

    if not isinstance(error.__cause__, ValidationError):
        return str(error.format_message())
    _, value, text = first_flaw(error.__cause__)
    return f"{error.param.opts[-1]} {value!r}: {text}"


_SWITCHES = ("generate-disciplines", "generate-question-only", "draft-first")


def as_written_elsewhere(argv: Sequence[str]) -> list[str]:
    """The words as our options have them: `--model_name` as `--model-name`, `--x False` as `--no-x`.

    The Azure script's command lines work unchanged by this; its own reading of `False` was true.
    """
    words: list[str] = []
    for word in argv:
        if word.startswith("--") and word != "--":
            name, equals, value = word[2:].partition("=")
            name = name.replace("_", "-")
            if equals and name in _SWITCHES:
                words += [f"--{name}", value]
                _settle_switch(words)
            else:
                words.append(f"--{name}{equals}{value}")
        else:
            words.append(word)
            _settle_switch(words)
    return words


def _settle_switch(words: list[str]) -> None:
    if len(words) >= 2 and words[-2].removeprefix("--") in _SWITCHES and words[-1].lower() in _TRUTH:
        name = words[-2].removeprefix("--")
        words[-2:] = [f"--{name}" if _TRUTH[words[-1].lower()] else f"--no-{name}"]


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
