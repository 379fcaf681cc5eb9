"""One run that is hurt and goes on: begun, harmed, and finished by the command that the last line names."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.faults import procs
from tests.faults.last_line import check_last_line, named_command
from tests.faults.modes import Charges, Mode
from tests.faults.table import Row
from tests.processes import Command, Commands, Env, until
from tests.serving import Host

AT_ONCE = 16
"""Calls in flight, in all."""


class Case:
    """`record` takes the row for the table, when the case has been checked."""

    def __init__(
        self,
        folder: Path,
        mode: Mode,
        commands: Commands,
        host: Host,
        row: Row,
        record: Callable[[Row], None],
        disciplines: int,
        run: str = "run",
    ) -> None:
        self.folder, self.mode, self.commands, self.host, self.row, self.record = (
            folder, mode, commands, host, row, record)  # fmt: skip
        self.names = tuple(f"Discipline {number}" for number in range(disciplines))
        self.run, self.out = folder / run, run
        self.uncounted = 0
        """Kills after which nobody could count what was in flight: the next command was there at once."""

    @property
    def server(self) -> Charges:
        server: Charges = self.host.server  # type: ignore[assignment]
        return server

    @property
    def calls(self) -> int:
        """That the whole run needs."""
        return 43 * len(self.names)

    @property
    def words(self) -> list[str]:
        named = [word for name in self.names for word in ("--discipline", name)]
        size = [
            "--question-batch-size",
            str(AT_ONCE),
            "--answer-batch-size",
            str(AT_ONCE),
            "--concurrency",
            str(AT_ONCE),
        ]
        ask = ["--base-url", self.host.base_url, "--model-name", "sim", "--language", "English"]
        return ["generate", "-o", self.out, *ask, *size, *self.mode.flags, *named]

    # --- commands -----------------------------------------------------------------------------------

    def start(self, *words: str, before: str = "", env: Env | None = None) -> Command:
        """The command that begins the run, or these words of another one."""
        return self.commands.start(self.folder, *(words or self.words), before=before, env=env)

    def over(self, command: Command) -> int:
        """Waits for its end, which the last line must tell truly. Gives back the exit code."""
        code = command.wait()
        self.note(code)
        check_last_line(command, code)
        return code

    def note(self, code: int) -> None:
        told = str(code) if code >= 0 else signal.Signals(-code).name
        self.row.ends[told] = self.row.ends.get(told, 0) + 1

    def finish(self, last: Command | None = None) -> None:
        """Finishes the run by the command that the last one named; a killed one names none: `-o RUN` is enough."""
        for _ in range(6):
            command = self.start(*(named_command(last) if last else ["generate", "-o", self.out]))
            if self.over(command) == 0:
                return
            last = command
        raise AssertionError("six commands did not finish it")

    # --- harm ---------------------------------------------------------------------------------------

    def paid(self) -> int:
        return sum(self.server.paid.values())

    def until_paid(self, calls: int, command: Command) -> None:
        """Until the server has charged for so many calls in all, or the command has ended."""
        until(lambda: self.paid() >= calls or not command.running, 120)

    def workers(self) -> list[int]:
        return procs.workers(self.mode.worker, self.folder)

    def kill(self, command: Command, victim: str = "command") -> bool:
        """SIGKILL for the command, for one of its workers, or for all of them. Whether the command is dead."""
        workers = self.workers()
        self.row.times += 1
        self.uncounted += 1
        if victim == "worker":
            procs.kill(workers[:1])
            return False
        command.send(signal.SIGKILL)
        procs.kill(workers if victim == "all" else [])
        self.note(command.wait())
        return True

    def count_in_flight(self) -> None:
        """After everything was killed: what was paid for and has brought nothing that is on file was in flight."""
        self.until_quiet()
        if not self.mode.lasting:
            lost = self.paid() - finished(self.run) - self.row.in_flight
            assert 0 <= lost <= AT_ONCE * self.uncounted, f"{lost} calls were in flight at {self.uncounted} kills"
            self.row.in_flight += lost
        self.uncounted = 0

    def until_quiet(self) -> None:
        """Until no worker is left, and the server has done what it was asked."""
        until(lambda: not self.workers())
        if not self.mode.lasting:
            until(lambda: not self.server.in_flight)


def finished(run: Path) -> int:
    """How many calls have brought something that is on file."""
    return sum(len(set(ids(run, name))) for name in ("replies", "questions", "instructions"))


def ids(run: Path, name: str) -> Iterator[str]:
    """Of the whole lines of the disciplines' files of that name."""
    for path in run.glob(f"disciplines/*/{name}.jsonl"):
        for raw in path.read_bytes().splitlines():
            with suppress(ValueError):
                line = json.loads(raw)
                if isinstance(line, dict) and isinstance(line.get("id"), str):
                    yield line["id"]
