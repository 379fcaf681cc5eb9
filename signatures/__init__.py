"""What each stage asks of a model: one typed DSPy Signature per question, one file per stage.

The docstring of a signature is its instruction, and the only prompt text there is; DSPy's optimizers
rewrite it. Inputs stand in the order they are sent: what many requests share comes first, what is
particular to one comes last, so that endpoints serve the common beginning from their prefix cache.
"""

from glan_dspy.signatures.answer import AnswerQuestion
from glan_dspy.signatures.judge import JudgePair
from glan_dspy.signatures.question import WriteQuestion
from glan_dspy.signatures.subjects import DraftSubjects, ExtractSubjects, ListSubjects, SubjectOutline
from glan_dspy.signatures.syllabus import DesignSyllabus, DraftSyllabus, ExtractSyllabus, SessionOutline
from glan_dspy.signatures.taxonomy import DesignTaxonomy, FieldOutline, SubFieldOutline

__all__ = [
    "AnswerQuestion",
    "DesignSyllabus",
    "DesignTaxonomy",
    "DraftSubjects",
    "DraftSyllabus",
    "ExtractSubjects",
    "ExtractSyllabus",
    "FieldOutline",
    "JudgePair",
    "ListSubjects",
    "SessionOutline",
    "SubFieldOutline",
    "SubjectOutline",
    "WriteQuestion",
]
