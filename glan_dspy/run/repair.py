"""Asks again for items that were rejected, with other settings where they are given; their ids stay.

What is accepted then supersedes its reject; what falls again is written down again, with its new reason. A
question is judged anew among all others of its discipline, and only then is its answer bought.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.gates.contamination import Overlap
from glan_dspy.program import GLAN, open_program
from glan_dspy.records import Question, Rejected, Subject, Syllabus, question_id, syllabus_id
from glan_dspy.run.branch import Branch
from glan_dspy.run.command import Display, walked
from glan_dspy.run.course import Course, Goal
from glan_dspy.run.generate import benchmarks_of, require_models
from glan_dspy.run.quota import Quota
from glan_dspy.run.rounds import Candidate, Group, Round
from glan_dspy.run.store import Run, Shelf
from glan_dspy.run.tally import Outcome
from glan_dspy.run.walk import Walk
from glan_dspy.sampling import sample_syllabus
from glan_dspy.settings import Settings

Where = Callable[[Mapping[str, Any]], bool]


def repair(
    run: Run, settings: Settings, where: Where, text: str, display: Display = lambda walk: nullcontext()
) -> tuple[Outcome, Counter[str]]:
    """Asks again for the rejected items that `where` holds for. Gives back the outcome, and how many of each stage.

    Raises UserError before anything is paid for: nothing that fits, a run of `glan answer` and a question.
    """
    glan = open_program(settings)
    require_models(settings)
    benchmarks = benchmarks_of(settings)
    with run.lock():
        chosen = {d.id: [item for item in fallen(run.shelf(d)) if where(view(item))] for d in run.disciplines()}
        counts = Counter(item.stage for items in chosen.values() for item in items)
        if not counts:
            raise UserError(f"no rejected item of {run.path} fits --where {text!r}; `glan status` tells the reasons")
        note(run, settings, text, counts)

        def make() -> Walk:
            return Repair(run, glan, chosen, quota_of(run, settings), benchmarks)

        return walked(run, settings, glan, make, display), counts


def fallen(shelf: Shelf) -> Iterator[Rejected]:
    """The items that are rejected now, each with its newest reason. Subject lists are asked again by any rerun."""
    well = shelf.ids("instructions") | shelf.ids("holdout") | shelf.ids("syllabi")
    newest = {item.id: item for item in shelf.rejected() if item.id not in well and item.stage != "subjects"}
    return iter(newest.values())


def view(item: Rejected) -> dict[str, Any]:
    """What `--where` sees: the item's own keys, and those of its rejection."""
    return {**item.item, "id": item.id, "stage": item.stage, "reason": item.reason, "detail": item.detail}


def note(run: Run, settings: Settings, text: str, counts: Counter[str]) -> None:
    """Writes into run.json what was asked again, and with which settings that are not the run's."""
    about = run.about()
    now = settings.model_dump(mode="json")
    changed = {name: now[name] for name, value in about["settings"].items() if name in now and now[name] != value}
    done = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "where": text, "items": dict(counts)}
    run.write_about({**about, "repairs": [*about.get("repairs", ()), {**done, "settings": changed}]})


def quota_of(run: Run, settings: Settings) -> Quota:
    """With `--num-pairs` a discipline is repaired until it has its share, and no further."""
    shares = (run.about().get("quota") or {}).get("shares") if settings.num_pairs else None
    return Quota(settings, shares)


class Repairs(Course):
    """One round: the questions that were rejected, in their places."""

    def __init__(self, branch: Branch, settings: Settings, goal: Goal, items: Iterable[Rejected]) -> None:
        super().__init__(branch.subjects, settings, goal._replace(held_out=0), branch.pairs)
        self.goal = goal
        self.known = len(branch.accepted) + len(branch.rejected) + len(branch.held_out)
        self.wanted: defaultdict[str, dict[str, bool]] = defaultdict(dict)
        """By subject, the ids of the questions, and whether each is for the test set."""
        for item in items:
            self.wanted[item.item["subject_id"]][item.id] = bool(item.item.get("held_out"))

    def next_round(self) -> Round | None:
        groups = [
            Group(subject, place, len(self.wanted[subject.id]))
            for place, subject in enumerate(plot.subject for plot in self.phase.plots)
            if subject.id in self.wanted
        ]
        self.round = Round(groups) if groups and self.round is None else None
        return self.round

    def _candidates(self, syllabus: Syllabus, group: Group) -> Iterator[Candidate]:
        wanted, s = self.wanted[group.subject.id], self.settings
        # Each kind of sample comes in an order of its own: in twice as many, all that were asked about are.
        for sample in sample_syllabus(syllabus, 2 * self.known + 20, s.double_share, s.seed):
            id = question_id(syllabus, sample)
            if id in wanted:
                yield Candidate(id, sample, group, held_out=wanted[id])


class Repair(Walk):
    """A walk over what was rejected, and nothing else."""

    def __init__(
        self, run: Run, glan: GLAN, chosen: Mapping[str, Sequence[Rejected]], quota: Quota, benchmarks: Overlap | None
    ) -> None:
        super().__init__(run, glan, [d for d in run.disciplines() if chosen.get(d.id)], quota, benchmarks)
        self.chosen = chosen
        self.keep_questions = True  # a killed repair has the reply, and its record does not say that it was judged

    async def __call__(self) -> Outcome:
        self._open(self.disciplines)
        return await self.crew.work()

    async def begin(self, branch: Branch) -> None:
        items = self.chosen[branch.discipline.id]
        questions = [item for item in items if item.stage == "question"]
        branch.course = Repairs(branch, self.settings, self.quota.goal(branch.discipline), questions)
        branch.close_test_set()
        await branch.remember()
        for item in questions:
            branch.reopen(item.id)
        for item in items:
            if item.stage == "answer" and not branch.has_enough(held_out=bool(item.item.get("held_out"))):
                self._add_answer(branch, Question.model_validate(item.item))
            elif item.stage == "syllabus":
                subject = Subject.model_validate(item.item)
                self.crew.add(branch, "syllabus", [partial(self._syllabus_again, branch, subject)])
        self._next_round(branch)

    async def _syllabus_again(self, branch: Branch, subject: Subject) -> None:
        branch.reopen(syllabus_id(subject.id))
        await self._syllabus_of(branch, subject)
