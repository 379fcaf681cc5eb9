"""Some of a run's records to read, with how each came about: the same ones however often a report is made.

They are those that come first by a hash of their ids, so a run that grows changes few of them. Texts are shortened to
what a page has room for; the run has them whole.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from glan_dspy.publish.again import without_folder
from glan_dspy.publish.calls import Call
from glan_dspy.publish.lineage import SHARED, Lineage, lineages
from glan_dspy.publish.report.portions import Portion, at_work, portions
from glan_dspy.publish.report.tree import brief
from glan_dspy.records import Instruction
from glan_dspy.run.store import Run

ROWS, REJECTS = 200, 50
"""Of all kinds, and those among them that were rejected, where there are so many."""
ROOM = 360_000
"""Bytes of questions and answers of all rows together."""
CALLS = 12
"""Of one row that are listed; what was asked a hundred times is told by its newest."""

NAMES = 20
"""Subtopics, sessions or concepts of one record that are listed: a run has fewer, a file of questions may have any."""


class First:
    """The ids that come first by their hash, each with its discipline's folder."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[int, str, str]] = []

    def offer(self, id: str, folder: str) -> None:
        place = -crc32(id.encode("utf-8", "replace"))
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, (place, id, folder))
        elif place > self._heap[0][0]:
            heapq.heapreplace(self._heap, (place, id, folder))

    def merge(self, other: First) -> None:
        for _, id, folder in other._heap:
            self.offer(id, folder)

    def best(self, most: int) -> list[tuple[str, str]]:
        """So many of them as (folder, id)."""
        return [(folder, id) for _, id, folder in heapq.nlargest(most, self._heap)]


class Sample:
    """What is offered while the run's files are read."""

    def __init__(self) -> None:
        self.accepted, self.rejected = First(ROWS), First(REJECTS)

    def merge(self, other: Sample) -> None:
        """Takes in what was offered to another."""
        self.accepted.merge(other.accepted)
        self.rejected.merge(other.rejected)

    def chosen(self) -> dict[str, list[tuple[str, str]]]:
        """The accepted and the rejected, each as (folder, id)."""
        rejected = self.rejected.best(REJECTS)
        return {"accepted": self.accepted.best(ROWS - len(rejected)), "rejected": rejected}

    @property
    def sizes(self) -> dict[str, int]:
        return {kind: len(some) for kind, some in self.chosen().items()}

    def ids(self) -> dict[str, list[str]]:
        """By the discipline's folder."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for some in self.chosen().values():
            for folder, id in some:
                found[folder].append(id)
        return found


class Rows(NamedTuple):
    rows: list[dict[str, Any]]
    models: list[str]
    """Their names; a row's calls have the places of theirs."""


def rows_of(run: Run, sample: Sample) -> Rows:
    """The sampled records as the page's script reads them, in the order of the disciplines file."""
    task = Task(run.path, sample.ids())
    disciplines = [discipline for discipline in run.disciplines() if discipline.folder in task.ids]
    with at_work(task.__call__, portions(run, disciplines)) as results:
        found = [one for some in results for one in some]
    limit = longest(sorted(len(text.encode("utf-8", "replace")) for one in found for text in _texts(one)), ROOM)
    models: defaultdict[str, int] = defaultdict(lambda: len(models))
    rows = [_row(one, limit, models) for one in found]
    return Rows(rows, list(models))


class Task(NamedTuple):
    """How the sampled records of a portion came about."""

    run: Path
    ids: dict[str, list[str]]
    """By the discipline's folder."""

    def __call__(self, portion: Portion) -> list[Lineage]:
        run = Run(self.run)
        found = (lineages(run.shelf(one), one, self.ids[one.folder]) for one in portion)
        return [lineage for some in found for lineage in some.values()]


def longest(sizes: list[int], room: int) -> int:
    """The length that texts of these sizes, ascending, are cut to so that all of them fit into the room.

    >>> longest([10, 20, 300], 100), longest([10, 20, 30], 100)
    (70, 30)
    """
    for index, size in enumerate(sizes):
        share = room // (len(sizes) - index)
        if size > share:
            return share
        room -= size
    return sizes[-1] if sizes else 0


def _row(one: Lineage, limit: int, models: dict[str, int]) -> dict[str, Any]:
    question, answer, raw = (_cut(text, limit) for text in _texts(one))
    calls = [call for stage in one.calls.values() for call in stage[-CALLS:]]
    row = {
        "id": one.id,
        **_outcome(one),
        "question": question,
        "answer": answer,
        "raw": raw,
        **_place(one),
        "models": [without_folder(brief(name)) for name in dict.fromkeys(filter(None, _models(one)))],
        "score": one.score,
        "cost": one.cost,
        "calls": [_call(call, models) for call in calls],
        "more_calls": sum(map(len, one.calls.values())) - len(calls),
    }
    return {key: value for key, value in row.items() if value or (key == "cost" and value is not None)}


def _outcome(one: Lineage) -> dict[str, str]:
    """What became of it, and why."""
    if one.dropped:
        return {"state": "dropped", "reason": brief(one.dropped.reason), "detail": brief(one.dropped.detail)}
    if one.state == "rejected":
        newest = one.rejects[-1]
        told = {"reason": newest.reason, "detail": newest.detail, "stage": newest.stage}
        return {"state": one.state, **{key: brief(text) for key, text in told.items()}}
    return {"state": one.state}


def _place(one: Lineage) -> dict[str, Any]:
    """Where in the taxonomy it stands, and what it is about."""
    record, subject = one.record, one.subject
    return {
        "field": brief(one.discipline.field),
        "discipline": brief(one.discipline.name),
        "subject": brief(record.subject if record else subject.name if subject else ""),
        "level": brief(str(record.level if record else subject.level if subject else "")),
        "subtopics": _briefly(subject.subtopics if subject else record.subtopics if record else ()),
        "sessions": _briefly([session.name for session in one.sessions]),
        "concepts": _briefly(record.key_concepts if record else ()),
        "strategy": brief(record.strategy if record else ""),
        "language": brief(record.language if record else ""),
    }


def _briefly(names: Sequence[str]) -> list[str]:
    return [brief(name) for name in names[:NAMES]]


def _texts(one: Lineage) -> tuple[str, str, str]:
    """The question, the answer, and the reply that could not be used, where it is neither of them."""
    question = one.record.question if one.record else ""
    answer = one.record.answer if isinstance(one.record, Instruction) else ""
    raw = one.rejects[-1].raw if one.state == "rejected" else ""
    return question, answer, raw if raw.strip() not in (question.strip(), answer.strip()) else ""


def _models(one: Lineage) -> tuple[str, str]:
    record = one.record
    return (record.question_model if record else "", record.answer_model if isinstance(record, Instruction) else "")


def _cut(text: str, limit: int) -> str | list[Any]:
    """The text, or as much of it as is shown with the characters that are not."""
    if len(text) * 4 <= limit or len(data := text.encode("utf-8", "replace")) <= limit:
        return text
    shown = data[:limit].decode("utf-8", "ignore")
    return [shown, len(text) - len(shown)]


def _call(call: Call, models: dict[str, int]) -> list[Any]:
    """In the order of the script's columns, without what is None at the end."""
    values = [
        brief(call.stage),
        call.ask,
        call.attempt,
        brief(call.error or call.finish_reason or "") or None,
        call.prompt_tokens,
        call.cached_tokens,
        call.completion_tokens,
        call.reasoning_tokens,
        call.cost_usd,
        call.seconds,
        models[brief(call.model)],
        call.about in SHARED,
    ]
    while values[-1] is None or values[-1] is False:
        values.pop()
    return values
