"""The batch server on a thread of its own, and a process that runs `glan` commands with a quick pace.

That process has imported everything once and forks for each command, so that many kills fit in a short test.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.batch_server import BatchServer, Faults, serve
from tests.loopback_thread import environment


@contextmanager
def running(
    model: str = "rehearsal", faults: Faults | None = None, page: int = 100
) -> Iterator[tuple[str, BatchServer]]:
    """(base URL, the server's state) while the context lasts."""
    server = BatchServer(model, faults, page)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(serve(server), loop).result()
    try:
        yield f"http://127.0.0.1:{port}/v1", server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.003)


_FORKING = """
import json, os, sys
from glan_dspy.cli import main
import glan_dspy.run.generate, glan_dspy.cli.ending, glan_dspy.cli.prepare, glan_dspy.cli.progress
import glan_dspy.engines.batch
from glan_dspy.engines import batch_desk
batch_desk.PACE = batch_desk.Pace(settle=0.15, first_look=0.05, longest_look=0.1, doubt=0.5, room=0.1, longest_room=0.2)
print("ready", flush=True)
for line in sys.stdin:
    words = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(words["cwd"])
        with open("said", "wb", 0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv = ["glan", *words["words"]]
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 70 if end.code else 0
        else:
            code = 0
        sys.stdout.flush()
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Glan:
    """Runs one `glan` command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKING],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def start(self, cwd: Path, *words: str) -> int:
        """Starts the command and gives its process id."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"cwd": str(cwd), "words": words}) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def end(self) -> int:
        """The exit code of what was started; minus the signal that killed it."""
        return int(self._line())

    def kill(self, process: int, number: signal.Signals = signal.SIGKILL) -> int:
        with suppress(ProcessLookupError):  # it was quicker
            os.kill(process, number)
        return self.end()

    def run(self, cwd: Path, *words: str, check: int = 0) -> str:
        self.start(cwd, *words)
        code = self.end()
        said = (cwd / "said").read_text(encoding="utf-8")
        assert code == check, f"exit {code}\n{said}"
        return said

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the forking process died"
        return line.strip()
