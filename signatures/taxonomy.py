"""Stage 1 (§2.1): the taxonomy of human knowledge and capabilities, down to disciplines."""

import dspy
from pydantic import BaseModel, Field


class SubFieldOutline(BaseModel):
    name: str = Field(min_length=1)
    disciplines: list[str] = Field(min_length=1)


class FieldOutline(BaseModel):
    name: str = Field(min_length=1)
    sub_fields: list[SubFieldOutline] = Field(min_length=1)


class DesignTaxonomy(dspy.Signature):
    """Map human knowledge and capabilities the way universities and industries divide them: broad fields, the
    sub-fields of each, and under every sub-field the disciplines in which a person can study or work. Cover
    academic learning as well as professions and crafts. Name each discipline as a course catalogue would,
    once, under the sub-field where it belongs best. Write in the given language."""

    language: str = dspy.InputField()
    max_fields: int = dspy.InputField()
    fields_of_knowledge: list[FieldOutline] = dspy.OutputField()
