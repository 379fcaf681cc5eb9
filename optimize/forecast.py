"""What tuning takes at most, before anything is sent: calls, tokens and dollars for each model."""

from __future__ import annotations

from dataclasses import dataclass

from glan_dspy.optimize.models import Names, tariffs
from glan_dspy.optimize.optimizers import CANDIDATES, TEACHING_ROWS, Budget, Optimizer, mipro_trials
from glan_dspy.run.plan import Planned, Range, Use, priors
from glan_dspy.settings import Settings

__all__ = ["Rounds", "forecast", "rounds_of"]

REFLECTING = Use(Range(1500, 9000), Range(250, 1200), Range(5, 60))
JUDGING = Use(Range(500, 1800), Range(50, 200), Range(2, 20))


@dataclass(frozen=True)
class Rounds:
    """How often a program is run for a row, by which model, and how often a better prompt is asked for."""

    task: int = 0
    teacher: int = 0
    reflection: int = 0


def rounds_of(optimizer: Optimizer, budget: Budget, predictors: int, train: int, val: int) -> Rounds:
    """The most that the optimizer itself takes, without the held-out scores before and after it."""
    if optimizer == "bootstrap":
        return Rounds(teacher=min(train, budget if isinstance(budget, int) else TEACHING_ROWS[budget]))
    if optimizer == "gepa":
        # It looks at its budget between steps, and a step may end in a whole validation set. A rewriting looks at six
        # pairs at least, and may be asked for again in fewer words.
        calls = _gepa_calls(budget, predictors, val)
        return Rounds(task=calls + val, reflection=calls // 3)
    trials, instructions = _mipro_trials(budget, predictors, train, val)
    return Rounds(task=val * (trials + 1), teacher=train, reflection=11 + 3 * predictors * instructions)


def _gepa_calls(budget: Budget, predictors: int, val: int) -> int:
    if isinstance(budget, int):
        return budget
    import dspy
    from dspy.teleprompt.gepa.gepa import AUTO_RUN_SETTINGS

    optimizer = dspy.GEPA(metric=lambda *five: 0.0, auto=budget, reflection_lm=object())
    return int(optimizer.auto_budget(predictors, AUTO_RUN_SETTINGS[budget]["n"], val))


def _mipro_trials(budget: Budget, predictors: int, train: int, val: int) -> tuple[int, int]:
    if isinstance(budget, int):
        return mipro_trials(budget, train, val), CANDIDATES
    from math import log2

    from dspy.teleprompt.mipro_optimizer_v2 import AUTO_RUN_SETTINGS

    candidates = AUTO_RUN_SETTINGS[budget]["n"]
    return int(max(4 * predictors * log2(candidates), 1.5 * candidates)), candidates // 2


def forecast(names: Names, settings: Settings, stages: tuple[str, ...], rounds: Rounds, held_out: int) -> list[Planned]:
    """A row a kind of call; `held_out` is how often a program is run for a row of the held-out set."""
    known = priors(settings)
    runs = rounds.task + held_out
    plan = [_planned(settings, names, stage, names.task, False, runs, known[stage]) for stage in stages]
    if rounds.teacher and names.reflection:
        plan += [
            _planned(settings, names, f"{stage} to learn from", names.reflection, True, rounds.teacher, known[stage])
            for stage in stages
        ]
    if rounds.reflection and names.reflection:
        plan.append(_planned(settings, names, "reflection", names.reflection, True, rounds.reflection, REFLECTING))
    if names.judge:
        judged = runs + rounds.teacher
        plan.append(_planned(settings, names, "judge", names.judge, True, judged, JUDGING))
    return plan


def _planned(settings: Settings, names: Names, stage: str, model: str, helps: bool, calls: int, use: Use) -> Planned:
    tariff = tariffs(names, settings)[model, helps]
    dollars = None
    if tariff.input is not None and tariff.output is not None:
        low, high = (
            calls * (prompt * tariff.input + reply * tariff.output) / 1_000_000
            for prompt, reply in zip(use.prompt, use.reply, strict=True)
        )
        dollars = Range(low, high)
    return Planned(stage, calls, model, 0, use.prompt * calls, use.reply * calls, dollars)
