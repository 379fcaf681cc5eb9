"""The parts of the metric that look at a list of subjects or the sessions of a syllabus.

    distinct   no two of them the same, in name or in most of what they hold
    covering   levels from introductory to advanced and room for subtopics; a syllabus takes up its subject's subtopics
    ordered    numbers that rise, introductions at the beginning and reviews at the end
    sized      two to eight key concepts a session, each a short term

Whether a list covers a discipline, or one session builds on another, is beyond words; what is looked at is what a
careless list gets wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

from glan_dspy.optimize.parts_words import Told, content, quote, rising
from glan_dspy.records import Subject, normalise

__all__ = ["concepts_sized", "sessions_cover", "sessions_ordered", "spread", "subjects_cover", "text_of_all"]

FINE: Told = (1.0, "")

SAME = 0.6
"""The share of equal items from which two subjects, or two sessions, are one told twice."""

_NUMBER = re.compile(r"\d+")
_FIRST = re.compile(
    r"\b(?:introduction to|introduction$|einführung|introducción|introdução|introduzione|pengantar|giới thiệu|nhập môn|"
    r"введение|вступ|giriş|utangulizi|inleiding|wprowadzenie)|입문|개론|서론|入門|概論|導入|导论|引论|简介|مقدمة|परिचय"
)
_LAST = re.compile(
    r"\b(?:final review|course review|capstone|wrap-?up|final exam|abschlussprüfung|repaso final|revisão final|"
    r"révision finale|ripasso finale|tinjauan akhir|ôn tập cuối|итоговое повторение)"
    r"|총정리|종합 복습|期末復習|総復習|总复习|期末复习"
)


class Named(Protocol):
    """A SubjectOutline or a ClassSession: something with a name."""

    @property
    def name(self) -> str: ...


class Outline(Named, Protocol):
    @property
    def level(self) -> int: ...
    @property
    def subtopics(self) -> Sequence[str]: ...


class Session(Named, Protocol):
    @property
    def key_concepts(self) -> Sequence[str]: ...


def text_of_all(items: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Names and what belongs to them as one text, to tell its language by."""
    return "\n".join(f"{name}: {', '.join(parts)}" for name, parts in items)


def spread(items: Sequence[tuple[str, Sequence[str]]], what: str) -> Told:
    """The share of items that are no copy of an earlier one, by name or by what they hold; 0 for blank names."""
    seen: list[tuple[str, set[str]]] = []
    copies: list[str] = []
    for name, parts in items:
        mine = (normalise(_NUMBER.sub("", name)), {normalise(part) for part in parts})
        if not mine[0].strip(" .:-") or any(_same(mine, other) for other in seen):
            copies.append(name)
        seen.append(mine)
    if copies:
        return round((1 - len(copies) / len(items)) ** 2, 4), (
            f"{quote(copies[:3])} repeat other {what}; make each distinct from the others, in name and in content."
        )
    return FINE


def subjects_cover(subjects: Sequence[Outline]) -> Told:
    """Levels over a span that grows with the number of subjects, and two subtopics for each."""
    levels = sorted(subject.level for subject in subjects)
    wanted = min(400, 100 * (len(levels) - 1))
    value = rising(levels[-1] - levels[0], -1, wanted) if wanted else 0.3
    told = (
        []
        if value == 1
        else [f"Levels {levels[0]}-{levels[-1]} leave out most of the way from introductory to advanced"]
    )
    if thin := [subject.name for subject in subjects if len(subject.subtopics) < 2]:
        value *= 1 - 0.7 * len(thin) / len(levels)
        told.append(f"{quote(thin[:3])} name fewer than two subtopics")
    return (round(value, 4), "; ".join(told) + ".") if told else FINE


def sessions_ordered(sessions: Sequence[Session]) -> Told:
    """Halved for each sign that the order is not one of teaching."""
    names = [session.name.lower() for session in sessions]
    half = len(names) / 2
    signs = []
    numbers = [int(found[0]) for name in names if (found := _NUMBER.search(name[:16])) and len(found[0]) < 4]
    if len(numbers) == len(names) and any(after <= before for before, after in pairwise(numbers)):
        signs.append("their numbers do not rise")
    if late := [s.name for place, s in enumerate(sessions) if place >= half and _FIRST.search(names[place])]:
        signs.append(f"{quote(late)} introduces what came before it")
    if early := [s.name for place, s in enumerate(sessions) if place < half - 1 and _LAST.search(names[place])]:
        signs.append(f"{quote(early)} reviews what is still to come")
    if signs:
        return 0.5 ** len(signs), f"The sessions are out of order: {'; '.join(signs)}. Put them as they are taught."
    return FINE


def concepts_sized(sessions: Sequence[Session]) -> Told:
    """The share of sessions with two to eight key concepts that are short terms."""
    wrong = [s.name for s in sessions if not 2 <= len(s.key_concepts) <= 8 or any(map(_long, s.key_concepts))]
    if wrong:
        return round(1 - len(wrong) / len(sessions), 4), (
            f"{quote(wrong[:3])} has too few or too many key concepts, or whole sentences; give about five short terms."
        )
    return FINE


def sessions_cover(sessions: Sequence[Session], subject: Subject) -> Told:
    """The share of the subject's subtopics that some session takes up, where both are in one language."""
    said = content(text_of_all((s.name, s.key_concepts) for s in sessions))
    left = [topic for topic in subject.subtopics if content(topic) and not content(topic) & said]
    if left:
        return round(
            1 - len(left) / len(subject.subtopics), 4
        ), f"No session takes up {quote(left)}; cover all subtopics."
    return FINE


def _same(one: tuple[str, set[str]], other: tuple[str, set[str]]) -> bool:
    shared = len(one[1] & other[1])
    return one[0] == other[0] or shared > SAME * max(1, min(len(one[1]), len(other[1])))


def _long(concept: str) -> bool:
    return not concept.strip() or len(concept.split()) > 8 or len(concept) > 80
