"""The stages as lanes of the pool: how many calls of each run at once, and how far each may get ahead of the next."""

from __future__ import annotations

import math

from glan_dspy.run.batches import WIDE
from glan_dspy.run.pool import Lane
from glan_dspy.settings import Settings


def lanes(settings: Settings) -> list[Lane]:
    """The stages as lanes of the pool, with as much stock before each as keeps the next one busy.

    A stage's stock lasts half as long again as the call before it takes, and two questions longer.
    """
    s = settings
    if s.batch:
        # Breadth first: whole generations of calls go into one batch, and wait there for hours.
        gains = {"discipline": s.max_number_of_subjects, "syllabus": s.samples_per_syllabus, "question": 1, "answer": 1}
        wide = [Lane(name, limit=WIDE, window=1 << 60, gain=gain) for name, gain in gains.items()]
        return [*wide, Lane("judging", limit=1 << 60, window=1 << 60)]
    stock = math.ceil(s.question_batch_size * max(8, 2 + 1.5 * questions_long(s, 1 + s.max_number_of_session_name)))
    subjects = s.question_batch_size * (2 + 1.5 * questions_long(s, s.max_number_of_subjects))
    syllabi = 1 + math.ceil(max(2 * stock, subjects) / s.samples_per_syllabus)
    answers = 1 << 60 if s.generate_question_only else s.answer_batch_size + s.question_batch_size
    return [
        Lane("discipline", limit=s.concurrency, window=1 << 60, gain=s.max_number_of_subjects),
        Lane("syllabus", limit=s.concurrency, window=syllabi, gain=s.samples_per_syllabus),
        Lane("question", limit=s.question_batch_size, window=stock),
        Lane("answer", limit=s.answer_batch_size, window=answers),
        Lane("judging", limit=1 << 60, window=1 << 60),  # asks nobody anything, so nothing bounds it
    ]


PART = 0.55
"""Of the length of a question: a class session with its concepts, some 110 tokens; a subject has fewer."""


def questions_long(settings: Settings, parts: int) -> float:
    """How many times as long as a question a list of so many sessions or subjects takes a model, about."""
    return PART * parts * (2 if settings.draft_first else 1)
