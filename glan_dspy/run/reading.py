"""One discipline's files for several readers: each file is gone through once, and what is no line is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import orjson

from glan_dspy.records import Rejected, Subject, Syllabus
from glan_dspy.run import lines
from glan_dspy.run.lines import Line
from glan_dspy.run.store import R, Shelf

_IDS_KEPT = frozenset({"instructions", "holdout", "questions", "syllabi"})


class ReadOnce(Shelf):
    """A shelf that remembers the ids it has come by, the subjects, the syllabi and the rejects.

    It never writes. Memory holds what is remembered, until the shelf is let go of.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._broken: Counter[str] = Counter()
        self._odd: Counter[str] = Counter()
        self._ids: dict[str, set[str]] = {}

    def read(self, name: str) -> Iterator[Line]:
        """The lines of a file. Once it has been read to its end, `ids` of it costs nothing."""
        ids, spoilt = set[str](), 0
        keeps = name in _IDS_KEPT
        for raw in lines.whole(self.path / f"{name}.jsonl"):
            try:
                line = orjson.loads(raw)
            except ValueError:
                line = None
            if not isinstance(line, dict):
                spoilt += 1
                continue
            if keeps and isinstance(id := line.get("id"), str):
                ids.add(id)
            yield line
        self._broken[name] = spoilt
        if keeps:
            self._ids[name] = ids

    def ids(self, name: str) -> set[str]:
        if name not in self._ids:
            self._ids[name] = super().ids(name)
        return self._ids[name]

    @property
    def spoilt(self) -> Counter[str]:
        """By file, the lines that hold no JSON object, and those among the records that hold none."""
        return self._broken + self._odd

    def _records(self, name: str, kind: type[R]) -> Iterator[R]:
        for line in self.read(name):
            try:
                record = kind.model_validate(line)
            except ValueError:
                self._odd[name] += 1
            else:
                yield record

    def subjects(self) -> tuple[Subject, ...]:
        return self._subjects

    def syllabi(self) -> dict[str, Syllabus]:
        return self._syllabi

    def rejected(self) -> Iterator[Rejected]:
        return iter(self._rejected)

    @cached_property
    def _subjects(self) -> tuple[Subject, ...]:
        return super().subjects()

    @cached_property
    def _syllabi(self) -> dict[str, Syllabus]:
        return super().syllabi()

    @cached_property
    def _rejected(self) -> tuple[Rejected, ...]:
        return tuple(super().rejected())
