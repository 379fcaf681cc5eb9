"""What has happened so far, in numbers: the walk counts, the progress display reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Protocol

from glan_dspy.settings import Settings


@dataclass
class Tally:
    disciplines: int = 0
    disciplines_done: int = 0
    subjects: int = 0
    syllabi: int = 0
    questions: int = 0
    instructions: int = 0
    found: int = 0
    """Pairs that earlier commands on this run had already made; part of `instructions`."""
    held_out: int = 0
    """Pairs of the test sets."""
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    """Items that got no reply, by the kind of failure; a rerun tries them again."""
    errors: Counter[str] = field(default_factory=Counter)
    """Failed attempts by kind, healed by a retry or not."""
    exhausted: int = 0
    """Syllabi with fewer combinations of sessions and concepts than questions were planned."""
    calls: int = 0
    cost: float = 0.0
    """Dollars of this command's calls whose price is known."""
    unpriced: int = 0
    """Calls whose price is not known."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def call(self, line: dict[str, Any]) -> None:
        self.cost += line.get("reserved_usd") or line.get("cost_usd") or 0.0
        if "error" in line:
            self.errors[line["error"]] += 1
            return
        self.calls += 1
        self.unpriced += line["cost_usd"] is None
        self.prompt_tokens += line["prompt_tokens"] or 0
        self.completion_tokens += line["completion_tokens"] or 0

    def add(self, other: Tally, *, on_file: bool = True) -> None:
        """Counts another one in; without `on_file`, only what its command did, and not what the files hold."""
        for name in (one.name for one in fields(self) if on_file or one.name not in ON_FILE):
            mine, its = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(its)
            else:
                setattr(self, name, mine + its)

    def on_file(self) -> Tally:
        """What of it whoever opens the files next finds there."""
        only = Tally()
        for name in ON_FILE:
            setattr(only, name, getattr(self, name))
        return only

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `tally_of` reads it again."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in values}


ON_FILE = frozenset({"disciplines", "disciplines_done", "subjects", "syllabi", "questions", "instructions", "found",
                     "held_out", "rejected"})  # fmt: skip
"""What a discipline's files tell to whoever opens them; the rest is known only to the process that did it."""


def tally_of(plain: dict[str, Any]) -> Tally:
    values: dict[str, Any] = {k: Counter(v) if isinstance(v, dict) else v for k, v in plain.items()}
    return Tally(**values)


class Shown(Protocol):
    """What a display reads while a command goes on: one process's walk, or the coordinator of several."""

    @property
    def settings(self) -> Settings: ...
    @property
    def tally(self) -> Tally: ...
    @property
    def in_flight(self) -> int: ...
    def planned_questions(self) -> int: ...
    def stop(self) -> None: ...


def planned_questions(settings: Settings, tally: Tally, listed: int) -> int:
    """How many there will be, as far as is known: more subjects are guessed where none are listed yet."""
    if settings.num_pairs:
        return settings.num_pairs
    a_discipline = tally.subjects / max(1, listed) if tally.subjects else settings.max_number_of_subjects
    return round(max(tally.subjects, a_discipline * tally.disciplines) * settings.samples_per_syllabus)


class Short(NamedTuple):
    """What a discipline lacks when it is through."""

    pairs: int
    test: int = 0
    """Pairs of its test set."""
    dry: bool = False
    """No combination of sessions and concepts is left."""
    unplanned: int = 0
    """Subjects without a usable syllabus."""


@dataclass
class Outcome:
    """How a walk ended."""

    tally: Tally
    interrupted: bool = False
    budget: str = ""
    """That the cap is reached, in numbers."""
    needs: float = 0.0
    """Dollars with which the call that found the cap reached could have been sent."""
    reason: str = ""
    """Why it stopped before its end, where the user must mend something."""
    bugs: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Names of the disciplines with open items, or with no subjects."""
    short: dict[str, Short] = field(default_factory=dict)
    """What is missing, by the discipline's name."""
    why: str = ""
    """What went wrong in the last of them."""

    def fails(self, discipline: str) -> None:
        """Something in it is left open, or it has no subjects."""
        if discipline not in self.failed:
            self.failed.append(discipline)

    def comes_through(self, discipline: str) -> None:
        """Nothing is left open in it, whatever was before it was given more to ask."""
        if discipline in self.failed:
            self.failed.remove(discipline)

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `outcome_of` reads it again."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        short = {name: short._asdict() for name, short in self.short.items()}
        return {**values, "tally": self.tally.plain(), "short": short}


def outcome_of(plain: dict[str, Any]) -> Outcome:
    short = {name: Short(**values) for name, values in plain["short"].items()}
    return Outcome(**{**plain, "tally": tally_of(plain["tally"]), "short": short})
