"""Commands as a user types them, run in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glan_dspy.cli.main import run

Glan = Callable[..., tuple[int, str, str]]
"""Takes a command's words; gives back its exit code and what it printed on stdout and stderr."""


def typed_here(capsys: pytest.CaptureFixture[str]) -> Glan:
    def call(*words: str) -> tuple[int, str, str]:
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return call
