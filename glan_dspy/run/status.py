"""How far a run is, read from its files; safe on one that is still going."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from glan_dspy.gates.language import can_tell
from glan_dspy.records import Discipline, Rejected, syllabus_id
from glan_dspy.run.decisions import dropped
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
        "held_out": found.held_out,
        "rejected": dict(found.rejected),
        "curated": dict(found.curated),
        "language_not_told": found.language_not_told,
        "calls": found.calls,
        "prompt_tokens": found.prompt_tokens,
        "cached_tokens": found.cached_tokens,
        "completion_tokens": found.completion_tokens,
        "cost_usd": round(found.cost, 6) if found.cost_known else None,
        "complete": found.complete,
    }


def survey(run: Run) -> Survey:
    """The run's files read once."""
    plan, found = plan_of(run), Survey()
    for discipline in run.disciplines():
        shelf = run.shelf(discipline)
        found.add(shelf, plan.settings, plan.imported, plan.share(discipline))
        found.add_calls(shelf)
    found.add_calls(run.root_shelf())
    found.end(plan)
    return found


class Plan(NamedTuple):
    """What a run is to bring, as run.json has it."""

    settings: Settings
    imported: bool
    """Whether its questions came from a file."""
    shares: dict[str, int] | None
    """Pairs by a discipline's id, where a number of pairs was asked for."""

    def share(self, discipline: Discipline) -> int | None:
        return None if self.shares is None else self.shares.get(discipline.id, 0)


def plan_of(run: Run) -> Plan:
    """Raises UserError for no run."""
    about = run.about()
    settings = Settings.model_construct(**{**Settings().model_dump(), **about["settings"]})
    shares = (about.get("quota") or {}).get("shares") if settings.num_pairs else None
    return Plan(settings, about.get("kind") == "answer", shares)


def standing(shelf: Shelf) -> dict[str, Rejected]:
    """The newest reject of each item that was not accepted since."""
    made = shelf.ids("instructions") | shelf.ids("holdout") | shelf.ids("syllabi")
    return {item.id: item for item in shelf.rejected() if item.id not in made}


def asked_for_test(shelf: Shelf, rejects: Iterable[Rejected]) -> dict[str, str]:
    """The ids of the questions that were asked for the test set, each with its syllabus."""
    asked = {question.id: question.syllabus_id for question in shelf.questions() if question.held_out}
    asked |= {item.id: str(item.item.get("syllabus_id")) for item in rejects if item.item.get("held_out")}
    return asked | {pair.id: pair.syllabus_id for pair in shelf.held_out()}


def item_of(contaminated: Rejected) -> tuple[str, str]:
    """The benchmark and its item; of a line that somebody edited what is left of them."""
    found = contaminated.found or {}
    return str(found.get("benchmark", "?")), str(found.get("item", "?"))


class Survey:
    """Sums over the disciplines of a run."""

    def __init__(self) -> None:
        self.disciplines = self.subjects = self.syllabi = self.questions = self.instructions = 0
        self.held_out = 0
        self.calls = self.prompt_tokens = self.cached_tokens = self.completion_tokens = 0
        self.rejected: Counter[str] = Counter()
        self.contaminated: Counter[tuple[str, str]] = Counter()
        """Texts in which a benchmark's item was found, by the benchmark and the item."""
        self.curated: Counter[str] = Counter()
        """Accepted pairs that `curate` dropped, by reason; not among `instructions`."""
        self.language_not_told = 0
        """Accepted pairs that the language gate let through because it does not know the language."""
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

    def add(self, shelf: Shelf, settings: Settings, imported: bool, share: int | None = None) -> None:
        """Counts one discipline in, but for its calls.

        `share`: the pairs it is to bring, where a number of pairs was asked for.
        """
        self.disciplines += 1
        accepted, held_out = shelf.ids("instructions"), shelf.ids("holdout")
        rejects = standing(shelf)
        self.rejected.update(item.reason for item in rejects.values())
        self.contaminated.update(item_of(item) for item in rejects.values() if item.reason == "contaminated")
        questions = shelf.ids("questions")
        self.questions += len(questions)
        curated = [reason for id, reason in dropped(shelf).items() if id in accepted]
        self.curated.update(curated)
        self.instructions += len(accepted) - len(curated)
        self.held_out += len(held_out)
        settled = accepted | held_out | rejects.keys()
        if imported:
            self.planned += len(questions)
            self.complete &= questions <= settled
            return
        subjects, syllabi = shelf.subjects(), shelf.syllabi()
        self.subjects += len(subjects)
        self.syllabi += len(syllabi)
        if share is not None:
            self.planned += share
            have = len(accepted) - len(curated)
            if settings.generate_question_only:
                have = len(questions - rejects.keys())
            test = settings.holdout if share else 0
            self.complete &= have >= share + test if settings.generate_question_only else have >= share
            self.complete &= settings.generate_question_only or len(held_out) >= test
            return
        if not subjects:
            self.complete = False  # not done, or without a usable list of subjects: a rerun asks for one
            return
        for_test = asked_for_test(shelf, rejects.values()) if settings.holdout else {}
        taken = Counter(for_test.values())
        planned = sum(
            min(
                settings.samples_per_syllabus,
                sum(count_combinations([len(session.key_concepts) for session in syllabus.sessions])) - taken[id],
            )
            for id, syllabus in syllabi.items()
        )
        self.planned += planned
        done = questions | settled if settings.generate_question_only else settled
        above = sum(item.stage in ("subjects", "syllabus") for item in rejects.values())
        designed = all(syllabus_id(s.id) in syllabi or syllabus_id(s.id) in rejects for s in subjects)
        test_set = for_test.keys() - rejects.keys() if settings.generate_question_only else held_out
        self.complete &= len(done) - above - len(done & for_test.keys()) >= planned
        self.complete &= designed and len(test_set) >= settings.holdout

    def merge(self, other: Survey) -> None:
        """Counts in what another has counted, of other disciplines."""
        for name, value in vars(other).items():
            match value:
                case Counter():
                    getattr(self, name).update(value)
                case bool():
                    setattr(self, name, getattr(self, name) and value)
                case int() | float() if name not in ("first_call", "last_call"):
                    setattr(self, name, getattr(self, name) + value)
        self.first_call = min(self.first_call, other.first_call)
        self.last_call = max(self.last_call, other.last_call)

    def end(self, plan: Plan) -> None:
        """What can be said once every discipline is counted."""
        self.complete &= self.disciplines > 0
        if plan.settings.gates and not can_tell(plan.settings.language):
            self.language_not_told = self.instructions

    def add_calls(self, shelf: Shelf) -> None:
        for line in shelf.calls():
            self.cost += line.get("reserved_usd") or line.get("cost_usd") or 0.0
            if "error" in line:
                continue
            self.calls += 1
            self.prompt_tokens += line.get("prompt_tokens") or 0
            self.cached_tokens += line.get("cached_tokens") or 0
            self.completion_tokens += line.get("completion_tokens") or 0
            self.cost_known &= line.get("cost_usd") is not None
            self.first_call = min(self.first_call, line.get("time") or self.first_call)
            self.last_call = max(self.last_call, line.get("time") or 0.0)
