"""A record by its id, or by how the id begins: looked for by its bytes, so that only lines that have them are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import orjson

from glan_dspy.errors import UserError
from glan_dspy.records import Discipline
from glan_dspy.run import lines
from glan_dspy.run.store import Run

SHORTEST = 4
"""Characters of an id that are taken for its beginning; what is shorter is a whole id, or none."""

_FILES = ("questions", "rejected", "instructions", "holdout")
"""The smallest first: nearly every record has its question there."""


class Found(NamedTuple):
    discipline: Discipline
    id: str


def find(run: Run, start: str) -> Found:
    """The record whose id is `start`, else the only one whose id begins so. Raises UserError where that is not one."""
    near: dict[str, Found] = {}
    for found in _candidates(run, start):
        if found.id == start:
            return found
        near[found.id] = found
    if len(start) < SHORTEST:
        raise UserError(f"{run.path} has no record {start!r}; give {SHORTEST} or more characters of an id")
    if not near:
        raise UserError(f"{run.path} has no record whose id begins with {start!r}; `glan show {run.path}` pages them")
    if len(near) > 1:
        some = ", ".join(sorted(near)[:3]) + (", …" if len(near) > 3 else "")
        raise UserError(f"{start!r} begins {len(near):,} ids of {run.path} ({some}); give more of the one you mean")
    return next(iter(near.values()))


def _candidates(run: Run, start: str) -> Iterator[Found]:
    """Every record whose id begins so, some of them more than once."""
    disciplines = run.disciplines()
    needle = orjson.dumps(start)[:-1]  # with the quotation mark before it, as an id stands in its line
    for name in _FILES:
        for discipline in disciplines:
            for raw in lines.holding(run.shelf(discipline).path / f"{name}.jsonl", needle):
                id = (lines.parsed(raw) or {}).get("id")
                if isinstance(id, str) and id.startswith(start):
                    yield Found(discipline, id)
