"""Stage 2 (§2.2): the subjects a student of one discipline should learn.

`ListSubjects` asks for the structure at once. `DraftSubjects` and `ExtractSubjects` are the paper's two
rounds, free text first, since asking for the format in the first prompt was seen to lower the quality.
"""

from typing import Annotated, Any

import dspy
from pydantic import BaseModel, BeforeValidator, Field

from glan_dspy.records import MAX_LEVEL, MIN_LEVEL


def _number_in(value: Any) -> Any:
    """300 from "300-level" and "Level 300": how catalogues write it, and models with them."""
    if isinstance(value, str):
        digits = "".join(c if c.isdigit() else " " for c in value).split()
        return int(digits[0]) if len(digits) == 1 and digits[0].isascii() else value
    return value


Level = Annotated[
    int, BeforeValidator(_number_in), Field(ge=MIN_LEVEL, le=MAX_LEVEL, description="100 first-year to 900 doctoral")
]


class SubjectOutline(BaseModel):
    name: str = Field(min_length=1)
    level: Level
    subtopics: list[str] = Field(min_length=1)


class ListSubjects(dspy.Signature):
    """You are an education expert of the discipline. Design the list of subjects that a student should learn to
    master it, from introductory courses to advanced ones, each distinct from the others. Give every subject the
    name a course catalogue would give it, its level (100 for a first-year course up to 900 for doctoral work)
    and its most important subtopics. Keep to the numbers given and write in the given language."""

    language: str = dspy.InputField()
    max_subjects: int = dspy.InputField()
    max_subtopics: int = dspy.InputField()
    discipline: str = dspy.InputField()
    subjects: list[SubjectOutline] = dspy.OutputField()


class DraftSubjects(dspy.Signature):
    """You are an education expert of the discipline. Design the list of subjects that a student should learn to
    master it, from introductory courses to advanced ones, each distinct from the others. For every subject
    write its name, its level (100 for a first-year course up to 900 for doctoral work), a short introduction
    and its most important subtopics. Keep to the numbers given and write in the given language, as a plain
    numbered list."""

    language: str = dspy.InputField()
    max_subjects: int = dspy.InputField()
    max_subtopics: int = dspy.InputField()
    discipline: str = dspy.InputField()
    draft: str = dspy.OutputField(desc="numbered list of subjects")


class ExtractSubjects(dspy.Signature):
    """Take the subjects out of the draft, all of them, in its order and its words: name, level and subtopics.
    Add nothing. A level that the draft leaves out is the one such a course usually has."""

    draft: str = dspy.InputField()
    subjects: list[SubjectOutline] = dspy.OutputField()
