"""Stage 3 (§2.3): one subject's syllabus, class session by class session with its key concepts."""

import dspy
from pydantic import BaseModel, Field


class SessionOutline(BaseModel):
    name: str = Field(min_length=1)
    description: str = Field(default="", description="what is taught, one sentence")
    key_concepts: list[str] = Field(min_length=1, description="about 5")


class DesignSyllabus(dspy.Signature):
    """Design the syllabus of the subject for students at its level (100 first-year to 900 doctoral). Open with an
    introduction that says what the course is about and what students will be able to do after it. Then give the
    class sessions in the order they are taught, each building on the ones before; for every session its name, what
    is taught, and about five key concepts that a student must master, as short and specific terms. Cover the
    subtopics. Keep to the number of sessions given and write in the given language."""

    language: str = dspy.InputField()
    max_sessions: int = dspy.InputField()
    discipline: str = dspy.InputField()
    subject: str = dspy.InputField()
    level: int = dspy.InputField()
    subtopics: list[str] = dspy.InputField()
    introduction: str = dspy.OutputField()
    sessions: list[SessionOutline] = dspy.OutputField()


class DraftSyllabus(dspy.Signature):
    """Design the syllabus of the subject for students at its level (100 first-year to 900 doctoral). Write an
    introduction, the objectives and the learning outcomes, and then the class sessions in the order they are
    taught, each building on the ones before; for every session its name, a description, and about five key concepts
    that a student must master, as short and specific terms. Cover the subtopics. Keep to the number of sessions
    given and write in the given language, as plain text."""

    language: str = dspy.InputField()
    max_sessions: int = dspy.InputField()
    discipline: str = dspy.InputField()
    subject: str = dspy.InputField()
    level: int = dspy.InputField()
    subtopics: list[str] = dspy.InputField()
    draft: str = dspy.OutputField(desc="the whole syllabus")


class ExtractSyllabus(dspy.Signature):
    """Take the introduction and the class sessions out of the draft, all of them, in its order and its words: name,
    description and key concepts of each. Add nothing."""

    draft: str = dspy.InputField()
    introduction: str = dspy.OutputField()
    sessions: list[SessionOutline] = dspy.OutputField()
