"""Which records of a run are exported: each once, without what `curate` dropped; lines that hold none are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from glan_dspy.errors import UserError
from glan_dspy.records import Instruction, Question
from glan_dspy.run import lines
from glan_dspy.run.decisions import dropped
from glan_dspy.run.lines import Line
from glan_dspy.run.store import Run, Shelf


@dataclass
class Spoilt:
    """Lines that hold no pair, edited by hand into something else or damaged on the disk."""

    count: int = 0
    first: str = ""
    """The file of the first of them."""


def accepted(run: Run, *, held_out: bool = False, spoilt: Spoilt | None = None) -> Iterator[Instruction]:
    """Every accepted pair once, discipline by discipline, without those that `curate` dropped; or the test set's.

    Memory holds the ids of one discipline.
    """
    for discipline in run.disciplines():
        yield from accepted_in(run.shelf(discipline), held_out=held_out, spoilt=spoilt)


def accepted_in(
    shelf: Shelf,
    *,
    held_out: bool = False,
    spoilt: Spoilt | None = None,
    fits: Callable[[Line], bool] | None = None,
) -> Iterator[Instruction]:
    """Those of one discipline; with `fits` those whose lines do, which is told before a line is made a pair."""
    seen = set(dropped(shelf))
    path = shelf.path / f"{'holdout' if held_out else 'instructions'}.jsonl"
    for raw in lines.whole(path):
        line = lines.parsed(raw) if fits else None
        if fits and line and isinstance(line.get("id"), str) and (line["id"] in seen or not fits(line)):
            seen.add(line["id"])
            continue
        pair = _pair(raw)
        if pair is None:
            if spoilt:
                spoilt.count, spoilt.first = spoilt.count + 1, spoilt.first or str(path)
        elif pair.id not in seen:
            seen.add(pair.id)
            yield pair


def _pair(raw: bytes) -> Instruction | None:
    try:
        pair = Instruction.model_validate_json(raw)
    except ValueError:
        return None
    return pair if pair.id and pair.question.strip() and pair.answer.strip() else None


def questions(run: Run) -> Iterator[Question]:
    """Every question once that passed its gates, discipline by discipline; those of the test set are none of them."""
    for discipline in run.disciplines():
        yield from questions_in(run.shelf(discipline))


def questions_in(shelf: Shelf) -> Iterator[Question]:
    """Those of one discipline."""
    newest = {question.id: question for question in shelf.questions() if not question.held_out}
    fallen = {item.id for item in shelf.rejected()} - shelf.ids("instructions")
    yield from (question for id, question in newest.items() if id not in fallen)


def no_pairs(run: Run, held_out: bool, spoilt: Spoilt) -> UserError:
    """What is wrong with a run in which no pair was found."""
    path, about = run.path, run.about()
    go_on = f"`glan {about.get('kind', 'generate')} -o {path}` goes on with it"
    if spoilt.count:
        return UserError(f"{path} holds no pair: {spoilt.count:,} lines are none, the first in {spoilt.first}")
    if held_out and not about["settings"].get("holdout"):
        return UserError(f"{path} has no test set; a run that is begun with --holdout 50 keeps one apart")
    return UserError(f"{path} has no accepted pairs{' of its test set' if held_out else ''} yet; {go_on}")
