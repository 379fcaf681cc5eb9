"""How many pairs each discipline is to bring: with `--num-pairs`, shares of one whole, which only grow.

    spread(1000, [1, 1, 2])        [250, 250, 500]
    spread(10, [1, 1, 1])          [4, 3, 3]

A share that its discipline cannot fill stays unfilled: it does not move to another one.
"""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from glan_dspy.errors import UserError
from glan_dspy.records import Discipline, normalise
from glan_dspy.run.course import Goal
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Short
from glan_dspy.settings import Settings

Shares = dict[str, int]
"""Pairs by discipline id."""


def spread(whole: int, weights: Sequence[float], floors: Sequence[int] | None = None) -> list[int]:
    """Whole numbers that add up to `whole`, as near to the weights as can be, none below its floor.

    What is left over by rounding goes to the largest remainders, the first of equals.
    """
    floors = floors or [0] * len(weights)
    shares: dict[int, float] = {}
    free, left = set(range(len(weights))), whole
    while free:
        total = sum(weights[i] for i in free)
        shares = {i: left * weights[i] / total if total else 0.0 for i in sorted(free)}
        above = {i for i in free if floors[i] > shares[i]}
        if not above:
            break
        free -= above
        left -= sum(floors[i] for i in above)
    found = [math.floor(shares[i]) if i in free else floors[i] for i in range(len(weights))]
    over = sorted(free, key=lambda i: (found[i] - shares[i], i))
    for i in over[: whole - sum(found)]:
        found[i] += 1
    return found


def shares_of(whole: int, disciplines: Sequence[Discipline], weights: Mapping[str, float], before: Shares) -> Shares:
    """Each discipline's share of `whole` pairs; none falls below what an earlier command gave it.

    `weights` by normalised name; a discipline that is not named has weight 1. Raises UserError where the shares
    of before are more than the whole.
    """
    floors = [before.get(discipline.id, 0) for discipline in disciplines]
    if sum(floors) > whole:
        raise UserError(f"--num-pairs {whole:,}: the run has {sum(floors):,} planned already, and only grows")
    found = spread(whole, [weights.get(normalise(d.name), 1.0) for d in disciplines], floors)
    return {discipline.id: share for discipline, share in zip(disciplines, found, strict=True)}


def read_weights(path: Path, disciplines: Iterable[Discipline]) -> dict[str, float]:
    """Normalised name -> weight, from a JSON object or from lines of `name,weight`. Raises UserError."""
    known = {normalise(discipline.name) for discipline in disciplines}
    weights: dict[str, float] = {}
    for name, value in _entries(path):
        try:
            weight = float(value)
        except (TypeError, ValueError):
            weight = -1.0
        if not 0 <= weight < math.inf:
            raise UserError(f"--weights {path}: {value!r} for {name!r} is no weight; it is 0 or more")
        if normalise(name) in weights:
            raise UserError(f"--weights {path}: {name!r} has two weights; leave one")
        if normalise(name) not in known:
            raise UserError(f"--weights {path}: {name!r} is none of the run's {len(known):,} disciplines")
        weights[normalise(name)] = weight
    if not weights:
        raise UserError(f"--weights {path} names no discipline; a line of it is 'discipline,weight'")
    if all(weights.get(name, 1.0) == 0 for name in known):
        raise UserError(f"--weights {path}: all weights are 0, so that no discipline is left")
    return weights


def _entries(path: Path) -> list[tuple[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read --weights {path}: {getattr(error, 'strerror', None) or error}") from None
    if text.lstrip().startswith("{"):
        try:
            return list(orjson.loads(text).items())
        except ValueError as error:
            raise UserError(f"--weights {path} is no JSON object: {error}") from None
    rows = [row for row in csv.reader(text.splitlines(), delimiter="\t" if "\t" in text else ",") if any(row)]
    for row in rows:
        if len(row) < 2:
            raise UserError(f"--weights {path}: {','.join(row)!r} is not 'discipline,weight'")
    return [(",".join(row[:-1]).strip(), row[-1]) for row in rows]


def open_quota(run: Run, settings: Settings, disciplines: Sequence[Discipline], *, save: bool = True) -> Quota:
    """The goals of a command on the run, which run.json keeps. Raises UserError for goals that cannot be.

    Without `save` nothing is written: to see, before there is a run, whether they can be.
    """
    if settings.num_pairs is None:
        if settings.weights:
            raise UserError(f"--weights {settings.weights} shares out --num-pairs N: give that too, or leave it out")
        check_holdout(settings, settings.samples_per_syllabus * settings.max_number_of_subjects)
        return Quota(settings)
    kept = (run.about() if run.exists else {}).get("quota") or {}
    before = kept.get("shares") or {d.id: len(run.shelf(d).ids("instructions")) for d in disciplines}
    grows = settings.num_pairs > sum(before.values())
    weights = read_weights(Path(settings.weights), disciplines) if settings.weights and grows else {}
    shares = shares_of(settings.num_pairs, disciplines, weights, before)
    if without := [d.name for d in disciplines if not shares[d.id] and d.id not in before]:
        warnings.warn(
            f"--num-pairs {settings.num_pairs:,} is shared out already: none are left for {without[0]!r}"
            + (f" and {len(without) - 1:,} more" if len(without) > 1 else "")
            + "; a larger number reaches them",
            UserWarning,
            stacklevel=2,
        )
    check_holdout(settings, min((share for share in shares.values() if share), default=0))

    basis = {"shares": shares, "candidate_budget": settings.candidate_budget}

    def keep(extra: Shares) -> None:
        run.write_about({**run.about(), "quota": {**basis, "extra": extra}})

    # What was given beyond the shares' own budget was given for these shares and this budget.
    same = all(kept.get(name) == value for name, value in basis.items())
    quota = Quota(settings, shares, kept.get("extra") if same else None, keep)
    if save:
        keep(quota.extra)
    return quota


def check_holdout(settings: Settings, planned: int) -> None:
    if settings.holdout > planned / 2:
        raise UserError(
            f"--holdout {settings.holdout}: more than half of the {planned:,} pairs planned for a discipline; "
            "give fewer, or plan more"
        )


@dataclass(frozen=True)
class Reached:
    """What came of a discipline when it was through."""

    made: int
    asked: int
    test_lacks: int = 0
    """Pairs that are missing in its test set."""
    dry: bool = False
    """No combination of its syllabi is left."""
    unplanned: int = 0
    """Subjects without a usable syllabus."""


class Quota:
    """Each discipline's goal in this walk, what came of it, and what the candidate budget still allows.

    A discipline has its own share of the budget first. What all of them together leave over is given to those that
    lack pairs, in their order, when all are through: so it is the same at any concurrency.
    """

    def __init__(
        self,
        settings: Settings,
        shares: Shares | None = None,
        extra: Shares | None = None,
        save: Callable[[Shares], None] = lambda extra: None,
    ) -> None:
        self.settings, self.shares, self.extra, self.save = settings, shares, dict(extra or {}), save
        self.results: dict[str, Reached] = {}
        self._granted: dict[str, int] = {}
        """Candidates that a discipline had asked for when it was last given more."""

    def goal(self, discipline: Discipline) -> Goal:
        s = self.settings
        if self.shares is None:
            return Goal(held_out=s.holdout)
        share = self.shares.get(discipline.id, 0)
        allowance = math.floor(share * s.candidate_budget) + self.extra.get(discipline.id, 0)
        return Goal(share, allowance, s.holdout if share else 0)

    def wants(self, discipline: Discipline) -> bool:
        return self.shares is None or self.shares.get(discipline.id, 0) > 0

    def done(self, discipline: Discipline, reached: Reached) -> None:
        self.results[discipline.id] = reached

    def grant(self, disciplines: Sequence[Discipline]) -> list[Discipline]:
        """Gives what the budget leaves over to those that lack pairs; gives back which they are."""
        wanted = [discipline for discipline in disciplines if self.wants(discipline)]
        if self.shares is None or any(discipline.id not in self.results for discipline in wanted):
            return []  # with one of them unfinished, nobody can say what is left over
        left = math.floor(sum(self.shares.values()) * self.settings.candidate_budget)
        left -= sum(result.asked for result in self.results.values())
        granted = []
        for discipline in wanted:
            lacks, result = self.lacks(discipline), self.results[discipline.id]
            useless = result.asked <= self._granted.get(discipline.id, -1)
            if lacks and left > 0 and not (result.dry or useless):
                more = min(lacks, left)
                left -= more
                allowance = self.goal(discipline).allowance
                self.extra[discipline.id] = self.extra.get(discipline.id, 0) + result.asked + more - allowance
                granted.append(discipline)
        if granted:
            self.save(self.extra)  # first, so that a killed run goes on with the same
        for discipline in granted:
            self._granted[discipline.id] = self.results.pop(discipline.id).asked
        return granted

    def lacks(self, discipline: Discipline) -> int:
        result = self.results.get(discipline.id)
        return max(0, (self.shares or {}).get(discipline.id, 0) - (result.made if result else 0))

    def shortfall(self, disciplines: Sequence[Discipline]) -> dict[str, Short]:
        """What the disciplines that are through lack, by name."""
        found = {}
        for discipline in disciplines:
            if result := self.results.get(discipline.id):
                short = Short(self.lacks(discipline), max(0, result.test_lacks), result.dry, result.unplanned)
                if short.pairs or short.test:
                    found[discipline.name] = short
        return found
