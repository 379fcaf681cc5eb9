"""A run's figures, from its files gone through once, one discipline at a time. Reads only, and takes no lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from glan_dspy.publish.report.lengths import Lengths
from glan_dspy.publish.report.portions import Portion, at_work, portions
from glan_dspy.publish.report.sample import Sample
from glan_dspy.publish.report.spending import Spending
from glan_dspy.publish.report.tree import Grown, Node, room, text_of
from glan_dspy.records import Discipline
from glan_dspy.run.coverage import Coverage, Source, level_of, novelty
from glan_dspy.run.decisions import dropped
from glan_dspy.run.lines import Line
from glan_dspy.run.reading import ReadOnce
from glan_dspy.run.status import Plan, Survey, plan_of, standing
from glan_dspy.run.store import Run
from glan_dspy.run.variety import Novelty

__all__ = ["Gathered", "gather"]

KINDS = ("level", "strategy", "language", "question_model", "answer_model", "simulated")


@dataclass
class Gathered:
    """What the report shows, before it is put into words and pictures."""

    of: Source
    """What is counted: pairs, or of a run that has none yet its questions."""
    survey: Survey = field(default_factory=Survey)
    coverage: Coverage = field(init=False)
    novelty: Novelty = field(default_factory=Novelty)
    disciplines: dict[str, tuple[str, Node]] = field(default_factory=dict)
    """By name, each with its field."""
    kinds: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    """Records by the values of `KINDS`: there are few that differ."""
    questions: Lengths = field(default_factory=Lengths)
    answers: Lengths = field(default_factory=Lengths)
    fallen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rejects by stage and reason; what `curate` dropped has the stage `curate`."""
    spending: Spending = field(default_factory=Spending)
    sample: Sample = field(default_factory=Sample)
    spoilt: Counter[str] = field(default_factory=Counter)
    """Lines that hold nothing usable, by the file's name."""

    def __post_init__(self) -> None:
        self.coverage = Coverage(self.of)

    def add(self, line: Line) -> None:
        """Counts a pair or a question in, but for its place in the taxonomy."""
        get = line.get
        try:
            self.kinds[tuple(map(get, KINDS))] += 1
        except TypeError:  # edited by hand: by a list nothing can be counted
            self.kinds[tuple(text_of(get(key)) for key in KINDS)] += 1
        self.questions.expect(get("question_call"), line["question"])
        if self.of == "instructions":
            self.answers.expect(get("answer_call"), line["answer"])

    def by(self, kind: str) -> Counter[str]:
        """How many records there are of each level, strategy, …"""
        at, counts = KINDS.index(kind), Counter[str]()
        for values, count in self.kinds.items():
            counts[level_of({"level": values[at]}) if kind == "level" else text_of(values[at])] += count
        return counts

    @property
    def simulated(self) -> int:
        return sum(count for values, count in self.kinds.items() if values[KINDS.index("simulated")] is True)

    def merge(self, other: Gathered) -> None:
        """Counts in what was gathered from other disciplines."""
        for name in ("survey", "coverage", "questions", "answers", "spending", "sample"):
            getattr(self, name).merge(getattr(other, name))
        for name in ("disciplines", "kinds", "fallen", "spoilt"):
            getattr(self, name).update(getattr(other, name))


def gather(run: Run) -> Gathered:
    """Raises UserError for no run. Memory holds one discipline, in each process that reads."""
    plan, disciplines = plan_of(run), run.disciplines()
    task = Task(run.path, plan, _source(run, disciplines), room(len(disciplines)))
    found = Gathered(task.of)
    with at_work(task.__call__, portions(run, disciplines)) as results:
        found.novelty = novelty(run, task.of)
        for some in results:
            found.merge(some)
    _add_calls(found, ReadOnce(run.path))
    found.survey.end(plan)
    found.questions.end()
    found.answers.end()
    return found


def _source(run: Run, disciplines: Iterable[Discipline]) -> Source:
    paths = (run.shelf(discipline).path / "instructions.jsonl" for discipline in disciplines)
    return "instructions" if any(path.exists() and path.stat().st_size for path in paths) else "questions"


class Task(NamedTuple):
    """What is done with each portion of the disciplines, here or in another process."""

    run: Path
    plan: Plan
    of: Source
    parts: int
    """Of the taxonomy, that each discipline may show."""

    def __call__(self, portion: Portion) -> Gathered:
        found = Gathered(self.of)
        for discipline in portion:
            _add(found, discipline, ReadOnce(Run(self.run).shelf(discipline).path), self)
        return found


def _add(found: Gathered, discipline: Discipline, shelf: ReadOnce, task: Task) -> None:
    """Counts one discipline in: its calls last, because each is written before what it brought."""
    grown, folder = Grown(discipline, shelf.subjects()), discipline.folder

    def each(line: Line) -> None:
        found.add(line)
        grown.add(line)
        found.sample.accepted.offer(line["id"], folder)

    before = found.coverage.spoilt
    found.coverage.add(discipline.name, shelf, each)
    found.spoilt[task.of] += found.coverage.spoilt - before
    _add_rejects(found, grown, shelf)
    found.survey.add(shelf, task.plan.settings, task.plan.imported, task.plan.share(discipline))
    _add_calls(found, shelf)
    found.disciplines[discipline.name] = (discipline.field, grown.cut(task.parts))


def _add_rejects(found: Gathered, grown: Grown, shelf: ReadOnce) -> None:
    for item in standing(shelf).values():
        found.fallen[item.stage, item.reason] += 1
        found.sample.rejected.offer(item.id, grown.discipline.folder)
        grown.reject(item.item)
    accepted = shelf.ids("instructions")
    for id, reason in dropped(shelf).items():
        found.fallen["curate", reason] += id in accepted


def _add_calls(found: Gathered, shelf: ReadOnce) -> None:
    """Counts in a folder's calls, and what else its other files held that is of no use."""
    add, asked, answered = found.spending.add, found.questions.came, found.answers.came
    for line in shelf.read("calls"):
        try:
            tokens = add(line)
        except ValueError:
            found.spoilt["calls"] += 1
            continue
        if tokens and not asked(line["id"], tokens):
            answered(line["id"], tokens)
    found.questions.close()
    found.answers.close()
    found.spoilt.update(shelf.spoilt)
