"""Accepted pairs scored by a model, and answered anew by it to see whether it agrees.

A pair is judged once by each model. Judgements and votes are written as soon as they are there (run/judgements.py),
so that a killed or stopped command is finished by the same command, and buys nothing twice.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from statistics import fmean
from typing import Any

from glan_dspy.engines.rehearsal import is_rehearsal
from glan_dspy.errors import BadReply, UserError
from glan_dspy.final_answer import agree, final_answer
from glan_dspy.judging import Examiner
from glan_dspy.records import digest
from glan_dspy.run.branch import Branch
from glan_dspy.run.command import Display, walked
from glan_dspy.run.crew import Crew
from glan_dspy.run.decisions import dropped
from glan_dspy.run.generate import require_models
from glan_dspy.run.judgements import Votes, judgements_by, read_scores, votes_by
from glan_dspy.run.lines import Line
from glan_dspy.run.pool import Lane, Pool
from glan_dspy.run.store import Run, Shelf
from glan_dspy.run.tally import Outcome
from glan_dspy.run.walk import Walk
from glan_dspy.settings import Settings

PORTION = 16
"""Pairs that are read at a time."""


def any_pair(_: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Wanted:
    """What is judged, and how."""

    only: Callable[[Mapping[str, Any]], bool] = any_pair
    """Sees a pair's keys, and `score` where an earlier judgement gave it one."""
    sample: int | None = None
    """That many of the fitting pairs, the same ones each time; None: all."""
    votes: int = 0
    """Further answers to each question whose answer ends in a number or a choice."""


@dataclass
class Marks:
    """What came out for the pairs that were wanted, those judged by earlier commands included."""

    judged: int = 0
    before: int = 0
    """Of these, those that were judged already."""
    unusable: int = 0
    """Pairs for which the judge gave no usable reply."""
    sums: Counter[str] = field(default_factory=Counter)
    """Of the scores, by criterion."""
    voted: int = 0
    """Pairs with votes."""
    asked: int = 0
    agreeing: int = 0
    """Votes, and those among them that agree with the pair's answer."""

    def add(self, line: Line) -> None:
        if line["scores"] is None:
            self.unusable += 1
            return
        self.judged += 1
        self.sums.update(line["scores"])
        if votes := line["votes"]:
            self.voted += 1
            self.asked += votes["asked"]
            self.agreeing += votes["agree"]


def judge(
    run: Run, settings: Settings, wanted: Wanted, display: Display = lambda walk: nullcontext()
) -> tuple[Outcome, Marks]:
    """Has the answer model of `settings` judge the run's accepted pairs; gives back how it ended and what came out.

    Raises UserError before anything is paid for: no run, a missing key or price, nothing to judge.
    """
    before = settings_before(run)
    settings = settings.model_copy(update={"gates": False, "batch": False, "generate_question_only": False})
    refuse_rehearsed_scores(run, before, settings)
    examiner = Examiner(settings)
    require_models(settings, answers_only=True)
    with run.lock():
        last = last_of_sample(run, wanted)
        marks = Marks()

        def make() -> Judging:
            return Judging(run, examiner, wanted, last, marks)

        return walked(run, settings, examiner, make, display, answers_only=True), marks


def settings_before(run: Run) -> Settings:
    return Settings.model_construct(**{**Settings().model_dump(), **run.about()["settings"]})


def refuse_rehearsed_scores(run: Run, before: Settings, settings: Settings) -> None:
    simulated = is_rehearsal(before.question_model) or is_rehearsal(before.answer_model)
    if is_rehearsal(settings.answer_model) and not simulated:
        raise UserError(
            f"the pairs of {run.path} are a real model's, and scores of {settings.answer_model!r} would say nothing of "
            "them; name a real --model-name-for-judge"
        )


def pairs_of(shelf: Shelf, wanted: Wanted) -> Iterator[Line]:
    """The discipline's accepted pairs once each, without those that were dropped or do not fit, as they are read."""
    seen = set(dropped(shelf))
    scores = {} if wanted.only is any_pair else read_scores(shelf)
    for line in shelf.read("instructions"):
        id = line.get("id")
        if not (isinstance(id, str) and isinstance(line.get("question"), str) and isinstance(line.get("answer"), str)):
            continue
        if id not in seen and wanted.only({**line, "score": scores.get(id)}):
            seen.add(id)
            yield line


def last_of_sample(run: Run, wanted: Wanted) -> str | None:
    """The place in the order of the sample up to which a pair is in it; None where all are. Raises UserError for none.

    The order is that of a hash of the ids: the sample of 500 is part of that of 1,000, and a run that grows changes
    it as little as can be.
    """
    shelves = (run.shelf(discipline) for discipline in run.disciplines())
    places = (place(line) for shelf in shelves for line in pairs_of(shelf, wanted))
    found = heapq.nsmallest(wanted.sample, places) if wanted.sample else list(islice(places, 1))
    if not found:
        fits = "has no accepted pairs yet" if wanted.only is any_pair else "has no accepted pair that fits --only"
        raise UserError(f"{run.path} {fits}; `glan status {run.path}` tells what it has")
    return found[-1] if wanted.sample else None


def place(pair: Line) -> str:
    return digest("judge", pair["id"])


class Judging(Walk):
    """A walk over the accepted pairs, each of which gets its judgement and its votes."""

    def __init__(self, run: Run, examiner: Examiner, wanted: Wanted, last: str | None, marks: Marks) -> None:
        super().__init__(run, examiner.glan, run.disciplines())
        self.examiner, self.wanted, self.last, self.marks = examiner, wanted, last, marks
        self.model = self.settings.answer_model
        self.pool = Pool(lanes(self.settings))
        self.crew = Crew(run, self.settings, self.pool, self.tally)

    async def __call__(self) -> Outcome:
        self._open(self.disciplines)
        return await self.crew.work()

    async def begin(self, branch: Branch) -> None:
        branch.unanswered.clear()
        known = await asyncio.to_thread(judgements_by, branch.shelf, self.model)
        votes = await asyncio.to_thread(votes_by, branch.shelf, self.model) if self.wanted.votes else {}
        self._read_on(branch, self._pairs(branch.shelf), known, votes)

    def _pairs(self, shelf: Shelf) -> Iterator[Line]:
        pairs = pairs_of(shelf, self.wanted)
        return pairs if self.last is None else (pair for pair in pairs if place(pair) <= self.last)

    def _read_on(self, branch: Branch, pairs: Iterator[Line], known: dict[str, Line], votes: Votes) -> None:
        """Adds a few pairs at a time, by a job of the lane before them, which waits while they pile up."""

        async def job() -> None:
            for pair in (some := list(islice(pairs, PORTION))):
                line = known.pop(pair["id"], None)
                own = self._own_answer(pair, line)
                if line is not None and own is None:
                    self.marks.before += line["scores"] is not None
                    self.marks.add(line)
                else:
                    said = votes.pop(pair["id"], {})
                    self.crew.add(branch, "judge", [partial(self._one, branch, pair, line, own, said)])
            if some:
                self._read_on(branch, pairs, known, votes)

        self.crew.add(branch, "pairs", [job])

    def _own_answer(self, pair: Line, line: Line | None) -> str | None:
        """What the pair's answer ends in, where votes on it are to be asked for."""
        wanted = self.wanted.votes
        if line is not None:
            enough = line["votes"] is not None and line["votes"]["asked"] >= wanted
            wanted = 0 if enough or line["scores"] is None else wanted
        return final_answer(pair["answer"]) if wanted else None

    async def _one(
        self, branch: Branch, pair: Line, line: Line | None, own: str | None, said: dict[int, str | None]
    ) -> None:
        if line is None:
            line = await self._judgement(branch, pair)
            branch.shelf.append("judgements", line)
        if own is not None and line["scores"] is not None:
            line = {**line, "votes": await self._votes(branch, pair, own, said), "time": now()}
            branch.shelf.append("judgements", line)
        self.marks.add(line)

    async def _judgement(self, branch: Branch, pair: Line) -> Line:
        """What the model says of the pair, as a line of judgements.jsonl."""
        line: Line = {"id": pair["id"], "scores": None, "score": None, "why": "", "votes": None, "model": self.model}
        try:
            reply, call = await self.crew.ask(
                branch, "judge", f"{pair['id']}.{self.model}", lambda: self.examiner.judge.acall(pair=pair)
            )
        except BadReply as bad:
            return {**line, "why": str(bad), "call": "", "time": now()}
        score = fmean(reply.scores.values())
        return {**line, "scores": reply.scores, "score": score, "why": reply.why, "call": call.id, "time": now()}

    async def _votes(self, branch: Branch, pair: Line, own: str, said: dict[int, str | None]) -> Line:
        """How the model's further answers agree with the pair's; those on file are not asked for again."""
        # All are waited for, also when one fails: what the others said is paid for, and kept for the rerun.
        missing = [number for number in range(self.wanted.votes) if number not in said]
        found = await asyncio.gather(*(self._vote(branch, pair, n) for n in missing), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        all_said = [*(said[n] for n in range(self.wanted.votes) if n in said), *found]
        agreeing = sum(agree(own, one) for one in all_said)  # type: ignore[arg-type]
        return {"asked": len(all_said), "agree": agreeing, "own": own}

    async def _vote(self, branch: Branch, pair: Line, number: int) -> str | None:
        item = f"{pair['id']}.{self.model}.{number}"
        try:
            said, call = await self.crew.ask(
                branch, "vote", item, lambda: self.examiner.vote(pair, self.settings.language)
            )
        except BadReply:  # the endpoint refuses the request for what it says
            return None
        line = {"id": pair["id"], "number": number, "said": said, "model": self.model, "call": call.id, "time": now()}
        branch.shelf.append("votes", line)
        return said


def now() -> float:
    return round(time.time(), 3)


def lanes(settings: Settings) -> list[Lane]:
    """A few disciplines open, and enough pairs read for every call in flight to be followed by the next."""
    return [
        Lane("discipline", limit=2, window=1 << 60),
        Lane("pairs", limit=1, window=4, gain=PORTION),
        Lane("judge", limit=settings.concurrency, window=settings.concurrency + PORTION),
    ]
