"""A run's accepted pairs judged once more, all disciplines together.

Each discipline is judged for itself while it is made; here a question falls that another discipline asked before,
that is a duplicate of one in any discipline's test set, or that holds a benchmark's item (its answer too). Test sets
are compared by likeness, as pairs are with one another, not by shared phrases, as benchmarks are: what one model wrote
about one syllabus shares its turns of phrase.

The order of the reasons: contaminated, then holdout, duplicate or near_duplicate. A contaminated pair is no reason for
another to fall. Of duplicates the first in run order stays, and a test set comes before all pairs.

What changes is appended to each discipline's decisions.jsonl (run/decisions.py); nothing is rewritten, and a killed
command is finished by the same command.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from glan_dspy.errors import UserError
from glan_dspy.gates.contamination import Overlap, read_benchmarks
from glan_dspy.gates.verdict import Verdict
from glan_dspy.run.decisions import DROPPED, KEPT, drops
from glan_dspy.run.lines import Line
from glan_dspy.run.near import Heap, Twin
from glan_dspy.run.store import Run, Shelf

_PREFIX = ".curate-"
_EXAMPLES = 3

Say = Callable[[str], None]


def _unheard(_: str) -> None:
    pass


@dataclass(frozen=True)
class Rules:
    """What is judged by; written into every decision."""

    near: float
    """Similarity from which a question is a near duplicate; 1 leaves the equal ones."""
    against: tuple[Path, ...] = ()
    against_field: str | None = None

    def as_line(self) -> Line:
        return {"near": self.near, "against": [str(path) for path in self.against]}


@dataclass
class Hits:
    """What one benchmark was found in."""

    items: int = 0
    """That the benchmark has."""
    pairs: int = 0
    found: set[str] = field(default_factory=set)
    """Its items that were found."""
    examples: list[tuple[str, str]] = field(default_factory=list)
    """(pair's id, what was found), the first few."""

    def count(self, id: str, verdict: Verdict) -> None:
        self.pairs += 1
        self.found.add(verdict.found["item"])
        if len(self.examples) < _EXAMPLES:
            self.examples.append((id, verdict.detail))


@dataclass
class Summary:
    judged: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    benchmarks: dict[str, Hits] = field(default_factory=dict)
    restored: int = 0
    """Pairs that an earlier command dropped and this one keeps."""
    written: int = 0
    """Decisions that changed; of a dry run, that would change."""
    seconds: float = 0.0


def curate(run: Run, rules: Rules, *, dry_run: bool = False, tmp: Path | None = None, say: Say = _unheard) -> Summary:
    """Judges the run and appends what changes. Raises UserError: no run, another writer, a bad benchmark, a full disk.

    `tmp` is where about 320 bytes a question are kept meanwhile, the run's own folder unless given. `say` hears
    every few seconds how far it is. A dry run touches nothing of the run, whoever may write to it meanwhile, and
    sorts in the system's temporary folder unless `tmp` is given.
    """
    run.about()
    started = time.monotonic()
    with _room(tmp) if dry_run else _own_room(run, tmp) as folder:
        summary = Summary()
        benchmarks = _benchmarks(rules, summary)
        with Heap(folder, rules.near) as heap:
            job = _Job(run, rules, summary, benchmarks, heap, _pulse(say))
            ranges = job.read()
            job.settle()
            for shelf, start, stop in ranges:
                job.decide(shelf, start, stop, dry_run)
        summary.seconds = time.monotonic() - started
        if not dry_run:
            # Last: the decisions alone do not tell of benchmarks in which nothing was found.
            shelf = run.root_shelf()
            shelf.append("curations", {"time": round(time.time(), 3), "judged": summary.judged, **rules.as_line()})
            shelf.close()
        return summary


class _Range(NamedTuple):
    """The rows of one discipline: from start to before stop."""

    shelf: Shelf
    start: int
    stop: int


class _Job:
    """One curation from its reading to its writing."""

    def __init__(
        self, run: Run, rules: Rules, summary: Summary, benchmarks: Overlap | None, heap: Heap, say: Say
    ) -> None:
        self.run, self.rules, self.summary = run, rules, summary
        self.benchmarks, self.heap, self.say = benchmarks, heap, say
        self.fixed = 0
        """Rows of the test sets, which come first and never fall."""
        self.verdicts: dict[int, Verdict] = {}
        """Of the contaminated rows."""

    def read(self) -> list[_Range]:
        shelves = [self.run.shelf(discipline) for discipline in self.run.disciplines()]
        for shelf in shelves:
            for line in _pairs(shelf, "holdout"):
                self.heap.add(line["id"], line["question"])
        self.fixed = self.heap.rows
        ranges = []
        for shelf in shelves:
            start = self.heap.rows
            for line in _pairs(shelf, "instructions"):
                verdict = self._contaminated(line)
                row = self.heap.add(line["id"], line["question"], aside=verdict is not None)
                if verdict is not None:
                    self.verdicts[row] = verdict
                self.say(f"{row - self.fixed:,} pairs read")
            ranges.append(_Range(shelf, start, self.heap.rows))
        self.summary.judged = self.heap.rows - self.fixed
        return ranges

    def settle(self) -> None:
        self.say(f"{self.summary.judged:,} pairs read, comparing them")
        self.heap.settle(self.fixed)

    def decide(self, shelf: Shelf, start: int, stop: int, dry_run: bool) -> None:
        """Counts one discipline's drops, and appends what differs from its newest decisions."""
        earlier = drops(shelf)
        twins = {twin.row: twin for twin in self.heap.fallen(start, stop)}
        batch: list[Line] = []
        for row, id in self.heap.ids(start, stop):
            verdict = self.verdicts.get(row) or (self._twin(twins[row]) if row in twins else None)
            if verdict is not None:
                self._count(id, verdict)
            elif id in earlier:
                self.summary.restored += 1
            if (line := self._changed(id, verdict, earlier.get(id))) is not None:
                batch.append(line)
        self.summary.written += len(batch)
        if batch and not dry_run:
            _append(shelf, batch)

    def _contaminated(self, line: Line) -> Verdict | None:
        if self.benchmarks is None:
            return None
        return self.benchmarks.find(line["question"]) or self.benchmarks.find(line["answer"])

    def _twin(self, twin: Twin) -> Verdict:
        reason = "holdout" if twin.other < self.fixed else "duplicate" if twin.exact else "near_duplicate"
        same = "the same question as" if twin.exact else f"{twin.similarity:.0%} of its phrases are those of"
        return Verdict(reason, f"{same} {twin.other_id}", {"id": twin.other_id, "similarity": twin.similarity})

    def _count(self, id: str, verdict: Verdict) -> None:
        self.summary.dropped[verdict.reason] += 1
        if verdict.reason == "contaminated":
            self.summary.benchmarks[verdict.found["benchmark"]].count(id, verdict)

    def _changed(self, id: str, verdict: Verdict | None, earlier: Line | None) -> Line | None:
        if verdict is None:
            if earlier is None:
                return None
            decision = {
                "decision": KEPT,
                "reason": "",
                "detail": f"was dropped as {earlier.get('reason')}",
                "found": {},
            }
        else:
            decision = {"decision": DROPPED, **verdict._asdict(), "found": dict(verdict.found)}
            if earlier is not None and all(earlier.get(key) == decision[key] for key in ("reason", "found")):
                return None
        return {"id": id, **decision, "time": round(time.time(), 3), "settings": self.rules.as_line()}


def _pairs(shelf: Shelf, name: str) -> Iterator[dict[str, Any]]:
    """The file's lines that are pairs, the first of each id."""
    seen: set[str] = set()
    for line in shelf.read(name):
        if all(isinstance(line.get(key), str) for key in ("id", "question", "answer")) and line["id"] not in seen:
            seen.add(line["id"])
            yield line


def _benchmarks(rules: Rules, summary: Summary) -> Overlap | None:
    if not rules.against:
        return None
    overlap = Overlap()
    for benchmark, item, text in read_benchmarks(rules.against, rules.against_field):
        summary.benchmarks.setdefault(benchmark, Hits()).items += 1
        overlap.add(benchmark, item, text)
    return overlap


def _append(shelf: Shelf, batch: Sequence[Line]) -> None:
    try:
        shelf.append("decisions", *batch)
        shelf.sync()
    except OSError as error:
        raise UserError(f"cannot write to {shelf.path}: {error.strerror}; the same command goes on") from None
    finally:
        shelf.close()


@contextmanager
def _own_room(run: Run, tmp: Path | None) -> Iterator[Path]:
    """A folder while the run is locked; what killed commands left in the run is removed first."""
    with run.lock():
        for left in run.path.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        with _room(tmp or run.path) as folder:
            yield folder


@contextmanager
def _room(tmp: Path | None) -> Iterator[Path]:
    where = tmp or "the system's temporary folder"
    try:
        room = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=tmp, ignore_cleanup_errors=True)
    except OSError as error:
        raise UserError(f"cannot sort in {where}: {error.strerror}; --tmp names another folder") from None
    with room as folder:
        try:
            yield Path(folder)
        except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
            # A full disk is any of these, as it comes.
            raise UserError(f"cannot sort in {where}: {error}; --tmp names another folder") from None


def _pulse(say: Say, every: float = 10.0) -> Say:
    """`say`, but not more often than every so many seconds."""
    last = time.monotonic()

    def at_times(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            say(text)

    return at_times
