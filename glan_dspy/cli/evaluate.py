"""`glan evaluate`: programs held beside one another on rows that none of them was tuned on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glan_dspy.cli.flags import Config, Grouped, Yes, with_settings
from glan_dspy.cli.tuning import FLAGS, Judge, Stage, Valset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from glan_dspy.optimize.contest import Entry, Trial
    from glan_dspy.run.plan import Planned

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def evaluate(
    flags: dict[str, Any],
    program: Annotated[
        list[str] | None,
        typer.Option(
            "--program", metavar="FILE", help="Program to score (repeatable); built-in names the built-in prompts."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="Keeps what was bought; FILE.log of `optimize` may serve."),
    ] = Path("runs/evaluation"),
    judge_model: Judge = None,
    stage: Stage = None,
    valset: Valset = None,
    shown: Annotated[int, typer.Option("--show", min=0, metavar="N", help="Put N rows' outputs side by side.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: Config = None,
    yes: Yes = False,
) -> int:
    """Score programs on the held-out rows: the same rows and seeds for each, part by part, with 95 % intervals.

    \b
    glan evaluate --program built-in --program vietnamese.json --language Vietnamese --model-name gpt-4o-mini
    glan evaluate --program a.json --program b.json --language Vietnamese --model-name gpt-4o-mini --show 5
    """
    from glan_dspy.cli.tuning import agree, show_plan, stages_of
    from glan_dspy.layers import load_settings
    from glan_dspy.optimize.contest import BUILT_IN, Trial
    from glan_dspy.optimize.models import Names
    from glan_dspy.optimize.rows import load_rows

    settings = load_settings(flags, config=config).model_copy(update={"batch": False, "program": None})
    rows = load_rows(Path(valset) if valset else None).test
    names = Names(settings.model_name, None, judge_model)
    trial = Trial(settings, names, tuple(program or [BUILT_IN]), stages_of(stage), rows)
    plan = plan_of(trial)
    number = len(trial.programs)
    show_plan(plan, f"{number} program{'s' * (number != 1)} on {len(rows)} held-out rows, {settings.language}")
    if not yes:
        agree(plan, settings)
    show(trial, entries_of(trial, out), shown, json)
    return 0


def plan_of(trial: Trial) -> list[Planned]:
    """The most that it takes. Raises UserError for a file that holds no program, or a price not known."""
    from glan_dspy.optimize.contest import writer_of
    from glan_dspy.optimize.forecast import Rounds, forecast

    writers = [writer_of(program, trial.settings, trial.stages) for program in trial.programs]
    runs = len(writers) * len(trial.rows)
    return forecast(trial.names, trial.settings, writers[0].asked, Rounds(), runs)


def entries_of(trial: Trial, out: Path) -> list[Entry]:
    """What each program made of each row; the replies are in the folder, and what is there is not bought again."""
    from glan_dspy.cli.tuning import ended_well, say_left_out
    from glan_dspy.optimize.compile import Progress, metric_for, told
    from glan_dspy.optimize.contest import contest
    from glan_dspy.optimize.journal import Log
    from glan_dspy.optimize.models import connected
    from glan_dspy.run.store import Lock

    with Lock(out):
        log, progress = Log(out), Progress()
        with ended_well(log, trial.settings), connected(trial.names, trial.settings, log) as models:
            with told(progress, log):
                entries = contest(trial, models, progress)
            say_left_out(metric_for(trial.settings, trial.stages, models)().left_out)
    return entries


def show(trial: Trial, entries: list[Entry], shown: int, json: bool) -> None:
    import orjson
    from rich.console import Console

    from glan_dspy.optimize.contest import entries_as_json

    if json:
        print(orjson.dumps(entries_as_json(entries, trial)).decode())
        return
    console = Console(width=None if Console().is_terminal else 120)
    show_scores(console, entries, trial.settings.seed)
    show_outputs(console, entries, shown)


def show_scores(console: Console, entries: Sequence[Entry], seed: int) -> None:
    """A column a program; behind every further one its difference from the first, with the 95 % interval."""
    from rich.table import Table

    from glan_dspy.optimize.compare import parts_of, value_of
    from glan_dspy.optimize.contest import differences

    table = Table("", title=f"{len(entries[0].judged)} held-out rows")
    columns: list[dict[str, str]] = []
    for number, entry in enumerate(entries):
        table.add_column(Path(entry.program).name, justify="right")
        values = {"value": value_of(entry.judged), **parts_of(entry.judged)}
        columns.append({name: f"{value:.3f}" for name, value in values.items()})
        if number:
            table.add_column("difference", justify="right")
            found = differences([entries[0], entry], seed)[0]
            columns.append({name: f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f})" for name, d in found.items()})
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "–") for column in columns))
    console.print(table)


def show_outputs(console: Console, entries: Sequence[Entry], count: int) -> None:
    """The first rows' outputs, a column a program; they are shown as they came, without markup."""
    from rich.table import Table
    from rich.text import Text

    from glan_dspy.visible import one_line, visible

    for row in range(min(count, len(entries[0].judged))):
        example = entries[0].judged[row].example
        concepts = ", ".join(example.sample.key_concepts)
        title = one_line(f"{example.subject.name}, level {example.subject.level}: {concepts}")
        table = Table("", title=Text(title), show_lines=True)
        for entry in entries:
            table.add_column(Path(entry.program).name, ratio=1, overflow="fold")
        predictions = [entry.judged[row] for entry in entries]
        for field in dict.fromkeys(name for one in predictions for name in one.prediction.toDict()):
            table.add_row(
                Text(one_line(field)), *(Text(visible(str(one.prediction.get(field, "–")))) for one in predictions)
            )
        table.add_row("value", *(f"{one.score.value:.3f}" for one in predictions))
        table.add_row("words", *(Text(visible(one.score.words)) for one in predictions))
        console.print(table)


app.command(cls=Grouped)(with_settings(evaluate, FLAGS))
