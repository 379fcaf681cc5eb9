"""What can be wrong with a row of a validation set, each as the end of a sentence that names the row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from glan_dspy.records import (
    MAX_LEVEL,
    MIN_LEVEL,
    Discipline,
    Sample,
    Subject,
    Syllabus,
    normalise,
    question_id,
    subject_id,
    syllabus_id,
)
from glan_dspy.sampling import MAX_CONCEPTS

SPLITS = ("train", "val", "test")


class RowLike(Protocol):
    """What a row has, as it is read here."""

    @property
    def id(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def discipline(self) -> str: ...
    @property
    def subject(self) -> Subject: ...
    @property
    def syllabus(self) -> Syllabus: ...
    @property
    def sample(self) -> Sample: ...


def problems_in(row: RowLike) -> list[str]:
    """What is wrong with one row by itself."""
    wrong_sample = list(within(row.syllabus, row.sample))
    return [*_subject(row), *_syllabus(row.syllabus), *wrong_sample, *_ids(row, bool(wrong_sample))]


def across(rows: Sequence[tuple[int, RowLike]]) -> list[str]:
    """What is wrong with rows beside one another: one twice, a discipline in two splits, a split without any."""
    told: list[str] = []
    first: dict[str, int] = {}
    home: dict[str, tuple[int, str]] = {}
    for number, row in rows:
        if row.id and (earlier := first.setdefault(row.id, number)) != number:
            told.append(f"row {number}: asks for the same question as row {earlier}")
        there, split = home.setdefault(normalise(row.discipline), (number, row.split))
        if split != row.split:
            told.append(
                f"row {number}: split: {row.discipline!r} is in {split} at row {there} and here in {row.split}; "
                "a discipline belongs to one split"
            )
    held = {row.split for _, row in rows}
    return told + [f"no row: split: {split} has no rows" for split in SPLITS if split not in held]


def within(syllabus: Syllabus, sample: Sample) -> list[str]:
    """What in the sample is not in its syllabus, or not in the form of its strategy."""
    return list(_sample(syllabus, sample))


def _subject(row: RowLike) -> Iterator[str]:
    if not row.discipline.strip():
        yield "discipline: is empty"
    if not row.subject.name.strip():
        yield "subject: name is empty"
    if not MIN_LEVEL <= row.subject.level <= MAX_LEVEL:
        yield f"subject: level {row.subject.level} is outside {MIN_LEVEL}-{MAX_LEVEL}"
    if not any(subtopic.strip() for subtopic in row.subject.subtopics):
        yield "subject: has no subtopics"


def _syllabus(syllabus: Syllabus) -> Iterator[str]:
    names = [normalise(session.name) for session in syllabus.sessions]
    if not names:
        yield "syllabus: has no sessions"
    if not all(names):
        yield f"syllabus: session {names.index('')} has no name"
    if len(set(names)) < len(names):
        yield "syllabus: two of its sessions have one name"
    for place, session in enumerate(syllabus.sessions):
        if not session.key_concepts or not all(concept.strip() for concept in session.key_concepts):
            yield f"syllabus: session {place} has no key concepts, or an empty one"


def _sample(syllabus: Syllabus, sample: Sample) -> Iterator[str]:
    wanted = 1 if sample.strategy == "single" else 2
    if len(sample.sessions) != wanted:
        yield f"sample: strategy {sample.strategy!r} takes {wanted} sessions, not {len(sample.sessions)}"
    if list(sample.sessions) != sorted(set(sample.sessions)):
        yield f"sample: sessions {list(sample.sessions)} are not ascending"
    if len(sample.concepts) != len(sample.sessions):
        yield f"sample: has {len(sample.sessions)} sessions and {len(sample.concepts)} lists of concepts"
    for place, concepts in zip(sample.sessions, sample.concepts, strict=False):
        if not 0 <= place < len(syllabus.sessions):
            yield f"sample: session {place} is not in its syllabus (it has {len(syllabus.sessions)})"
            continue
        if not concepts:
            yield f"sample: session {place} is asked about without a concept"
        known = syllabus.sessions[place].key_concepts
        for concept in (concept for concept in concepts if concept not in known):
            yield f"sample: concept {concept!r} is not in session {place} ({'; '.join(known)})"
    if (count := sum(map(len, sample.concepts))) > MAX_CONCEPTS:
        yield f"sample: has {count} concepts, at most {MAX_CONCEPTS} are allowed"


def _ids(row: RowLike, unreadable: bool) -> Iterator[str]:
    subject = subject_id(Discipline(name=row.discipline), row.subject.name)
    if row.subject.id != subject or row.subject.discipline != row.discipline:
        yield f"subject: id {row.subject.id!r} of {row.subject.discipline!r} is not that of its name, {subject!r}"
    if row.syllabus.subject_id != row.subject.id or row.syllabus.id != syllabus_id(row.subject.id):
        yield f"syllabus: id {row.syllabus.id!r} is not that of its subject, {syllabus_id(row.subject.id)!r}"
    elif not unreadable and row.id != (own := question_id(row.syllabus, row.sample)):
        yield f"id: {row.id!r} is not that of its syllabus and sample, {own!r}"
