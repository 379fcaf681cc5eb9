"""The error model, drawn once.

    GlanError
    ├── UserError    the user must mend something: one sentence, no traceback, exit 1
    ├── Stopped      the run ended before its end, or short of it: exit 3, with the command that goes on
    └── BadReply     the model answered badly: an outcome of that one item, kept with its raw text

An endpoint's own failures arrive as DSPy's `LMError`s: those that can heal are retried below (engines/retry.py),
and `run/walk.py` says which of the others end an item and which end the run. Anything else is our bug: loud, with
its traceback, exit 70.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError


class GlanError(Exception):
    """Base of the errors that are not bugs."""


class UserError(GlanError):
    """What is wrong, the value, what is allowed, and the next command, in one line."""


class Stopped(GlanError):
    """The run stopped before its end; nothing is lost and the message holds the command that goes on."""


class BadReply(GlanError):
    """A reply that cannot be used: `reason` is a short stable word, `raw` the reply as it came."""

    def __init__(self, reason: str, raw: str, detail: str = "", *, again: bool = True) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.raw, self.detail = reason, raw, detail
        self.again = again
        """Whether asking the same thing once more can help: a refusal or a reply cut at the limit will not change."""


class Flaw(NamedTuple):
    place: str
    """`settings.seed`"""
    value: object
    text: str
    """`input should be a valid integer`"""


def first_flaw(error: ValidationError) -> Flaw:
    """The first of what does not fit, in the words of whoever wrote the JSON, the TOML or the command line."""
    first = error.errors()[0]
    text = str(first["msg"]).removeprefix("Value error, ").replace("valid tuple", "valid list")
    return Flaw(".".join(map(str, first["loc"])), first["input"], text[0].lower() + text[1:])
