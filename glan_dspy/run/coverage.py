"""What the accepted pairs of a run cover, and whether new ones still add something.

    pairs                   how many; those that `curate` dropped and the test set are none of them
    sessions, key_concepts  how many the syllabi made so far have, and how many of those a pair uses; a concept that
                            two sessions of a syllabus share is one
    evenness                the entropy of the pairs over disciplines and over levels, divided by the most it can be:
                            1 where each has as many, 0 where one has all
    levels, strategies      the share of the pairs at each level, by the hundred, and of each strategy
    distinct                the share of different ones among the words, the neighbouring two and the neighbouring
                            three of a sample (run/variety.py); compare runs of one size only
    near_duplicates         the share of the questions that fell as `duplicate` or `near_duplicate`, while the run was
                            made or in `curate`
    new_phrases             the share of phrases of three words that no earlier question of the discipline has, in the
                            first tenth of each discipline's questions and in the last

New phrases become fewer in any text. Where the last tenth brings next to none, the model repeats itself, and more
questions of this kind bring little.

Files are streamed, one discipline at a time, so a run that is still going may be read.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal

from glan_dspy.run.decisions import dropped
from glan_dspy.run.lines import Line
from glan_dspy.run.reading import ReadOnce
from glan_dspy.run.store import Run, Shelf
from glan_dspy.run.variety import Novelty, Sample, share

__all__ = ["Coverage", "coverage", "novelty"]

_ALIKE = frozenset({"duplicate", "near_duplicate"})

Source = Literal["instructions", "questions"]
"""What is counted: the pairs, or of a run that has none yet its questions."""

Names = defaultdict[str, set[str]]
"""Of sessions or of key concepts, by the id of their syllabus."""


def coverage(run: Run) -> dict[str, Any]:
    """The figures named above; a share lies between 0 and 1, or is None where there is nothing to count yet.

    >>> coverage(run)["sessions"], coverage(run)["new_phrases"]
    ({'used': 700, 'of': 738, 'share': 0.9485}, {'first_tenth': 0.9312, 'last_tenth': 0.4107, 'questions': 2460})

    Raises UserError for no run.
    """
    disciplines = run.disciplines()
    found = Coverage()
    for discipline in disciplines:
        found.add(discipline.name, ReadOnce(run.shelf(discipline).path))
    return found.told([discipline.name for discipline in disciplines], novelty(run))


def novelty(run: Run, of: Source = "instructions") -> Novelty:
    """How much new questions still bring, told by the first disciplines by id, which are a fair sample."""
    found = Novelty()
    for discipline in sorted(run.disciplines(), key=lambda discipline: discipline.id):
        for record in Records(ReadOnce(run.shelf(discipline).path), of):
            found.add(record["question"])
        found.close()
        if found.enough:
            break
    return found


class Records:
    """Each accepted pair of a discipline once, without what `curate` dropped; or each question that did not fall."""

    def __init__(self, shelf: Shelf, of: Source) -> None:
        self.shelf, self.of = shelf, of
        self.spoilt = 0
        """Lines passed over that hold something, and none of these: edited by hand."""

    def __iter__(self) -> Iterator[Line]:
        left_out = set(dropped(self.shelf) if self.of == "instructions" else self.shelf.ids("rejected"))
        texts = ("id", "question", "answer")[: 3 if self.of == "instructions" else 2]
        for line in self.shelf.read(self.of):
            if not _has(line, texts):
                self.spoilt += 1
            elif line["id"] not in left_out:
                left_out.add(line["id"])
                yield line


def _look_away(_: Line) -> None:
    """For who has no use for the single pair."""


class Coverage:
    """Sums over the disciplines of a run."""

    def __init__(self, of: Source = "instructions") -> None:
        self.of: Source = of
        self.sessions, self.concepts = _Use(), _Use()
        self.pairs: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        """Pairs at each; 0 at a level that only a subject has."""
        self.strategies: Counter[str] = Counter()
        self.questions: Counter[str] = Counter()
        self.alike: Counter[str] = Counter()
        self.sample = Sample()
        self.spoilt = 0
        """Lines that hold no pair though they hold something."""

    def add(self, name: str, shelf: ReadOnce, each: Callable[[Line], None] = _look_away) -> None:
        """Counts one discipline in. `each` gets every pair that is counted, for what else is to be known of it."""
        self.levels.update(dict.fromkeys(map(level_of, shelf.read("subjects")), 0))
        used_sessions, used_concepts, pairs = Names(set), Names(set), Records(shelf, self.of)
        for pair in pairs:
            syllabus = pair.get("syllabus_id")
            if isinstance(syllabus, str):
                _use(used_sessions[syllabus], pair.get("sessions"))
                _use(used_concepts[syllabus], pair.get("key_concepts"))
            self.pairs[name] += 1
            self.levels[level_of(pair)] += 1
            self.strategies[str(pair.get("strategy") or "")] += 1
            self.sample.add(pair["id"], pair["question"], pair.get("answer") or "")
            each(pair)
        self.spoilt += pairs.spoilt
        sessions, concepts = _designed(shelf)
        self.sessions.add(used_sessions, sessions)
        self.concepts.add(used_concepts, concepts)
        self._count_questions(name, shelf)

    def _count_questions(self, name: str, shelf: Shelf) -> None:
        accepted = shelf.ids("instructions")
        made = accepted | shelf.ids("holdout")
        fell = {id: reason for id, reason in _rejected_questions(shelf) if id not in made}
        fell |= {id: reason for id, reason in dropped(shelf).items() if id in accepted}
        self.questions[name] += len(made | fell.keys() | shelf.ids("questions"))
        self.alike[name] += sum(reason in _ALIKE for reason in fell.values())

    def merge(self, other: Coverage) -> None:
        """Counts in what another has counted, of other disciplines."""
        self.sessions.merge(other.sessions)
        self.concepts.merge(other.concepts)
        for name in ("pairs", "levels", "strategies", "questions", "alike"):
            getattr(self, name).update(getattr(other, name))
        self.sample.merge(other.sample)
        self.spoilt += other.spoilt

    def told(self, names: list[str], novelty: Novelty) -> dict[str, Any]:
        return {
            "pairs": self.pairs.total(),
            "sessions": self.sessions.told(),
            "key_concepts": self.concepts.told(),
            "evenness": {
                "disciplines": _evenness([self.pairs[name] for name in names]),
                "levels": _evenness([count for level, count in self.levels.items() if level]),
            },
            "levels": _shares(self.levels),
            "strategies": _shares(self.strategies),
            "distinct": self.sample.told(),
            "near_duplicates": {
                "share": share(self.alike.total(), self.questions.total()),
                "disciplines": {n: share(self.alike[n], self.questions[n]) for n in names if self.questions[n]},
            },
            "new_phrases": novelty.told(),
        }


class _Use:
    """How many of some things are used, and how many there are."""

    def __init__(self) -> None:
        self.used = self.all = 0

    def add(self, used: Names, all: Names) -> None:
        # A syllabus that was made anew has others than its older pairs name.
        self.used += sum(len(names & all[syllabus]) for syllabus, names in used.items() if syllabus in all)
        self.all += sum(map(len, all.values()))

    def merge(self, other: _Use) -> None:
        self.used += other.used
        self.all += other.all

    def told(self) -> dict[str, Any]:
        return {"used": self.used, "of": self.all, "share": share(self.used, self.all)}


def _rejected_questions(shelf: Shelf) -> Iterator[tuple[str, str]]:
    """(id, reason) of what was never answered, the last word about each id last."""
    for line in shelf.read("rejected"):
        if line.get("stage") == "question" and isinstance(line.get("id"), str):
            yield line["id"], str(line.get("reason"))


def _designed(shelf: Shelf) -> tuple[Names, Names]:
    """All sessions, and all key concepts."""
    sessions, concepts = Names(set), Names(set)
    for syllabus in shelf.syllabi().values():
        for session in syllabus.sessions:
            sessions[syllabus.id].add(session.name)
            concepts[syllabus.id].update(session.key_concepts)
    return sessions, concepts


def _has(line: Line, texts: tuple[str, ...]) -> bool:
    """Whether there is something to read under each of these keys."""
    for key in texts:
        text = line.get(key)
        if not isinstance(text, str) or not text or text.isspace():
            return False
    return True


def _use(used: set[str], names: object) -> None:
    """Adds the names of a record; what else somebody wrote there is no name of a syllabus, or cannot be one."""
    if isinstance(names, list):
        with suppress(TypeError):
            used.update(names)


def level_of(line: Line) -> str:
    """`300` for 300 to 399; the level of an imported question may be any text. Empty for none."""
    level = line.get("level")
    return str(level // 100 * 100) if isinstance(level, int) else level if isinstance(level, str) else ""


def _evenness(counts: list[int]) -> float | None:
    """None where there are no two kinds to be even over, or nothing was counted."""
    total = sum(counts)
    if len(counts) < 2 or not total:
        return None
    entropy = sum(n / total * math.log(total / n) for n in counts if n)
    return round(entropy / math.log(len(counts)), 4)


def _shares(counts: Counter[str]) -> dict[str, float | None]:
    """By name, without what has none."""
    total = counts.total()
    return {name: share(count, total) for name, count in sorted(counts.items()) if name}
