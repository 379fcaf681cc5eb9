"""What the stages and reasons in a run's files mean, for a reader who has not seen them before."""

from __future__ import annotations

REASONS = {
    "language": "not in the language that was asked for",
    "refusal": "the model declined to do what was asked",
    "leak": "the question holds its answer, or needs what is not there",
    "duplicate": "asked before in the same words",
    "near_duplicate": "asked before in nearly the same words",
    "contaminated": "holds an item of a benchmark",
    "holdout": "overlaps with the run's own test set",
    "cut": "stops too early",
    "empty": "there was no text",
    "truncated": "reached its token limit",
    "abstained": "the model says that it does not know",
    "content_filter": "stopped by the endpoint's filter",
    "context_length": "longer than the model can read",
    "unparseable": "the reply could not be read",
    "wrong_shape": "the reply lacked what was asked for",
    "unknown_finish": "ended in a way that says nothing",
}

STAGES = {
    "taxonomy": "Taxonomy",
    "subjects": "Subjects",
    "syllabus": "Syllabi",
    "question": "Questions",
    "answer": "Answers",
    "judge": "Judging",
    "vote": "Votes",
    "curate": "Curating",
}


def stage(name: str) -> str:
    return STAGES.get(name, name or "not told")


def reason(name: str) -> str:
    return name.replace("_", " ") or "not told"


def meaning(name: str) -> str:
    return REASONS.get(name, "")
