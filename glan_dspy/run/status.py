"""How far a run is, read from its files; safe on one that is still going."""

from __future__ import annotations

from collections import Counter
from typing import Any

from glan_dspy.records import syllabus_id
from glan_dspy.run.store import Run, Shelf
from glan_dspy.sampling import count_combinations
from glan_dspy.settings import Settings


def status(run: Run) -> dict[str, Any]:
    """The run in numbers; `complete` when every planned item is accepted or rejected. Raises UserError for no run."""
    about = run.about()
    settings = Settings.model_construct(**{**Settings().model_dump(), **about["settings"]})
    total = Progress()
    shelves = [(discipline, run.shelf(discipline)) for discipline in run.disciplines()]
    complete = bool(shelves)
    for _, shelf in shelves:
        complete &= total.add(shelf, settings, imported=about.get("kind") == "answer")
    total.add_calls(run.root_shelf())
    return {
        "disciplines": len(shelves),
        "subjects": total.subjects,
        "syllabi": total.syllabi,
        "questions": total.questions,
        "instructions": total.instructions,
        "rejected": dict(total.rejected),
        "calls": total.calls,
        "prompt_tokens": total.prompt_tokens,
        "cached_tokens": total.cached_tokens,
        "completion_tokens": total.completion_tokens,
        "cost_usd": round(total.cost, 6) if total.cost_known else None,
        "complete": complete,
    }


class Progress:
    """Sums over the disciplines of a run."""

    def __init__(self) -> None:
        self.subjects = self.syllabi = self.questions = self.instructions = 0
        self.calls = self.prompt_tokens = self.cached_tokens = self.completion_tokens = 0
        self.rejected: Counter[str] = Counter()
        self.cost, self.cost_known = 0.0, True

    def add(self, shelf: Shelf, settings: Settings, imported: bool) -> bool:
        """Counts one discipline in; whether nothing is left to do in it."""
        self.add_calls(shelf)
        accepted = shelf.ids("instructions")
        rejects = {item.id: item for item in shelf.rejected() if item.id not in accepted}
        self.rejected.update(item.reason for item in rejects.values())
        questions = shelf.ids("questions")
        self.questions += len(questions)
        self.instructions += len(accepted)
        settled = accepted | rejects.keys()
        if imported:
            return questions <= settled
        subjects, syllabi = shelf.subjects(), shelf.syllabi()
        self.subjects += len(subjects)
        self.syllabi += len(syllabi)
        if not subjects:
            return any(item.stage == "subjects" for item in rejects.values())
        if any(syllabus_id(s.id) not in syllabi and syllabus_id(s.id) not in rejects for s in subjects):
            return False
        planned = sum(
            min(
                settings.samples_per_syllabus,
                sum(count_combinations([len(session.key_concepts) for session in syllabus.sessions])),
            )
            for syllabus in syllabi.values()
        )
        done = questions | settled if settings.generate_question_only else settled
        return len(done) - sum(item.stage in ("subjects", "syllabus") for item in rejects.values()) >= planned

    def add_calls(self, shelf: Shelf) -> None:
        for line in shelf.read("calls"):
            if "error" in line:
                continue
            self.calls += 1
            self.prompt_tokens += line.get("prompt_tokens") or 0
            self.cached_tokens += line.get("cached_tokens") or 0
            self.completion_tokens += line.get("completion_tokens") or 0
            cost = line.get("cost_usd")
            self.cost += cost or 0.0
            self.cost_known &= cost is not None
