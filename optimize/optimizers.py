"""DSPy's optimizers, each called with our metric in the form that it takes. Nothing here optimises anything itself.

The metric that they call is a new one each time: one with a memory would give scores that hang on which thread came
first. What a memory catches, one text for all rows, costs a program its held-out score.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import dspy
from dspy.utils.exceptions import AdapterParseError

from glan_dspy.errors import UserError
from glan_dspy.optimize.journal import Halt
from glan_dspy.optimize.metric import Metric, Score
from glan_dspy.optimize.writer import PairWriter
from glan_dspy.run.crew import first_line

__all__ = ["OPTIMIZERS", "Budget", "Effort", "Optimizer", "Task", "effort_of", "improved", "named", "require_installed"]

Optimizer = Literal["gepa", "mipro", "bootstrap"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
Effort = Literal["light", "medium", "heavy"]
Budget = Effort | int

LONGEST_PROMPT = 4000
"""Characters of a tuned instruction: every call of a run pays for them."""

GOOD_DEMO = 0.7
"""Score from which a pair may stand in a prompt as an example."""

DEMOS = 4
"""Most examples in a prompt."""

TEACHING_ROWS = {"light": 10, "medium": 20, "heavy": 40}
"""Rows that BootstrapFewShot asks the teacher for, at most."""

CANDIDATES = 6
"""Instructions, and sets of examples, that MIPROv2 chooses from where the budget is a number; as its own `light`."""


@dataclass(frozen=True)
class Task:
    """What every optimizer is given."""

    new_metric: Callable[[], Metric]
    train: Sequence[dspy.Example]
    val: Sequence[dspy.Example]
    model: dspy.LM
    reflection: dspy.LM
    budget: Budget
    seed: int
    threads: int
    log: Path
    """Folder for what the optimizer tells of its way; nothing is read from it."""
    scored: Callable[[Score], None] = lambda score: None
    """Is told of every score."""


def improved(optimizer: Optimizer, student: PairWriter, task: Task) -> PairWriter:
    """The program that the optimizer makes of the student.

    Raises Halt where a model cannot be asked any more, UserError where the reflecting one replies with nothing.
    """
    make = {"gepa": _gepa, "mipro": _mipro, "bootstrap": _bootstrap}[optimizer]
    task.log.mkdir(parents=True, exist_ok=True)
    try:
        with dspy.context(lm=task.model):
            return make(student, task)
    except AdapterParseError as error:
        raise UserError(
            f"{optimizer} cannot use what the reflecting model replied ({first_line(error)}); name another "
            "--reflection-model, or another --seed"
        ) from error


def named(optimizer: str) -> Optimizer:
    """The optimizer of that name. Raises UserError for an unknown one."""
    if optimizer not in OPTIMIZERS:
        raise UserError(f"--optimizer {optimizer!r} is unknown; it is one of {', '.join(OPTIMIZERS)}")
    return optimizer


def effort_of(budget: str) -> Budget:
    """light, medium, heavy, or a number of metric calls. Raises UserError for anything else."""
    if budget in get_args(Effort):
        return budget  # type: ignore[return-value]
    if budget.isascii() and budget.isdecimal() and int(budget) > 0:
        return int(budget)
    raise UserError(f"--budget {budget!r} is light, medium, heavy, or a number of metric calls, 600 say")


def require_installed(optimizer: Optimizer) -> None:
    if optimizer == "mipro" and importlib.util.find_spec("optuna") is None:
        raise UserError(
            "--optimizer mipro needs optuna, which is not installed: pip install 'glan-dspy[optimize]'; "
            "--optimizer gepa needs nothing more"
        )


def _gepa(student: PairWriter, task: Task) -> PairWriter:
    """GEPA: a reflecting model reads what was wrong with a few pairs and rewrites one instruction at a time."""
    from dspy.teleprompt.gepa import InstructionProposer
    from dspy.teleprompt.gepa.gepa_utils import ScoreWithFeedback
    from gepa.utils.stop_condition import ScoreThresholdStopper

    def metric(
        gold: dspy.Example, pred: dspy.Prediction, trace: Any = None, pred_name: str | None = None, _: Any = None
    ) -> Any:
        whole = _score(task, gold, pred)
        stage = (pred_name or "").partition(".")[0] or None
        words = _score(task, gold, pred, stage).words if stage else whole.words
        return ScoreWithFeedback(score=whole.value, feedback=words)

    # Its resume file is a pickle, and would begin again in the middle with other dice: the journal does without.
    (task.log / "gepa_state.bin").unlink(missing_ok=True)
    optimizer = dspy.GEPA(
        metric=metric,
        reflection_lm=task.reflection,
        instruction_proposer=InstructionProposer(max_chars=LONGEST_PROMPT),
        num_threads=task.threads,
        seed=task.seed,
        log_dir=str(task.log),
        gepa_kwargs={"stop_callbacks": [ScoreThresholdStopper(1.0)]},  # it would go on spending
        **({"max_metric_calls": task.budget} if isinstance(task.budget, int) else {"auto": task.budget}),
    )
    return optimizer.compile(student, trainset=list(task.train), valset=list(task.val))  # type: ignore[no-any-return]


def _mipro(student: PairWriter, task: Task) -> PairWriter:
    """MIPROv2: instructions and examples, both by the reflecting model, tried out in combination."""
    how: dict[str, Any] = {"auto": task.budget}
    trials: dict[str, Any] = {}
    if isinstance(task.budget, int):
        how = {"auto": None, "num_candidates": CANDIDATES}
        trials = {"num_trials": mipro_trials(task.budget, len(task.train), len(task.val)), "minibatch": False}
    optimizer = dspy.MIPROv2(
        metric=_number(task),
        prompt_model=task.reflection,
        task_model=task.model,
        teacher_settings={"lm": task.reflection},
        max_bootstrapped_demos=DEMOS,
        max_labeled_demos=0,  # rows have no gold pairs
        metric_threshold=GOOD_DEMO,
        num_threads=task.threads,
        seed=task.seed,
        **how,
    )
    return optimizer.compile(student, trainset=list(task.train), valset=list(task.val), **trials)  # type: ignore[no-any-return]


def mipro_trials(budget: int, train: int, val: int) -> int:
    """How many combinations that many metric calls can try, after the examples and the first evaluation."""
    return max(1, (budget - train) // max(val, 1) - 1)


def _bootstrap(student: PairWriter, task: Task) -> PairWriter:
    """BootstrapFewShot: good pairs of the reflecting model, as the stronger one, become examples in the prompt."""
    rows = list(task.train)
    random.Random(task.seed).shuffle(rows)
    optimizer = dspy.BootstrapFewShot(
        metric=_number(task),
        metric_threshold=GOOD_DEMO,
        teacher_settings={"lm": task.reflection},
        max_bootstrapped_demos=DEMOS,
        max_labeled_demos=0,
    )
    most = task.budget if isinstance(task.budget, int) else TEACHING_ROWS[task.budget]
    return optimizer.compile(student, trainset=rows[:most])  # type: ignore[no-any-return]


def _number(task: Task) -> Callable[..., float]:
    return lambda example, prediction, trace=None: _score(task, example, prediction).value


def _score(task: Task, example: dspy.Example, prediction: dspy.Prediction, stage: str | None = None) -> Score:
    """Raises Halt for a bug of ours, which an optimizer would take for a bad pair."""
    try:
        score = task.new_metric()(example, prediction, stage)
    except Exception as error:
        raise Halt(error) from error
    if stage is None:
        task.scored(score)
    return score
