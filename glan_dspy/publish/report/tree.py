"""The taxonomy with what each part of it has: field > discipline > subject > class session, the largest parts by name.

A page holds a limited number of parts, however large the run is: so many that each discipline can have, of the rest
only how many they are and what they have together. Memory holds the parts of one discipline, and those that are shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from glan_dspy.records import Discipline, Subject
from glan_dspy.run.lines import Line

__all__ = ["Grown", "Node", "as_json", "room", "whole_tree"]

MOST = 6_000
"""Parts of all kinds on a page."""
_DISCIPLINES = MOST // 2
LONGEST = 300
"""Characters of a name."""


class Node(NamedTuple):
    """One part of the taxonomy."""

    name: str
    records: int
    """Pairs (or questions) in it; one about two sessions counts in both."""
    rejected: int = 0
    level: str = ""
    """Of a subject."""
    children: tuple[Node, ...] = ()
    folded: int = 0
    """How many parts it stands for, where those are too many to be named."""


@dataclass
class _Part:
    count: int = 0
    rejected: int = 0
    level: str = ""
    sessions: Counter[str] = field(default_factory=Counter)
    fallen: Counter[str] = field(default_factory=Counter)
    """Rejects by session."""


class Grown:
    """One discipline while its records are counted."""

    def __init__(self, discipline: Discipline, subjects: Iterable[Subject]) -> None:
        self.discipline, self.rejected = discipline, 0
        self._parts: defaultdict[str, _Part] = defaultdict(_Part)
        for subject in subjects:
            self._parts[subject.name].level = str(subject.level)

    def add(self, line: Line) -> None:
        """Counts a pair or a question in."""
        part = self._parts[text_of(line.get("subject"))]
        part.count += 1
        part.level = part.level or text_of(line.get("level"))
        for name in texts_of(line.get("sessions")):
            part.sessions[name] += 1

    def reject(self, item: Line) -> None:
        """Counts in a question or a syllabus that fell; a list of subjects that did belongs to the discipline alone."""
        self.rejected += 1
        name = text_of(item.get("subject")) or (text_of(item.get("name")) if "subtopics" in item else "")
        if name:
            self._parts[name].rejected += 1
            self._parts[name].fallen.update(texts_of(item.get("sessions")))

    def cut(self, most: int) -> Node:
        """With at most so many parts in it, the largest."""
        subjects = [self._subject(name, part) for name, part in self._parts.items()]
        kept = _largest(subjects, most)
        each = (most - len(kept)) // max(1, len(kept))
        children = tuple(node._replace(children=_largest(node.children, each)) for node in kept)
        count = sum(part.count for part in self._parts.values())
        return Node(self.discipline.name, count, self.rejected, children=children)

    def _subject(self, name: str, part: _Part) -> Node:
        sessions = (Node(session, count, part.fallen[session]) for session, count in part.sessions.items())
        return Node(name, part.count, part.rejected, part.level, tuple(sessions))


def room(disciplines: int) -> int:
    """How many parts each of so many disciplines may have.

    >>> room(123), room(1), room(20_000)
    (47, 5999, 0)
    """
    return max(0, (MOST - disciplines) // max(1, disciplines))


def whole_tree(disciplines: Iterable[tuple[str, Node]]) -> Node:
    """The disciplines, each with its field, under one root; fields are left out where there are no two."""
    by_field: defaultdict[str, list[Node]] = defaultdict(list)
    for name, node in disciplines:
        by_field[name].append(node)
    if len(by_field) < 2:
        return _parent("", [node for nodes in by_field.values() for node in nodes], _DISCIPLINES)
    each = _DISCIPLINES // len(by_field)
    fields = [_parent(name or "Without a field", nodes, each) for name, nodes in by_field.items()]
    return _parent("", fields, _DISCIPLINES)


def as_json(node: Node) -> list[Any]:
    """As the page's script reads it, without what is empty at the end."""
    values = [
        brief(node.name),
        node.records,
        node.rejected,
        node.level,
        [as_json(one) for one in node.children],
        node.folded,
    ]
    while not values[-1] and len(values) > 2:
        values.pop()
    return values


def _parent(name: str, nodes: Sequence[Node], most: int) -> Node:
    return Node(name, *_sums(nodes), children=_largest(nodes, most))


def _largest(nodes: Sequence[Node], most: int) -> tuple[Node, ...]:
    """At most so many, ordered by what they have; the last stands for all that find no room."""
    ordered = sorted(nodes, key=lambda node: (-node.records, -node.rejected, node.name))
    if len(ordered) <= most:
        return tuple(ordered)
    if most < 2:
        return ()
    rest = ordered[most - 1 :]
    return (*ordered[: most - 1], Node("", *_sums(rest), folded=len(rest)))


def _sums(nodes: Sequence[Node]) -> tuple[int, int]:
    return sum(node.records for node in nodes), sum(node.rejected for node in nodes)


# --- values of lines that may have been edited by hand ---------------------------------------------


def brief(name: str) -> str:
    """The name, as far as anybody reads one."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) else ""


def texts_of(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
