"""A model's judgement as parts of the metric: JudgePair's scores from 1 to 5, as numbers from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dspy
from dspy.utils.exceptions import LMError

from glan_dspy.engines.base import CALL, Call
from glan_dspy.errors import BadReply
from glan_dspy.judging import MAX_TOKENS, PairJudge
from glan_dspy.optimize.journal import Halt
from glan_dspy.run.crew import refused_request
from glan_dspy.settings import Settings
from glan_dspy.stages import Options

__all__ = ["judge_with"]

PARTS = ("fits", "correct")
"""What the metric cannot see for itself: whether the level and the concepts fit, and whether the answer is right."""


def judge_with(lm: dspy.LM, settings: Settings) -> Callable[[dspy.Example, dspy.Prediction], Mapping[str, float]]:
    """A function that has the model judge a pair: `{"fits": 0.75, "correct": 1.0}`.

    Nothing comes back for a prediction without a pair, or where the judge's reply cannot be used.
    """
    examiner = PairJudge(Options(0.0, settings.top_p, MAX_TOKENS, settings.seed))

    def judge(example: dspy.Example, prediction: dspy.Prediction) -> Mapping[str, float]:
        question, answer = prediction.get("question"), prediction.get("answer")
        if not (question and answer):
            return {}
        pair = {
            "subject": example.subject.name,
            "level": example.subject.level,
            "key_concepts": list(example.sample.key_concepts),
            "question": question,
            "answer": answer,
        }
        token = CALL.set(Call(stage="judge", item=str(example.get("id") or "")))
        try:
            with dspy.context(lm=lm, trace=None):
                scores = examiner(pair=pair).scores
        except BadReply:
            return {}
        except LMError as error:
            if isinstance(refused_request(error), BadReply):
                return {}
            raise Halt(error) from error
        finally:
            CALL.reset(token)
        return {part: (scores[part] - 1) / 4 for part in PARTS}

    return judge
