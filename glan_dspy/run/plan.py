"""How many calls a run of these settings makes, by stage, before any of them is made."""

from __future__ import annotations

from typing import NamedTuple

from glan_dspy.settings import Settings


class Planned(NamedTuple):
    stage: str
    calls: int
    model: str
    token_limit: int
    """Most tokens of one reply."""


def plan(settings: Settings, disciplines: int) -> tuple[Planned, ...]:
    """The most calls of each stage: fewer where a model lists fewer subjects or a syllabus has few combinations.

    Retries, and asking again after a reply that cannot be used, come on top.
    """
    s = settings
    rounds = 2 if s.draft_first else 1
    subjects = disciplines * s.max_number_of_subjects
    questions = subjects * s.samples_per_syllabus
    rows = [
        Planned("subjects", disciplines * s.num_subject_queries * rounds, s.curriculum_model, s.curriculum_max_tokens),
        Planned("syllabus", subjects * rounds, s.curriculum_model, s.curriculum_max_tokens),
        Planned("question", questions, s.question_model, s.question_max_tokens),
        Planned("answer", 0 if s.generate_question_only else questions, s.answer_model, s.answer_max_tokens),
    ]
    if s.generate_disciplines:
        rows.insert(0, Planned("taxonomy", s.num_taxonomy_queries, s.curriculum_model, s.curriculum_max_tokens))
    return tuple(rows)
