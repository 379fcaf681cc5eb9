"""The run directory: what was decided, what was made, what was dropped and what was paid.

    RUN/run.json                      settings, seed, program digest, versions; written first
    RUN/taxonomy.json                 when generated
    RUN/replies.jsonl calls.jsonl     of the taxonomy
    RUN/curations.jsonl               what each `curate` judged by, and how many pairs
    RUN/disciplines/<slug>-<id6>/     one writer at a time: the unit of resuming and of loss
        replies.jsonl                 every paid reply that is not itself a record yet
        subjects.jsonl syllabi.jsonl questions.jsonl
        instructions.jsonl            accepted pairs
        holdout.jsonl                 the test set
        rejected.jsonl                every dropped item, whole, with stage and reason
        decisions.jsonl               which accepted pairs `curate` dropped, and why
        judgements.jsonl votes.jsonl  what `judge` said of accepted pairs
        calls.jsonl                   one line an attempt: tokens, cost, finish reason, seconds

Files only append. An accepted id supersedes its reject.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import orjson
from filelock import FileLock, Timeout

from glan_dspy.errors import UserError
from glan_dspy.records import Discipline, Instruction, Question, Record, Rejected, Subject, Syllabus
from glan_dspy.run import lines
from glan_dspy.run.about import read_about
from glan_dspy.run.claim import Claim
from glan_dspy.run.lines import Appender, Line
from glan_dspy.run.sound import is_call, is_reply

R = TypeVar("R", bound=Record)

FILES = ("replies", "subjects", "syllabi", "questions", "instructions", "holdout", "rejected", "calls")


class Shelf:
    """One folder's files: appended to by one writer, read by anyone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[str, Appender] = {}
        self._claim: Claim | None = None

    def claim(self) -> None:
        """Makes this the folder's one writer, until it is closed. Raises Fenced where another process stays it."""
        self._claim = Claim(self.path)

    def append(self, name: str, *items: Line | Record) -> None:
        """Puts the items at the end of `<name>.jsonl`, together, and hands them to the operating system.

        Raises Fenced, and writes nothing, where the folder was claimed and another process has claimed it since.
        """
        if self._claim:
            self._claim.check()
        appender = self._open.get(name)
        if appender is None:
            appender = self._open[name] = Appender(self.path / f"{name}.jsonl")
        appender.append(*(item.model_dump() if isinstance(item, Record) else item for item in items))

    def read(self, name: str) -> Iterator[Line]:
        return lines.read(self.path / f"{name}.jsonl")

    def ids(self, name: str) -> set[str]:
        return set(lines.ids(self.path / f"{name}.jsonl"))

    def sync(self) -> None:
        for appender in list(self._open.values()):
            appender.sync()

    def close(self) -> None:
        with ExitStack() as everything:  # also what comes after one that cannot be closed well
            if self._claim:
                everything.callback(self._claim.release)
                self._claim = None
            while self._open:
                everything.callback(self._open.popitem()[1].close)

    # --- the records, as the last line about each id has them ---

    def subjects(self) -> tuple[Subject, ...]:
        """The discipline's subjects in order; none where the list was not completely written."""
        found = {subject.id: subject for subject in self._records("subjects", Subject)}
        ordered = sorted(found.values(), key=lambda subject: subject.place)
        whole = bool(ordered) and len(ordered) == ordered[-1].place[1]
        return tuple(ordered) if whole else ()

    def syllabi(self) -> dict[str, Syllabus]:
        return {syllabus.id: syllabus for syllabus in self._records("syllabi", Syllabus)}

    def questions(self) -> Iterator[Question]:
        return self._records("questions", Question)

    def instructions(self) -> Iterator[Instruction]:
        return self._records("instructions", Instruction)

    def held_out(self) -> Iterator[Instruction]:
        return self._records("holdout", Instruction)

    def rejected(self) -> Iterator[Rejected]:
        return self._records("rejected", Rejected)

    # --- the lines that are no records, as far as they are sound ---

    def calls(self) -> Iterator[Line]:
        return filter(is_call, self.read("calls"))

    def replies(self) -> Iterator[Line]:
        return filter(is_reply, self.read("replies"))

    def _records(self, name: str, kind: type[R]) -> Iterator[R]:
        for line in self.read(name):
            try:
                yield kind.model_validate(line)
            except ValueError:
                continue  # a row edited by hand into something else; `status` counts and names them


class Run:
    """A run directory. Reading needs nothing; writing needs `with run.lock():`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        return (self.path / "run.json").exists()

    def about(self) -> dict[str, Any]:
        """run.json. Raises UserError where there is none, or none that can be read."""
        return read_about(self.path)

    def write_about(self, about: dict[str, Any]) -> None:
        write_whole(self.path / "run.json", orjson.dumps(about, option=orjson.OPT_INDENT_2))

    def disciplines(self) -> tuple[Discipline, ...]:
        return tuple(Discipline(**item) for item in self.about()["disciplines"])

    def shelf(self, discipline: Discipline) -> Shelf:
        return Shelf(self.path / "disciplines" / discipline.folder)

    def root_shelf(self) -> Shelf:
        return Shelf(self.path)

    def lock(self) -> Lock:
        return Lock(self.path)


NO_RUN = Path(os.devnull)
"""A path where no run can be, for what may be asked of a run or of none."""


def write_whole(path: Path, data: bytes) -> None:
    """Puts the file in place at once: whoever reads it sees the old one or the new one, whole.

    Where that fails, nothing new is left, and OSError names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None  # a full disk names nothing
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


ROOM = 1 << 20
"""Bytes that must be free before anything is asked: what comes back has to go somewhere, and is paid for."""


def require_room(folder: Path) -> None:
    """Raises OSError where that much cannot be written. A trial, because a quota is in no figure of the system's."""
    trial = folder / ".room"
    try:
        trial.write_bytes(bytes(ROOM))
    finally:
        trial.unlink(missing_ok=True)


class Lock:
    """One writer a run. The lock is the operating system's, so a killed process leaves none behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holder = path / ".lock-holder"
        self._lock = FileLock(path / ".lock", timeout=0)

    def __enter__(self) -> Lock:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            require_room(self.path)
        except Timeout:
            try:
                holder = self._holder.read_text(encoding="utf-8")
            except OSError:
                holder = ""
            raise UserError(
                f"{self.path} is being written by {holder or 'another process'}; wait for it, or use another --out"
            ) from None
        except OSError as error:
            self._lock.release()
            raise UserError(
                f"cannot write to {self.path}: {error.strerror}; make room there and give the same command again, or "
                "choose another --out"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()
