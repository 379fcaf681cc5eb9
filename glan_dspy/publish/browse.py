"""The records of a run one after another, to be looked at: chosen as for an export, or those that were dropped.

A discipline's files are read when its turn comes, and no further than they are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from glan_dspy.errors import UserError
from glan_dspy.filtering import compile_filter
from glan_dspy.publish.choice import Choice
from glan_dspy.publish.pairs import Spoilt, accepted_in, no_pairs, questions_in
from glan_dspy.records import Discipline, Question, Rejected
from glan_dspy.run import lines
from glan_dspy.run.decisions import drops
from glan_dspy.run.judgements import read_scores
from glan_dspy.run.lines import Line
from glan_dspy.run.store import Run, Shelf

CURATE = "curate"
"""The stage of what `curate` dropped, beside those of a run."""


@dataclass(frozen=True)
class View:
    """Which records are wanted, as the flags of `glan show` say it."""

    only: str | None = None
    min_score: float | None = None
    held_out: bool = False
    rejected: bool = False

    def choice(self) -> Choice:
        """Raises UserError for an expression that is none, and for flags that do not go together."""
        if self.rejected and self.held_out:
            raise UserError(
                "--rejected and --holdout are two lists; --rejected --only held_out has what fell of the test set"
            )
        if self.rejected and self.min_score is not None:
            raise UserError("--min-score is for accepted pairs: nothing that was rejected has a score")
        return Choice(compile_filter(self.only, "--only") if self.only else None, self.min_score)


class Shown(NamedTuple):
    """A record that is wanted, with what a judge gave it."""

    discipline: Discipline
    record: Question | Rejected
    score: float | None = None


def browse(run: Run, view: View) -> Iterator[Shown]:
    """The wanted records in the run's order. Raises UserError for no run, and at the end where there was none."""
    choice, spoilt, found = view.choice(), Spoilt(), False
    pairs = chain(_pairs(run, view, choice, spoilt), _unanswered(run, view, choice))
    for shown in _fallen(run, choice) if view.rejected else pairs:
        found = True
        yield shown
    if not found:
        raise choice.nothing_left(run) if choice.left_out() else _nothing(run, view, spoilt)


def _nothing(run: Run, view: View, spoilt: Spoilt) -> UserError:
    return UserError(f"nothing of {run.path} was rejected") if view.rejected else no_pairs(run, view.held_out, spoilt)


def _pairs(run: Run, view: View, choice: Choice, spoilt: Spoilt) -> Iterator[Shown]:
    chosen = view.only is not None or view.min_score is not None
    for discipline in run.disciplines():
        shelf = run.shelf(discipline)
        scores = read_scores(shelf)

        def fits(line: Line, scores: dict[str, float] = scores) -> bool:
            return choice.passes(line, scores.get(line["id"]))

        for pair in accepted_in(shelf, held_out=view.held_out, spoilt=spoilt, fits=fits if chosen else None):
            yield Shown(discipline, pair, scores.get(pair.id))


def _unanswered(run: Run, view: View, choice: Choice) -> Iterator[Shown]:
    """The questions of a run that has no pair: one that was stopped after them."""
    shelves = {discipline: run.shelf(discipline) for discipline in run.disciplines()}
    if view.held_out or any(True for shelf in shelves.values() for _ in lines.whole(shelf.path / "instructions.jsonl")):
        return
    for discipline, shelf in shelves.items():
        yield from (Shown(discipline, question) for question in questions_in(shelf) if choice.passes(question, None))


def _fallen(run: Run, choice: Choice) -> Iterator[Shown]:
    """What is rejected now, each with its newest reason; after those of a discipline, what `curate` dropped of it."""
    repaired = bool(run.about().get("repairs"))
    for discipline in run.disciplines():
        shelf = run.shelf(discipline)
        # Only a repair asks again for what was rejected. Without one, no pair is read to know what fell.
        made = shelf.ids("instructions") | shelf.ids("holdout") | shelf.ids("syllabi") if repaired else set[str]()
        newest = {item.id: item for item in shelf.rejected() if item.id not in made}
        fallen = chain(newest.values(), _curated(shelf))
        yield from (Shown(discipline, item) for item in fallen if choice.passes(item, None))


def _curated(shelf: Shelf) -> Iterator[Rejected]:
    decided = drops(shelf)
    for line in lines.about(shelf.path / "instructions.jsonl", decided.__contains__) if decided else ():
        if decision := decided.pop(line["id"], None):
            try:
                yield Rejected.model_validate({**decision, "stage": CURATE, "item": line})
            except ValueError:
                continue  # edited by hand into something else
