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
    found = survey(run)
    return {
        "disciplines": found.disciplines,
        "subjects": found.subjects,
        "syllabi": found.syllabi,
        "questions": found.questions,
        "instructions": found.instructions,
        "rejected": dict(found.rejected),
        "calls": found.calls,
        "prompt_tokens": found.prompt_tokens,
        "cached_tokens": found.cached_tokens,
        "completion_tokens": found.completion_tokens,
        "cost_usd": round(found.cost, 6) if found.cost_known else None,
        "complete": found.complete,
    }


def survey(run: Run) -> Survey:
    """The run's files read once."""
    about = run.about()
    settings = Settings.model_construct(**{**Settings().model_dump(), **about["settings"]})
    found = Survey()
    for discipline in run.disciplines():
        found.add(run.shelf(discipline), settings, imported=about.get("kind") == "answer")
    found.complete &= found.disciplines > 0
    found.add_calls(run.root_shelf())
    return found


class Survey:
    """Sums over the disciplines of a run."""

    def __init__(self) -> None:
        self.disciplines = self.subjects = self.syllabi = self.questions = self.instructions = 0
        self.calls = self.prompt_tokens = self.cached_tokens = self.completion_tokens = 0
        self.rejected: Counter[str] = Counter()
        self.cost, self.cost_known = 0.0, True
        self.planned = 0
        """Pairs, of the disciplines whose syllabi are known; more where others are still to come."""
        self.first_call, self.last_call = float("inf"), 0.0
        """Seconds since the epoch."""
        self.complete = True

    @property
    def minutes(self) -> float:
        """From the first call to the last, pauses between commands included."""
        return max(0.0, self.last_call - self.first_call) / 60

    def add(self, shelf: Shelf, settings: Settings, imported: bool) -> None:
        """Counts one discipline in."""
        self.disciplines += 1
        self.add_calls(shelf)
        accepted = shelf.ids("instructions")
        rejects = {item.id: item for item in shelf.rejected() if item.id not in accepted}
        self.rejected.update(item.reason for item in rejects.values())
        questions = shelf.ids("questions")
        self.questions += len(questions)
        self.instructions += len(accepted)
        settled = accepted | rejects.keys()
        if imported:
            self.planned += len(questions)
            self.complete &= questions <= settled
            return
        subjects, syllabi = shelf.subjects(), shelf.syllabi()
        self.subjects += len(subjects)
        self.syllabi += len(syllabi)
        if not subjects:
            self.complete = False  # not done, or without a usable list of subjects: a rerun asks for one
            return
        planned = sum(
            min(
                settings.samples_per_syllabus,
                sum(count_combinations([len(session.key_concepts) for session in syllabus.sessions])),
            )
            for syllabus in syllabi.values()
        )
        self.planned += planned
        done = questions | settled if settings.generate_question_only else settled
        above = sum(item.stage in ("subjects", "syllabus") for item in rejects.values())
        designed = all(syllabus_id(s.id) in syllabi or syllabus_id(s.id) in rejects for s in subjects)
        self.complete &= designed and len(done) - above >= planned

    def add_calls(self, shelf: Shelf) -> None:
        for line in shelf.read("calls"):
            self.cost += line.get("reserved_usd") or line.get("cost_usd") or 0.0
            if "error" in line:
                continue
            self.calls += 1
            self.prompt_tokens += line.get("prompt_tokens") or 0
            self.cached_tokens += line.get("cached_tokens") or 0
            self.completion_tokens += line.get("completion_tokens") or 0
            self.cost_known &= line.get("cost_usd") is not None
            self.first_call = min(self.first_call, line.get("time", self.first_call))
            self.last_call = max(self.last_call, line.get("time", 0.0))
