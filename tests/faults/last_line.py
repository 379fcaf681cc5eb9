"""The exit code and the last line of a command say the same: done, mend something, or go on with a command."""

from __future__ import annotations

import re
import shlex

from tests.processes import Command

GOES_ON = re.compile(r"(?:[Gg]o on with|[Tt]ry again with): (glan .+)$")


def check_last_line(command: Command, code: int) -> None:
    assert "Traceback" not in command.said, command.said
    last = command.last_line
    match code:
        case 0:
            assert last.startswith("next: glan "), command.said
        case 1:
            assert last.startswith("glan: "), command.said
        case 3:
            assert last.startswith("glan: ") and GOES_ON.search(last), command.said
        case _:
            raise AssertionError(f"exit {code}\n{command.said}")


def named_command(command: Command) -> list[str]:
    """The words of the command that the last line says to go on with."""
    found = GOES_ON.search(command.last_line)
    assert found, f"the last line names no command: {command.last_line!r}"
    return shlex.split(found[1])[1:]
