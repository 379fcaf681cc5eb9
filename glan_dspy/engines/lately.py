"""What share of the latest calls was refused."""

from __future__ import annotations

import math

LATELY = 10.0
"""Seconds in which what was counted fades to a third."""

WHIM = 0.02
"""An endpoint may refuse that share for no reason that a slower pace would mend."""

LONE = 1.2
"""A refusal with none before it for some 16 seconds counts less than this, and one alone says nothing."""


class Lately:
    """Calls sent and calls refused, each counting the less the longer ago it was."""

    def __init__(self, now: float) -> None:
        self.sent = self.refused = 0.0
        self._at = now

    def note(self, now: float, sent: int = 0, refused: int = 0) -> None:
        left = math.exp((self._at - now) / LATELY)
        self.sent, self.refused, self._at = self.sent * left + sent, self.refused * left + refused, now

    def whimsical(self) -> bool:
        """Whether the refusals are as few as they are without a limit; at a real one the next ones follow at once."""
        return self.refused <= max(LONE, WHIM * self.sent)
