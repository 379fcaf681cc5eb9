"""What a judge is asked of a pair: its scores, and an answer of the judge's own to hold beside the pair's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy

from glan_dspy.connect import Models
from glan_dspy.errors import BadReply
from glan_dspy.final_answer import final_answer
from glan_dspy.program import open_program
from glan_dspy.settings import Settings
from glan_dspy.signatures import JudgePair
from glan_dspy.stages import Options, Stage

CRITERIA = ("correct", "self_contained", "fits", "useful")

MAX_TOKENS = 600
"""Of a judgement: a sentence in any language and four digits."""

Pair = Mapping[str, Any]
"""A line of instructions.jsonl."""


class PairJudge(Stage):
    """Scores one pair from 1 to 5 in each of `CRITERIA`."""

    name = "judge"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.score = dspy.Predict(JudgePair)

    async def aforward(self, pair: Pair) -> dspy.Prediction:
        """`.scores` by criterion, and `.why`: the judge's sentence."""
        reply = await self.ask(
            "score",
            subject=pair.get("subject") or None,
            level=pair.get("level") or None,
            key_concepts=pair.get("key_concepts") or None,
            question=pair["question"],
            answer=pair["answer"],
        )
        return dspy.Prediction(scores={name: int(getattr(reply, name)) for name in CRITERIA}, why=reply.why.strip())


class Examiner:
    """The judge and the voter, both asked of the model that `settings` name for the answers."""

    def __init__(self, settings: Settings) -> None:
        self.glan = open_program(settings)
        self.judge = PairJudge(Options(0.0, settings.top_p, MAX_TOKENS, settings.seed))
        self.voter = self.glan.answer
        self.voter.name = "vote"  # its calls are told apart from those of the pairs' own answers

    def connect(self, models: Models) -> Examiner:
        """Gives both their model."""
        for stage in (self.judge, self.voter):
            stage.set_lm(models.answer)
        return self

    async def vote(self, pair: Pair, language: str) -> str | None:
        """What a further answer to the pair's question ends in; None for one that cannot be used or ends in nothing."""
        try:
            reply = await self.voter.acall(
                question=pair["question"],
                language=pair.get("language") or language,
                subject=pair.get("subject"),
                level=pair.get("level"),
            )
        except BadReply:
            return None
        return final_answer(reply.answer)
