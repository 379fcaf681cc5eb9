"""Stage 4 (§2.4): one homework question on the sampled class sessions and key concepts."""

import dspy


class WriteQuestion(dspy.Signature):
    """Write one homework question for a student of the subject. The student follows the syllabus and has learned
    everything up to and including the last of the given sessions, and nothing after it. The question must make the
    student use the given key concepts together, across the sessions where there are two, at the given level (100
    first-year to 900 doctoral): solving it takes thought, not recall. It must be self-contained: whoever reads the
    question alone, and has never seen the syllabus, finds in it every fact, figure, passage or code that is needed.
    Do not mention the syllabus, the sessions or the list of concepts, and do not give the answer. Write only the
    question, in the given language, within the token limit."""

    language: str = dspy.InputField()
    max_tokens: int = dspy.InputField()
    discipline: str = dspy.InputField()
    subject: str = dspy.InputField()
    level: int = dspy.InputField()
    syllabus: str = dspy.InputField()
    sessions: list[str] = dspy.InputField()
    key_concepts: list[str] = dspy.InputField()
    question: str = dspy.OutputField()
