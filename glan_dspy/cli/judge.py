"""`glan judge`: a model's scores for the pairs of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glan_dspy.cli.flags import ASKING, Grouped, with_settings

if TYPE_CHECKING:
    from glan_dspy.run.judge import Marks
    from glan_dspy.run.tally import Shown
    from glan_dspy.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_FLAGS = (
    "answer_max_tokens",
    "answer_temperature",
    "max_asks",
    *ASKING,
)


def judge(
    flags: dict[str, Any],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")] = Path("runs/first"),
    model_name_for_judge: Annotated[
        str | None,
        typer.Option(
            "--model-name-for-judge",
            metavar="TEXT",
            help="Model that judges, at the answers' endpoint; the run's answer model unless given.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", min=1, metavar="N", help="Only so many pairs; the same ones each time."),
    ] = None,
    votes: Annotated[
        int,
        typer.Option(
            "--votes",
            min=0,
            metavar="K",
            help="Further answers to each question whose answer ends in a number or a choice (A-E): how many agree?",
        ),
    ] = 0,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="EXPR", help="Only pairs that fit, by their keys and an earlier `score`."),
    ] = None,
) -> int:
    """Have a model score the accepted pairs from 1 to 5: correct, self-contained, fitting, useful. The same command
    goes on where it was stopped; another model's scores are added, and the newest count.

    \b
    glan judge runs/first --sample 500 --model-name-for-judge gpt-4o
    glan judge runs/first --votes 5 --only 'discipline in ("Optics", "Algebra")'
    glan export runs/first --min-score 4 --to train.jsonl
    """
    from glan_dspy.cli.ending import came_through, same_command, say
    from glan_dspy.cli.main import BUG, DONE
    from glan_dspy.cli.prepare import prepare
    from glan_dspy.cli.progress import plain_lines
    from glan_dspy.filtering import compile_filter
    from glan_dspy.run.judge import Wanted, any_pair
    from glan_dspy.run.judge import judge as ask
    from glan_dspy.run.store import Run

    place = Run(run)
    place.about()
    settings, _ = prepare(place, flags, None, None)
    if model_name_for_judge:
        settings = settings.model_copy(update={"model_name_for_answer": model_name_for_judge})
    wanted = Wanted(compile_filter(only, "--only") if only else any_pair, sample, votes)
    outcome, marks = ask(place, settings, wanted, lambda walk: plain_lines(walk, line))
    for text in report(run, settings, marks):
        say(text)
    own = {"model-name-for-judge": model_name_for_judge, "sample": sample, "votes": votes or None, "only": only}
    return DONE if came_through(settings, outcome, same_command("judge", run, {**own, **flags})) else BUG


def line(walk: Shown, seconds: float) -> str:
    """How far the judging is, in one line."""
    tally = walk.tally
    cost = f" · ${tally.cost:,.2f} spent" if tally.cost else " · cost unknown" if tally.unpriced else ""
    return (
        f"{tally.disciplines_done}/{tally.disciplines} disciplines · {tally.calls:,} calls · "
        f"{tally.calls / max(seconds, 1) * 60:,.0f}/min · "
        f"tokens {tally.prompt_tokens:,} in, {tally.completion_tokens:,} out{cost}"
    )


def report(run: Path, settings: Settings, marks: Marks) -> list[str]:
    """What came out, as it is printed."""
    before = f" ({marks.before:,} of them from before)" if marks.before else ""
    lines = [f"{run}: {marks.judged:,} pairs judged by {settings.answer_model}{before}"]
    if marks.unusable:
        lines[0] += f", {marks.unusable:,} without a usable reply"
    if marks.judged:
        means = {name.replace("_", " "): total / marks.judged for name, total in marks.sums.items()}
        rows = {"score": sum(means.values()) / len(means), **means}
        lines += [f"{name:>16}  {mean:.2f}" for name, mean in rows.items()]
    if marks.asked:
        lines.append(
            f"{'votes':>16}  {marks.agreeing / marks.asked:.0%} of {marks.asked:,} agree, on {marks.voted:,} pairs"
        )
    return lines


app.command(cls=Grouped)(with_settings(judge, _FLAGS))
