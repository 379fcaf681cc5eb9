"""The data that flows: Discipline > Subject > Syllabus > Sample > Question > Instruction, and their ids.

Every record is frozen. An id is a hash of what an item is asked for, never of a model, a seed or a
reply, so a rerun finds what is already there:

    subject      its discipline + its normalised name
    syllabus     its subject
    question     its syllabus + strategy + class sessions + key concepts
    instruction  its question

The discipline is always an ancestor: the same subject in two disciplines is two subjects, as in the
paper (§2.2 keeps them on purpose, a recurring subject matters more).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, model_serializer

Strategy = Literal["single", "double"]

MIN_LEVEL, MAX_LEVEL = 100, 900
"""Course levels: 100 is a first-year course, 900 doctoral work."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Discipline(Record):
    name: str
    field: str = ""
    """The heading it stands under in the disciplines file, e.g. "Academic-Humanities"; may be empty."""

    @property
    def id(self) -> str:
        return digest("discipline", normalise(self.name))

    @property
    def folder(self) -> str:
        """`<slug>-<id6>`: safe as a path in any script, distinct even where two slugs are equal."""
        return f"{slug(self.name)}-{self.id[:6]}"


class Subject(Record):
    id: str
    discipline: str
    name: str
    level: int
    subtopics: tuple[str, ...]
    place: tuple[int, int] = (0, 1)
    """(index, count) in its discipline's list: a list with a hole in it was never completely written."""


class ClassSession(Record):
    name: str
    description: str = ""
    key_concepts: tuple[str, ...]


class Syllabus(Record):
    id: str
    subject_id: str
    introduction: str = ""
    sessions: tuple[ClassSession, ...]


class Sample(Record):
    """What one question is asked about: one or two class sessions and concepts from each of them (§2.4)."""

    strategy: Strategy
    sessions: tuple[int, ...]
    """Indices into the syllabus, ascending."""
    concepts: tuple[tuple[str, ...], ...]
    """For each of the sessions, the concepts taken from it."""

    @property
    def key_concepts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(concept for group in self.concepts for concept in group))


class Question(Record):
    id: str
    syllabus_id: str = ""
    subject_id: str = ""
    question: str
    discipline: str = ""
    subject: str
    level: int | str
    subtopics: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    key_concepts: tuple[str, ...] = ()
    strategy: str = ""
    language: str = ""
    question_model: str = ""
    question_call: str = ""
    """The id of the call that made it, a line of calls.jsonl."""
    simulated: bool = False
    held_out: bool = False
    """Whether it was made for the test set."""


class Instruction(Question):
    answer: str
    answer_model: str
    answer_call: str = ""
    reasoning: str = ""
    """What a reasoning model thought before the answer, where the endpoint shows it."""

    @model_serializer(mode="wrap")
    def _pair_first(self, dump: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        fields = dump(self)
        first = {name: fields[name] for name in ("id", "question", "answer") if name in fields}
        return first | fields


class Rejected(Record):
    """An item that was dropped, whole, with the stage that dropped it and why."""

    id: str
    stage: str
    reason: str
    detail: str = ""
    raw: str = ""
    """The model's reply as it came."""
    found: dict[str, Any] = {}
    """What a gate found, where it can be said in parts: the other id, the benchmark's item, the span."""
    item: dict[str, Any] = {}


# --- ids ------------------------------------------------------------------------------------------


def digest(*parts: Any) -> str:
    """20 hex digits (80 bits) of the parts; at 10 million items a collision has odds of 1 in 10^10."""
    return blake2b(_ENCODE(parts).encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def normalise(name: str) -> str:
    """The name as it is compared: NFKC, case folded, white space collapsed."""
    if name.isascii():  # the same, quicker
        if name.isprintable() and "  " not in name:
            return name.lower().strip()
        return " ".join(name.lower().split())
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def subject_id(discipline: Discipline, name: str) -> str:
    return digest("subject", discipline.id, normalise(name))


def syllabus_id(subject: str) -> str:
    return digest("syllabus", subject)


def question_id(syllabus: Syllabus, sample: Sample) -> str:
    names = [normalise(syllabus.sessions[index].name) for index in sample.sessions]
    concepts = [sorted(normalise(concept) for concept in group) for group in sample.concepts]
    return digest("question", syllabus.id, sample.strategy, names, concepts)


def imported_question_id(discipline: str, subject: str, question: str) -> str:
    """The id of a question that came from a file without one: what it is asked for is its own text."""
    return digest("imported", normalise(discipline), normalise(subject), question)


_SLUG_BYTES = 60


def slug(name: str) -> str:
    """A folder name that reads as `name` in its own script: letters and digits, joined by dashes.

    Never empty, never with a separator or a dot, at most 60 bytes of UTF-8 (file systems allow 255).
    """
    # Marks are kept with letters and digits: the vowel signs of Devanagari, Thai or Tamil are marks.
    text = ""
    for character in unicodedata.normalize("NFKC", name).lower():
        kind = unicodedata.category(character)[0]
        if kind in "LN" or (kind == "M" and text and not text.endswith("-")):
            text += character
        elif text and not text.endswith("-"):
            text += "-"
    cut = text.encode("utf-8", "ignore")[:_SLUG_BYTES].decode("utf-8", "ignore").strip("-")
    return cut or "discipline"


# --- merging what several replies, or one careless reply, name twice ---------------------------------

T = TypeVar("T")


def _union(*lists: Iterable[str]) -> tuple[str, ...]:
    """The strings in order of first appearance, equal names once, blanks dropped."""
    seen: dict[str, str] = {}
    for items in lists:
        for item in items:
            if text := item.strip():
                seen.setdefault(normalise(text), text)
    return tuple(seen.values())


def _normalised(names: list[str]) -> list[str]:
    """`normalise` of each, as one text: a syllabus names fifty concepts."""
    together = " ".join(names)
    if together.isascii() and together.isprintable() and "  " not in together:  # no white space to collapse
        return [name.lower() for name in names]
    apart = [name.strip() for name in normalise("\0".join(names)).split("\0")] if names else []
    return apart if len(apart) == len(names) else [normalise(name) for name in names]


def merge_subjects(
    discipline: Discipline, outlines: Iterable[tuple[str, int, Iterable[str]]], max_subjects: int, max_subtopics: int
) -> tuple[Subject, ...]:
    """One discipline's subjects from (name, level, subtopics) of all its queries, in query order.

    A name that comes twice is one subject: the first level, the subtopics of both. The first
    `max_subjects` are kept, each with its first `max_subtopics`.
    """
    merged: dict[str, tuple[str, int, tuple[str, ...]]] = {}
    for name, level, subtopics in outlines:
        if not name.strip():
            continue
        identity = subject_id(discipline, name)
        first_name, first_level, known = merged.get(identity, (name.strip(), level, ()))
        merged[identity] = (first_name, first_level, _union(known, subtopics))
    kept = list(merged.items())[:max_subjects]
    return tuple(
        Subject(
            id=identity,
            discipline=discipline.name,
            name=name,
            level=level,
            subtopics=subtopics[:max_subtopics],
            place=(index, len(kept)),
        )
        for index, (identity, (name, level, subtopics)) in enumerate(kept)
    )


def merge_sessions(sessions: Iterable[ClassSession], max_sessions: int) -> tuple[ClassSession, ...]:
    """A syllabus's sessions with equal names merged (concepts of both) and empty ones left out."""
    sessions = list(sessions)
    texts = [text.strip() for session in sessions for text in (session.name, *session.key_concepts)]
    named = zip(_normalised(texts), texts, strict=True)
    merged: dict[str, tuple[ClassSession, str, dict[str, str]]] = {}
    for session in sessions:
        identity, name = next(named)
        _, _, concepts = merged.setdefault(identity, (session, name, {}))
        for key, concept in islice(named, len(session.key_concepts)):
            if concept:
                concepts.setdefault(key, concept)
    whole = (_session(first, name, tuple(concepts.values())) for first, name, concepts in merged.values())
    return tuple(session for session in whole if session.name and session.key_concepts)[:max_sessions]


def _session(given: ClassSession, name: str, concepts: tuple[str, ...]) -> ClassSession:
    """The session with this name and these concepts; itself where it has them."""
    if given.name == name and given.key_concepts == concepts:
        return given
    return given.model_copy(update={"name": name, "key_concepts": concepts})
