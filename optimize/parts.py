"""Which parts each stage's output is judged by; what each of them looks at stands in the parts_*.py files."""

from __future__ import annotations

from typing import Any, NamedTuple

from glan_dspy.optimize import parts_curriculum as curriculum
from glan_dspy.optimize import parts_pair as pair
from glan_dspy.optimize.parts_form import answer_form, question_form
from glan_dspy.optimize.parts_others import Others
from glan_dspy.optimize.parts_words import Told
from glan_dspy.records import Sample, Subject, Syllabus
from glan_dspy.settings import Settings

__all__ = ["FIELDS", "Look", "parts_of"]

FIELDS = {"subjects": "subjects", "syllabus": "sessions", "question": "question", "answer": "answer"}
"""The stages in their order, and the field of a prediction that holds what each made."""

QUESTION_TOKENS: int = Settings.model_fields["question_max_tokens"].default
ANSWER_TOKENS: int = Settings.model_fields["answer_max_tokens"].default

Parts = dict[str, Told | None]
"""By name; None for a part that cannot be told."""


class Look(NamedTuple):
    """What the parts look at: a row, and what was made of it."""

    row: str
    language: str
    subject: Subject
    syllabus: Syllabus
    sample: Sample
    made: dict[str, Any]
    """By stage."""

    @property
    def readable(self) -> bool:
        """Whether words of the curriculum can be looked for in what was made."""
        return pair.same_language(self.subject, self.syllabus, self.language)


def parts_of(stage: str, look: Look, others: Others) -> Parts:
    """All parts of one stage, whose output is there and not empty."""
    match stage:
        case "subjects":
            return _subjects(look)
        case "syllabus":
            return _syllabus(look, others)
        case "question":
            return _question(look, others)
        case _:
            return _answer(look, others)


def _question(look: Look, others: Others) -> Parts:
    text: str = look.made["question"]
    return {
        "language": pair.in_language(text, look.language),
        "format": question_form(text, look.language),
        "self_contained": pair.self_contained(text, look.language),
        "length": pair.long_enough(text, 20, 60, QUESTION_TOKENS),
        "said_once": pair.said_once(text),
        "own_words": pair.own_words(text, look.subject, look.syllabus),
        "for_this_row": others.unlike(look.row, text),
        "concepts": pair.uses_concepts(text, look.sample) if look.readable else None,
        "level": pair.learned_only(text, look.sample, look.syllabus) if look.readable else None,
    }


def _answer(look: Look, others: Others) -> Parts:
    text: str = look.made["answer"]
    question = str(look.made.get("question") or "")
    return {
        "language": pair.in_language(text, look.language),
        "format": answer_form(text),
        "whole": pair.whole(text, ANSWER_TOKENS),
        "length": pair.long_enough(text, 30, 120, ANSWER_TOKENS),
        "said_once": pair.said_once(text),
        "related": pair.related(question, text),
        "adds": pair.adds(question, text),
        "for_this_row": others.unlike(look.row, text),
    }


def _subjects(look: Look) -> Parts:
    subjects = look.made["subjects"]
    items = [(subject.name, subject.subtopics) for subject in subjects]
    return {
        "language": pair.in_language(curriculum.text_of_all(items), look.language, "The list of subjects"),
        "distinct": curriculum.spread(items, "subjects"),
        "covering": curriculum.subjects_cover(subjects),
    }


def _syllabus(look: Look, others: Others) -> Parts:
    sessions = look.made["syllabus"]
    items = [(session.name, session.key_concepts) for session in sessions]
    text = curriculum.text_of_all(items)
    return {
        "language": pair.in_language(text, look.language, "The syllabus"),
        "distinct": curriculum.spread(items, "class sessions"),
        "ordered": curriculum.sessions_ordered(sessions),
        "sized": curriculum.concepts_sized(sessions),
        "covering": curriculum.sessions_cover(sessions, look.subject) if look.readable else None,
        "for_this_row": others.unlike(look.row, text),
    }
