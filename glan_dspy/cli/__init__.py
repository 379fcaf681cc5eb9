"""The `glan` command: one file a command, imported when it is called, so that `glan --help` is quick."""

from __future__ import annotations

import signal
import sys
import warnings
from io import TextIOWrapper

from glan_dspy.cli.main import STOPPED, headers_in, let_go_of_output, run, told_warnings

__all__ = ["main", "run"]


def main() -> None:
    """The console script: exits with 0 done, 1 mend something, 2 usage, 3 stopped short, 70 our bug."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal's encoding lacks is written as an escape
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = told_warnings(warnings.showwarning)
    if headers := headers_in(sys.argv):
        from glan_dspy.cli.cover import cover

        cover(headers)
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # a second one, while the first was being told
        code = STOPPED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends by itself now, and with its own exit code
    sys.exit(let_go_of_output(code))
