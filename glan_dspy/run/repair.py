"""Asks again for items that were rejected, with other settings where they are given; their ids stay.

What is accepted then supersedes its reject; what falls again is written down again, with its new reason. A
question is judged anew among all others of its discipline, and only then is its answer bought.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.filtering import keys_of
from glan_dspy.gates.contamination import Overlap
from glan_dspy.program import GLAN, open_program
from glan_dspy.records import Question, Rejected, Subject, Syllabus, question_id
from glan_dspy.run.benchmarks import benchmarks_of
from glan_dspy.run.branch import Branch
from glan_dspy.run.command import Display, walked
from glan_dspy.run.course import Course, Goal
from glan_dspy.run.generate import require_models
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
        chosen = {d.id: [item for item in fallen(run.shelf(d)) if where(keys_of(item))] for d in run.disciplines()}
        if not any(chosen.values()):
            raise UserError(f"no rejected item of {run.path} fits --where {text!r}; `glan status` tells the reasons")
        counts = Counter[str]()
        note(run, settings, text, sum(map(len, chosen.values())))

        def make() -> Walk:
            return Repair(run, glan, chosen, counts, quota_of(run, settings), benchmarks)

        return walked(run, settings, glan, make, display), counts


def fallen(shelf: Shelf) -> Iterator[Rejected]:
    """The items that are rejected now, each with its newest reason, as far as their lines are whole.

    Subject lists are none of them: any rerun asks for those again.
    """
    well = shelf.ids("instructions") | shelf.ids("holdout") | shelf.ids("syllabi")
    newest = {item.id: item for item in shelf.rejected() if item.id not in well and item.stage != "subjects"}
    return (item for item in newest.values() if is_whole(item))


def is_whole(item: Rejected) -> bool:
    """Whether the line still holds what was asked for; a person may have edited it."""
    try:
        (Subject if item.stage == "syllabus" else Question).model_validate(item.item)
    except ValueError:
        return False
    return item.stage == "syllabus" or bool(item.item.get("subject_id"))


def note(run: Run, settings: Settings, text: str, items: int) -> None:
    """Writes into run.json what was asked again, and with which settings that are not the run's."""
    about = run.about()
    now = settings.model_dump(mode="json")
    changed = {name: now[name] for name, value in about["settings"].items() if name in now and now[name] != value}
    done = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "where": text, "items": items}
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
        self.wanted: defaultdict[str, dict[str, bool]] = defaultdict(dict)
        """By subject, the ids of the questions, and whether each is for the test set."""
        for item in items:
            self.wanted[item.item["subject_id"]][item.id] = is_for_test(item)
        self.known = Counter[str]()
        """By subject, how many questions it was ever asked for, about."""

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
        for sample in sample_syllabus(syllabus, 2 * self.known[group.subject.id] + 40, s.double_share, s.seed):
            id = question_id(syllabus, sample)
            if id in wanted:
                yield Candidate(id, sample, group, held_out=wanted[id])


class Repair(Walk):
    """A walk over what was rejected, and nothing else. `counts` says of each stage how many were asked for again."""

    def __init__(
        self,
        run: Run,
        glan: GLAN,
        chosen: Mapping[str, Sequence[Rejected]],
        counts: Counter[str],
        quota: Quota,
        benchmarks: Overlap | None,
    ) -> None:
        super().__init__(run, glan, [d for d in run.disciplines() if chosen.get(d.id)], quota, benchmarks)
        self.chosen, self.counts = chosen, counts
        self.keep_questions = True  # a killed repair has the reply, and its record does not say that it was judged

    async def __call__(self) -> Outcome:
        self._open(self.disciplines)
        return await self.crew.work()

    async def begin(self, branch: Branch) -> None:
        goal, items = self.quota.goal(branch.discipline), self.chosen[branch.discipline.id]
        room = {False: _room(goal.pairs, len(branch.accepted)), True: _room(goal.held_out, len(branch.held_out))}
        taken = list(_within(room, sorted(items, key=lambda item: _ORDER[item.stage])))
        self.counts.update(item.stage for item in taken)
        questions = [item for item in taken if item.stage == "question"]
        branch.course = course = Repairs(branch, self.settings, goal, questions)
        if questions:
            course.known = await asyncio.to_thread(asked_about, branch.shelf)
        branch.close_test_set()
        await branch.remember()
        for item in taken:
            branch.reopen(item.id)
            if item.stage == "answer":
                self._add_answer(branch, Question.model_validate(item.item))
            elif item.stage == "syllabus":
                subject = Subject.model_validate(item.item)
                self.crew.add(branch, "syllabus", [partial(self._syllabus_again, branch, subject)])
        self._next_round(branch)

    async def _syllabus_again(self, branch: Branch, subject: Subject) -> None:
        await self.asking.syllabus(branch, subject)


_ORDER = {"syllabus": 0, "answer": 1, "question": 2}
"""What is cheapest to bring first, where there is no room for all."""


def is_for_test(item: Rejected) -> bool:
    return bool(item.item.get("held_out"))


def _room(goal: int | None, have: int) -> int:
    return 1 << 60 if goal is None else max(0, goal - have)


def _within(room: dict[bool, int], items: Iterable[Rejected]) -> Iterator[Rejected]:
    """As many items of each kind, for training or for the test set, as there is room for; every syllabus."""
    for item in items:
        if item.stage == "syllabus":
            yield item
        elif room[is_for_test(item)]:
            room[is_for_test(item)] -= 1
            yield item


def asked_about(shelf: Shelf) -> Counter[str]:
    """By subject, how many questions the discipline's files tell of."""
    subjects = {question.id: question.subject_id for question in shelf.questions()}
    subjects |= {item.id: str(item.item.get("subject_id")) for item in shelf.rejected() if item.stage == "question"}
    return Counter(subjects.values())
