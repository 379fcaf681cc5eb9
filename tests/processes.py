"""`glan` commands in processes of their own, which can be hurt while they run.

Spawning()    each is begun as a shell begins it: seconds until it has imported everything
Forking()     a process that has imported everything once forks for each: many kills fit in a short test
glan, start   a command by the Forking() that all tests of this process share, to its end or not
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

Env = Mapping[str, str]

LONGEST = 500.0
"""Seconds that a command may take."""

_NUMBERS = itertools.count(1)


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.003)


class Command:
    """One command: its process id, what it says, how it ended. It leads a process group of its own, as in a shell."""

    def __init__(self, said: Path, poll: Callable[[], int | None]) -> None:
        self.out, self.err = said.with_suffix(".out"), said.with_suffix(".err")
        self.pid = 0
        self._poll = poll

    @property
    def running(self) -> bool:
        return self._poll() is None

    def wait(self) -> int:
        """The exit code; minus the signal that killed it. One that does not end is killed, and the test fails."""
        try:
            until(lambda: not self.running, LONGEST)
        except AssertionError:
            self.send(signal.SIGKILL)
            raise AssertionError(f"it has not ended after {LONGEST:g} s\n{self.said}") from None
        code = self._poll()
        assert code is not None
        return code

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it was quicker
            os.kill(self.pid, number)

    def ctrl_c(self) -> None:
        """As a terminal does it: to everything in the foreground."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGINT)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        self.send(number)
        return self.wait()

    @property
    def stdout(self) -> str:
        return self.out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self.err.read_text(encoding="utf-8")

    @property
    def said(self) -> str:
        """All of it, stderr last."""
        return self.stdout + self.stderr

    @property
    def last_line(self) -> str:
        return (self.stderr.splitlines() or [""])[-1]


class Commands(Protocol):
    def start(self, cwd: Path, *words: str, before: str = "", umask: int = -1, env: Env | None = None) -> Command:
        """Begins `glan WORDS`; `before` is Python that its process runs first."""


def ended(commands: Commands, cwd: Path, *words: str, check: int | None = 0, env: Env | None = None) -> Command:
    """The command when it has ended; `check` is the exit code that it must have (None: any)."""
    done = commands.start(cwd, *words, env=env)
    code = done.wait()
    assert check is None or code == check, f"exit {code} of {' '.join(words)}\n{done.said}"
    return done


@cache
def _saids() -> Path:
    """Where what commands say is kept until the tests end."""
    folder = tempfile.TemporaryDirectory(prefix="glan-said-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def command(*words: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", f"{before}\nfrom glan_dspy.cli import main; main()", *words]


def environment(**more: str) -> dict[str, str]:
    root = str(Path(__file__).parents[1])
    # With bytecode on disk a process has DSPy in half the time.
    left = ("GLAN_", "OPENAI_", "AZURE_OPENAI_", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(left)}
    return {**kept, "PYTHONPATH": root, "PYTHONUTF8": "1", **more}


class Spawning:
    def start(self, cwd: Path, *words: str, before: str = "", umask: int = -1, env: Env | None = None) -> Command:
        begun = Command(_saids() / str(next(_NUMBERS)), lambda: process.poll())
        with begun.out.open("wb") as out, begun.err.open("wb") as err:
            process = subprocess.Popen(
                command(*words, before=before),
                cwd=cwd,
                env=environment(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                umask=umask,
            )
        begun.pid = process.pid
        return begun


_FORKING = """
import json, os, select, signal, sys
from glan_dspy.cli import main
import glan_dspy.run.generate, glan_dspy.cli.ending, glan_dspy.cli.prepare, glan_dspy.cli.progress
import glan_dspy.run.coordinator, glan_dspy.run.status, glan_dspy.publish.export
import glan_dspy.engines.batch, glan_dspy.engines.openai
from glan_dspy.engines import batch_desk
batch_desk.PACE = batch_desk.Pace(settle=0.15, first_look=0.05, longest_look=0.1, doubt=0.5, room=0.1, longest_room=0.2)

def child(ask):
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.environ.update(ask["env"])
    os.chdir(ask["cwd"])
    for number, name in ((0, os.devnull), (1, ask["out"]), (2, ask["err"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (open(number, "rw"[number > 0], encoding="utf-8") for number in range(3))
    sys.argv = ["glan", *ask["words"]]
    if ask["umask"] >= 0:
        os.umask(ask["umask"])
    try:
        exec(ask["before"], {})
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70 if end.code else 0
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

def say(**what):
    os.write(1, json.dumps(what).encode() + b"\\n")

woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
signal.signal(signal.SIGCHLD, lambda *_: None)
signal.set_wakeup_fd(wake)
children = set()
say(ready=True)
while True:
    ready, _, _ = select.select([0, woken], [], [])
    if woken in ready:
        os.read(woken, 512)
        while children and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            children.discard(ended[0])
            say(pid=ended[0], code=os.waitstatus_to_exitcode(ended[1]))
    if 0 in ready:
        line = sys.stdin.readline()
        if not line:
            break
        pid = os.fork()
        if not pid:
            child(json.loads(line))
        children.add(pid)
        say(began=pid)
"""


class Forking:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKING],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._heard = b""
        self._began: list[int] = []
        self._codes: dict[int, int] = {}
        self._ready = False
        while not self._ready:
            self._hear(True)

    def start(self, cwd: Path, *words: str, before: str = "", umask: int = -1, env: Env | None = None) -> Command:
        begun = Command(_saids() / str(next(_NUMBERS)), lambda: self._code(begun.pid))
        where = {"cwd": str(cwd.absolute()), "out": str(begun.out), "err": str(begun.err)}
        ask = {"words": words, "before": before, "umask": umask, "env": dict(env or {}), **where}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(ask).encode() + b"\n")
        while not self._began:
            self._hear(True)
        begun.pid = self._began.pop()
        return begun

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _code(self, pid: int) -> int | None:
        self._hear(False)
        return self._codes.get(pid)

    def _hear(self, wait: bool) -> None:
        """Takes in what the forking process says; with `wait` it says at least one thing more."""
        assert self._process.stdout
        while wait or select.select([self._process.stdout], [], [], 0)[0]:
            some = os.read(self._process.stdout.fileno(), 1 << 16)
            assert some, "the forking process died"
            *lines, self._heard = (self._heard + some).split(b"\n")
            for line in map(json.loads, lines):
                match line:
                    case {"began": pid}:
                        self._began.append(pid)
                    case {"pid": pid, "code": code}:
                        self._codes[pid] = code
                    case {"ready": ready}:
                        self._ready = ready
            wait = wait and not lines


@cache
def forking() -> Forking:
    """The one of this process; it ends with it."""
    begun = Forking()
    atexit.register(begun.close)
    return begun


def start(*words: str, cwd: Path, **env: str) -> Command:
    return forking().start(cwd, *words, env=env)


def glan(*words: str, cwd: Path, check: int | None = 0, **env: str) -> Command:
    """Runs `glan WORDS` to its end; `check` is the exit code that it must have (None: any)."""
    return ended(forking(), cwd, *words, check=check, env=env)
