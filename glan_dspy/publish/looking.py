"""Records as they are looked at, each with what was asked for beside it: its lineage, its prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice, repeat
from typing import TYPE_CHECKING, NamedTuple

from glan_dspy.errors import UserError
from glan_dspy.publish.browse import Shown
from glan_dspy.publish.find import Found
from glan_dspy.publish.lineage import Lineage, lineages
from glan_dspy.records import Question, Rejected
from glan_dspy.run.lines import Line
from glan_dspy.run.store import Run

if TYPE_CHECKING:
    from glan_dspy.publish.prompts import Prompt, Prompts

PORTIONS = (1, 8, 64)
"""Records whose lineages are read together, each time from the start of their discipline's files: the first is soon
there, and later ones are not a reading each."""


class Look(NamedTuple):
    """A record as it is shown."""

    record: Question | Rejected
    score: float | None = None
    state: str = ""
    lineage: Lineage | None = None
    """Only where it was asked for."""
    prompts: tuple[Prompt, ...] = ()
    caveat: str = ""
    """Why the prompts are not those that were sent, or why there are none."""

    def as_line(self) -> Line:
        """The record with its keys as the run has them, `score`, and `lineage` where it was asked for."""
        line = {**self.record.model_dump(), "score": self.score}
        if self.lineage is None:
            return line
        prompts = [prompt._asdict() for prompt in self.prompts]
        return {**line, "lineage": {**self.lineage.as_line(), "prompts": prompts, "prompts_caveat": self.caveat}}


def look_at(run: Run, found: Found) -> Look:
    """The record that was found, and what became of it. Raises UserError where no line holds it whole."""
    shelf = run.shelf(found.discipline)
    lineage = lineages(shelf, found.discipline, [found.id]).get(found.id)
    record = None if lineage is None else lineage.rejects[-1] if lineage.state == "rejected" else lineage.record
    if lineage is None or record is None:
        raise UserError(f"{shelf.path} names {found.id!r}, and no line there holds its record whole")
    state: str = lineage.state
    if state == "question":
        state = "a question without its answer yet"
    elif lineage.dropped:
        state += f", and dropped by curate: {lineage.dropped.reason}, {lineage.dropped.detail}"
    return Look(record, lineage.score, state, lineage)


class Teller:
    """Tells how records came about, with their prompts; it brings DSPy with it, which takes a while."""

    def __init__(self, run: Run) -> None:
        from glan_dspy.publish.prompts import Prompts

        self.run = run
        self._prompts: Prompts | None = None
        self._why_none = ""
        try:
            self._prompts = Prompts(run)
        except UserError as error:  # the program's file is gone
            self._why_none = str(error)

    def tell(self, shown: Iterable[Shown]) -> Iterator[Look]:
        """Each record with its lineage, read a portion of them at a time."""
        for discipline, some in groupby(shown, key=lambda one: one.discipline):
            sizes = chain(PORTIONS, repeat(PORTIONS[-1]))
            while portion := list(islice(some, next(sizes))):
                found = lineages(self.run.shelf(discipline), discipline, [one.record.id for one in portion])
                for one in portion:
                    yield self.with_prompts(Look(one.record, one.score, lineage=found.get(one.record.id)))

    def with_prompts(self, look: Look) -> Look:
        if look.lineage is None:  # its line has been edited by hand meanwhile
            return look
        if self._prompts is None:
            return look._replace(caveat=self._why_none)
        made = self._prompts.of(self.run.shelf(look.lineage.discipline), look.lineage)
        return look._replace(prompts=tuple(made), caveat=self._prompts.caveat)
