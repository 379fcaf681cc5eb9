"""The student program of the optimizers: GLAN's own stages asked for one row, so that what is tuned is what runs.

Its predictors have the names that they have in GLAN (`question.write`, `answer.write`, `syllabus.design`, …). A reply
that cannot be used becomes a prediction with `failed`; whatever else goes wrong is a Halt, since DSPy's optimizers
take any common exception for a score of 0.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import dspy
from dspy.utils.exceptions import LMError

from glan_dspy.engines.base import CALL, Call
from glan_dspy.errors import BadReply
from glan_dspy.optimize.journal import Halt
from glan_dspy.program import GLAN
from glan_dspy.records import Sample, Subject, Syllabus, question_id
from glan_dspy.run.crew import refused_request

__all__ = ["CURRICULUM", "PAIR", "PairWriter", "tuned_into"]

PAIR = ("question", "answer")
CURRICULUM = ("subjects", "syllabus")


class PairWriter(dspy.Module):
    """The stages of a program that are to be tuned, asked one after another for a row.

    >>> writer = PairWriter(open_program(settings))
    >>> writer(**example_of(row, "Vietnamese").inputs()).question

    With `stages=("answer",)` the question is asked for too, by a predictor that no optimizer changes.
    """

    def __init__(self, glan: GLAN, stages: Collection[str] = PAIR) -> None:
        super().__init__()
        self.settings = glan.settings
        self.asked = tuple(stage for stage in (*CURRICULUM, *PAIR) if stage in stages or _is_needed(stage, stages))
        for stage in self.asked:
            module = getattr(glan, stage).deepcopy()
            drop_unused(module, glan.settings.draft_first)
            module._compiled = stage not in stages  # DSPy's word for a module that is not to be changed
            setattr(self, stage, module)

    def forward(
        self, subject: Subject, syllabus: Syllabus, sample: Sample, language: str, discipline: str
    ) -> dspy.Prediction:
        """`.question` and `.answer`, or `.subjects` and `.sessions`; `.failed` says why one is missing."""
        item = question_id(syllabus, sample)
        made: dict[str, Any] = {}
        for stage in self.asked:
            inputs = self._inputs(stage, subject, syllabus, sample, language, discipline, made)
            try:
                made |= self._ask(stage, item, inputs)
            except BadReply as bad:
                self._trace_failure(stage, inputs, bad)
                return dspy.Prediction(**made, failed=str(bad))
        return dspy.Prediction(**made)

    def _ask(self, stage: str, item: str, inputs: dict[str, Any]) -> dict[str, Any]:
        token = CALL.set(Call(stage=stage, item=item))
        try:
            return dict(getattr(self, stage)(**inputs).items())
        except BadReply:
            raise
        except LMError as error:
            if isinstance(refused := refused_request(error), BadReply):
                raise refused from error
            raise Halt(error) from error
        except Exception as error:
            raise Halt(error) from error
        finally:
            CALL.reset(token)

    def _inputs(
        self,
        stage: str,
        subject: Subject,
        syllabus: Syllabus,
        sample: Sample,
        language: str,
        discipline: str,
        made: dict[str, Any],
    ) -> dict[str, Any]:
        s = self.settings
        match stage:
            case "subjects":
                most = {"max_subjects": s.max_number_of_subjects, "max_subtopics": s.max_number_of_subtopics}
                return {"discipline": discipline, **most, "language": language}
            case "syllabus":
                return {"subject": subject, "max_sessions": s.max_number_of_session_name, "language": language}
            case "question":
                return {"subject": subject, "syllabus": syllabus, "sample": sample, "language": language}
            case _:
                about = {"subject": subject.name, "level": subject.level}
                return {"question": made["question"], "language": language, **about}

    def _trace_failure(self, stage: str, inputs: dict[str, Any], bad: BadReply) -> None:
        """Shows the optimizer what failed: DSPy's trace holds only replies that could be read."""
        trace, (predictor, *_) = dspy.settings.trace, getattr(self, stage).predictors()
        if trace is None or any(step[0] is predictor for step in trace):
            return
        output = next(iter(predictor.signature.output_fields))
        shown = {name: str(value) for name, value in inputs.items()}
        trace.append((predictor, shown, dspy.Prediction(**{output: bad.raw})))


def _is_needed(stage: str, stages: Collection[str]) -> bool:
    return stage == "question" and "answer" in stages


def drop_unused(stage: dspy.Module, draft_first: bool) -> None:
    """Takes out the predictors that these settings never ask: an optimizer would find no trace of them."""
    if hasattr(stage, "draft"):
        for name in ("list", "design") if draft_first else ("draft", "extract"):
            if hasattr(stage, name):
                delattr(stage, name)


def tuned_into(glan: GLAN, writer: PairWriter) -> GLAN:
    """The program with the writer's prompts and demos in place of its own; those of other stages are its own still."""
    mine = dict(glan.named_predictors())
    for name, predictor in writer.named_predictors():
        mine[name].signature = predictor.signature
        mine[name].demos = list(predictor.demos)
    return glan
