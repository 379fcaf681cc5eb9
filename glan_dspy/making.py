"""Records out of what the stages returned, with everything their lineage needs."""

from __future__ import annotations

import dspy

from glan_dspy.engines.base import Call
from glan_dspy.engines.journal import reasoning_of
from glan_dspy.engines.rehearsal import is_rehearsal
from glan_dspy.records import (
    Instruction,
    Question,
    Sample,
    Subject,
    Syllabus,
    merge_sessions,
    question_id,
    syllabus_id,
)
from glan_dspy.settings import Settings
from glan_dspy.stages import wrong_shape


def make_syllabus(subject: Subject, designed: dspy.Prediction, max_sessions: int) -> Syllabus:
    """The record of a designed syllabus: equal sessions merged, the first max_sessions kept."""
    sessions = merge_sessions(designed.sessions, max_sessions)
    if not sessions:
        raise wrong_shape("no class session has both a name and key concepts")
    return Syllabus(
        id=syllabus_id(subject.id), subject_id=subject.id, introduction=designed.introduction, sessions=sessions
    )


def make_question(
    settings: Settings,
    subject: Subject,
    syllabus: Syllabus,
    sample: Sample,
    *,
    id: str = "",
    question: str = "",
    question_call: str = "",
    held_out: bool = False,
) -> Question:
    """The record of a question: its text, and everything that it was asked about."""
    return Question(
        id=id or question_id(syllabus, sample),
        syllabus_id=syllabus.id,
        subject_id=subject.id,
        question=question,
        discipline=subject.discipline,
        subject=subject.name,
        level=subject.level,
        subtopics=subject.subtopics,
        sessions=tuple(syllabus.sessions[index].name for index in sample.sessions),
        key_concepts=sample.key_concepts,
        strategy=sample.strategy,
        language=settings.language,
        question_model=settings.question_model,
        question_call=question_call,
        simulated=is_rehearsal(settings.question_model),
        held_out=held_out,
    )


def make_instruction(settings: Settings, question: Question, answer: str, call: Call) -> Instruction:
    """The record of an accepted pair."""
    simulated = question.simulated or is_rehearsal(settings.answer_model)
    return Instruction(
        **{**question.model_dump(), "simulated": simulated},
        answer=answer,
        answer_model=settings.answer_model,
        answer_call=call.id,
        reasoning=reasoning_of(call.response) if call.response else "",
    )
