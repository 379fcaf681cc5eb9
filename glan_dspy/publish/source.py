"""The pairs of a run that an export wants, to be read once or twice; refused where they are no training data."""

from __future__ import annotations

from collections.abc import Iterator

from glan_dspy.errors import UserError
from glan_dspy.publish.formats import TRAINING_FORMATS
from glan_dspy.publish.pairs import Spoilt, accepted, no_pairs, questions
from glan_dspy.publish.wanted import Wanted
from glan_dspy.records import Question
from glan_dspy.run.store import Run


class Source:
    """Raises UserError where the run has nothing to give, or only what may not be taken."""

    def __init__(self, run: Run, wanted: Wanted) -> None:
        self.run, self.wanted = run, wanted
        self.spoilt, self.choice = Spoilt(), wanted.choice()
        self.kind = "Test" if wanted.held_out else "Instructions"
        if next(self._read(), None) is None:
            if self.spoilt.count or wanted.held_out or wanted.form != "azure" or next(questions(run), None) is None:
                raise no_pairs(run, wanted.held_out, self.spoilt)
            self.kind = "Questions"

    def pairs(self) -> Iterator[Question]:
        """The pairs from the first on; `spoilt` and `choice` then count this reading alone."""
        self.spoilt, self.choice = Spoilt(), self.wanted.choice()
        return self.choice.of(self.run, map(self._trainable, self._read()))

    def _read(self) -> Iterator[Question]:
        if self.kind == "Questions":
            return questions(self.run)
        return accepted(self.run, held_out=self.wanted.held_out, spoilt=self.spoilt)

    def _trainable(self, pair: Question) -> Question:
        if pair.simulated and self.wanted.form in TRAINING_FORMATS and not self.wanted.allow_rehearsal:
            raise UserError(
                f"{self.run.path} was made by the simulated model `rehearsal`: its pairs are no training data; "
                "--allow-rehearsal exports them all the same"
            )
        return pair
