"""How a record came about, put together from its discipline's files.

    discipline > subject > syllabus > the sessions and key concepts it is about > the calls of each stage
               > what `curate` and `judge` said of it since

Each file is read once for all ids that are asked about, and memory holds what belongs to those. Files that grow
meanwhile may be read; lines that hold nothing usable are passed over. Of questions that came from a file there is no
subject and no syllabus, and the record has what the file said.

    {lineage.id: lineage} = lineages(run.shelf(discipline), discipline, ["de09825c7e07ed6cfc6b"])
    lineage.subject.level, [session.name for session in lineage.sessions], lineage.cost
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import Field

from glan_dspy.publish.calls import Call, read_calls
from glan_dspy.records import (
    ClassSession,
    Discipline,
    Instruction,
    Question,
    Record,
    Rejected,
    Subject,
    Syllabus,
    normalise,
    syllabus_id,
)
from glan_dspy.run import lines
from glan_dspy.run.decisions import DROPPED
from glan_dspy.run.lines import Line
from glan_dspy.run.store import Shelf

__all__ = ["Call", "Decision", "Judgement", "Lineage", "lineages"]

State = Literal["accepted", "held out", "rejected", "question"]
"""`question`: asked, and neither answered nor rejected yet."""

R = TypeVar("R", bound=Record)


class Decision(Record):
    """What `curate` decided; a later one stands."""

    id: str
    decision: Literal["dropped", "kept"]
    reason: str = ""
    detail: str = ""
    found: dict[str, Any] = Field(default_factory=dict)
    time: float | None = None


class Judgement(Record):
    """What a model said of the pair; of each model only its newest."""

    id: str
    scores: dict[str, int] | None = None
    """1 to 5 by criterion, or None where its reply could not be used."""
    score: float | None = None
    """Their mean."""
    why: str = ""
    votes: dict[str, Any] | None = None
    model: str = ""
    call: str = ""
    time: float | None = None


class Lineage(NamedTuple):
    """One record with everything that led to it, from its discipline down."""

    id: str
    state: State
    discipline: Discipline
    subject: Subject | None
    syllabus: Syllabus | None
    record: Question | None
    """The pair (an Instruction) or the question; None for a subject list or a syllabus that was rejected."""
    rejects: tuple[Rejected, ...]
    """Each time it fell, the newest last; an accepted record may have some too, from before a repair."""
    calls: Mapping[str, tuple[Call, ...]]
    """By stage: subjects, syllabus, question, answer, judge, vote; only those that have any. Subjects and syllabus
    are those of all records of the discipline or the syllabus."""
    decisions: tuple[Decision, ...]
    judgements: tuple[Judgement, ...]

    @property
    def sessions(self) -> tuple[ClassSession, ...]:
        """The class sessions it is about, as the syllabus has them; by name alone where that has them no more."""
        record = self.record
        if record is None:
            return ()
        known = {normalise(one.name): one for one in (self.syllabus.sessions if self.syllabus else ())}
        return tuple(known.get(normalise(name)) or ClassSession(name=name, key_concepts=()) for name in record.sessions)

    @property
    def dropped(self) -> Decision | None:
        """The newest decision, where that is a drop."""
        return self.decisions[-1] if self.decisions and self.decisions[-1].decision == DROPPED else None

    @property
    def score(self) -> float | None:
        """The newest score that a judge gave."""
        return next((one.score for one in reversed(self.judgements) if one.score is not None), None)

    @property
    def cost(self) -> float | None:
        """Dollars of the calls for this record alone: its question, its answer, its judges. None where unknown."""
        own = [call for stage, calls in self.calls.items() if stage not in SHARED for call in calls if not call.error]
        costs = [call.cost_usd for call in own]
        return None if None in costs else sum(cost or 0.0 for cost in costs)

    def as_line(self) -> Line:
        """All of it as JSON has it."""

        def dumped(value: Any) -> Any:
            if isinstance(value, Record):
                return value.model_dump()
            if isinstance(value, tuple):
                return [dumped(item) for item in value]
            return {key: dumped(item) for key, item in value.items()} if isinstance(value, Mapping) else value

        line = {name: dumped(value) for name, value in self._asdict().items() if name != "record"}
        return {**line, "sessions": dumped(self.sessions), "score": self.score, "cost_usd": self.cost}


SHARED = ("subjects", "syllabus")
"""Stages whose calls served many records."""


def lineages(shelf: Shelf, discipline: Discipline, ids: Iterable[str]) -> dict[str, Lineage]:
    """By id, in the order asked, the records that the discipline's folder has; ids that it has not are left out."""
    wanted = dict.fromkeys(ids)
    found = _records(shelf, wanted.keys().__contains__)
    parents = {id: _parents(one) for id, one in found.items()}
    subjects = {one.id: one for one in _about(shelf, "subjects", Subject, {ids.subject for ids in parents.values()})}
    syllabi = {one.id: one for one in _about(shelf, "syllabi", Syllabus, {ids.syllabus for ids in parents.values()})}
    decisions, judgements = _decisions(shelf, found), _judgements(shelf, found)
    items = _Items(discipline, parents, judgements, _votes(shelf, found))
    calls = read_calls(shelf, items.wants)
    return {
        id: Lineage(
            id=id,
            state=found[id].state,
            discipline=discipline,
            subject=subjects.get(parents[id].subject) or found[id].subject,
            syllabus=syllabi.get(parents[id].syllabus),
            record=found[id].record,
            rejects=tuple(found[id].rejects),
            calls=items.by_stage(id, calls),
            decisions=tuple(decisions[id]),
            judgements=tuple(judgements[id].values()),
        )
        for id in wanted
        if id in found
    }


@dataclass
class _Found:
    """What the files say of one id."""

    pair: Instruction | None = None
    held_out: bool = False
    question: Question | None = None
    rejects: list[Rejected] = field(default_factory=list)
    subject: Subject | None = None
    """What a rejected syllabus was to be of."""

    @property
    def record(self) -> Question | None:
        return self.pair or self.question

    @property
    def state(self) -> State:
        if self.pair:
            return "held out" if self.held_out else "accepted"
        return "rejected" if self.rejects else "question"


def _records(shelf: Shelf, wanted: Callable[[str], bool]) -> dict[str, _Found]:
    """The first pair of each id, as exports take it; the newest question; every reject."""
    found: defaultdict[str, _Found] = defaultdict(_Found)
    for name in ("instructions", "holdout"):
        for pair in _sound(shelf, name, Instruction, wanted):
            if found[pair.id].pair is None:
                found[pair.id].pair, found[pair.id].held_out = pair, name == "holdout"
    for question in _sound(shelf, "questions", Question, wanted):
        found[question.id].question = question
    for reject in _sound(shelf, "rejected", Rejected, wanted):
        one = found[reject.id]
        one.rejects.append(reject)
        if reject.stage == "syllabus":
            one.subject = _valid(Subject, reject.item) or one.subject
        elif reject.stage != "subjects":
            one.question = one.question or _valid(Question, reject.item)
    return dict(found)


class _Parents(NamedTuple):
    """The ids of what a record hangs on; empty where it has none."""

    subject: str
    syllabus: str


def _parents(found: _Found) -> _Parents:
    if found.record is not None:
        return _Parents(found.record.subject_id, found.record.syllabus_id)
    return _Parents(found.subject.id, syllabus_id(found.subject.id)) if found.subject else _Parents("", "")


def _decisions(shelf: Shelf, found: Mapping[str, _Found]) -> dict[str, list[Decision]]:
    decided: dict[str, list[Decision]] = {id: [] for id in found}
    for one in _sound(shelf, "decisions", Decision, decided.__contains__):
        decided[one.id].append(one)
    return decided


def _judgements(shelf: Shelf, found: Mapping[str, _Found]) -> dict[str, dict[str, Judgement]]:
    """By id and model."""
    said: dict[str, dict[str, Judgement]] = {id: {} for id in found}
    for one in _sound(shelf, "judgements", Judgement, said.__contains__):
        said[one.id].pop(one.model, None)  # the newest is the last
        said[one.id][one.model] = one
    return said


def _votes(shelf: Shelf, found: Mapping[str, _Found]) -> dict[str, list[str]]:
    """By id, the items of the votes on it."""
    items: dict[str, list[str]] = {id: [] for id in found}
    for line in lines.about(shelf.path / "votes.jsonl", items.__contains__):
        items[line["id"]].append(f"{line['id']}.{line.get('model')}.{line.get('number')}")
    return items


class _Items:
    """Which items of calls.jsonl belong to which record."""

    def __init__(
        self,
        discipline: Discipline,
        parents: Mapping[str, _Parents],
        judgements: Mapping[str, Mapping[str, Judgement]],
        votes: Mapping[str, list[str]],
    ) -> None:
        self.queries = f"{discipline.id}."
        """What the items of all subject queries begin with."""
        self.own = {
            id: [ids.syllabus, id, *(f"{id}.{model}" for model in judgements[id]), *votes[id]]
            for id, ids in parents.items()
        }
        self._wanted = {item for items in self.own.values() for item in items if item}

    def wants(self, item: str) -> bool:
        return item in self._wanted or item.startswith(self.queries)

    def by_stage(self, id: str, calls: Mapping[str, tuple[Call, ...]]) -> dict[str, tuple[Call, ...]]:
        """The record's calls, those of one stage together; imported questions have no subjects."""
        queries = sorted((item for item in calls if item.startswith(self.queries)), key=_number)
        listed = [id] if id in queries else queries  # a rejected query tells of itself alone
        grouped: defaultdict[str, list[Call]] = defaultdict(list)
        for item in dict.fromkeys([*listed, *self.own[id]]):
            for call in calls.get(item, ()):
                grouped[call.about].append(call)
        return {stage: tuple(some) for stage, some in grouped.items()}


def _number(query: str) -> tuple[int, str]:
    number = query.rpartition(".")[2]
    return (int(number) if number.isascii() and number.isdecimal() else 0, query)


# --- lines that are sound -----------------------------------------------------------------------------------------


def _about(shelf: Shelf, name: str, kind: type[R], ids: set[str]) -> Iterator[R]:
    return _sound(shelf, name, kind, (ids - {""}).__contains__)


def _sound(shelf: Shelf, name: str, kind: type[R], wanted: Callable[[str], bool]) -> Iterator[R]:
    """The file's records of the wanted ids; a line that was edited into something else is passed over."""
    for line in lines.about(shelf.path / f"{name}.jsonl", wanted):
        if (record := _valid(kind, line)) is not None:
            yield record


def _valid(kind: type[R], line: Mapping[str, Any]) -> R | None:
    try:
        return kind.model_validate(line)
    except ValueError:
        return None
