"""Stage 5 (§2.4): the answer, in a call of its own, which gave better quality than together with the question."""

import dspy


class AnswerQuestion(dspy.Signature):
    """Answer the question as an expert who teaches it well: correct, complete, and showing the steps that lead to
    the result, for a student of the subject at the level (100 first-year to 900 doctoral) where they are given.
    Answer in the language of the question, and write only the answer. If the question cannot be answered, or you
    are not sure of the answer, write DO NOT KNOW and nothing else."""

    language: str | None = dspy.InputField(default=None)
    subject: str | None = dspy.InputField(default=None)
    level: int | None = dspy.InputField(default=None)
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()
