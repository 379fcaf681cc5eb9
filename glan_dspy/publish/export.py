"""The accepted pairs of a run in the form that a trainer reads, streamed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonlines
import orjson

from glan_dspy.errors import UserError
from glan_dspy.publish.choice import Choice
from glan_dspy.records import Instruction, Question, digest
from glan_dspy.run.decisions import dropped
from glan_dspy.run.store import Run

Row = dict[str, Any]


def messages(pair: Instruction) -> Row:
    """A conversation of two messages, as chat templates take it; the question and the answer stay apart."""
    return {
        "id": pair.id,
        "messages": [{"role": "user", "content": pair.question}, {"role": "assistant", "content": pair.answer}],
    }


def azure(pair: Question) -> Row:
    """The five keys, in the order, of the Azure script's files; without `answer` for a question file."""
    row = {"question": pair.question, "subject": pair.subject, "level": pair.level, "subtopics": list(pair.subtopics)}
    return {**row, "answer": pair.answer} if isinstance(pair, Instruction) else row


FORMATS: dict[str, Callable[[Instruction], Row]] = {"azure": azure, "messages": messages}

TRAINING_FORMATS = frozenset(FORMATS) - {"azure"}
"""What goes straight into training: simulated pairs are refused here unless asked for."""


def export(
    run: Run,
    form: str,
    to: Path,
    *,
    allow_rehearsal: bool = False,
    held_out: bool = False,
    choice: Choice | None = None,
) -> tuple[Path, int]:
    """Writes the pairs and gives back (file, how many). The file appears whole, or not at all.

    `azure` takes a folder and names the file as the Azure script does; a run with questions and no
    answers gives its questions file. `held_out` writes the test set instead. `choice` leaves pairs out.
    Raises UserError: unknown format, nothing to export, simulated pairs.
    """
    if form not in FORMATS:
        raise UserError(f"--format {form!r} is unknown; known: {', '.join(FORMATS)}")
    about = run.about()
    pairs: Iterator[Question] = accepted(run, held_out=held_out)
    first = next(pairs, None)
    kind = "Test" if held_out else "Instructions"
    if first is None and held_out:
        raise UserError(f"{run.path} has no test set; a run that is begun with --holdout 50 keeps one apart")
    if first is None and form == "azure":
        pairs, kind = questions(run), "Questions"
        first = next(pairs, None)
    if first is None:
        raise UserError(f"{run.path} has no accepted pairs yet; `glan generate -o {run.path}` goes on with it")
    if first.simulated and form in TRAINING_FORMATS and not allow_rehearsal:
        raise UserError(
            f"{run.path} was made by the simulated model `rehearsal`: its pairs are no training data; "
            "--allow-rehearsal exports them all the same"
        )
    chosen: Iterator[Question] = itertools.chain([first], pairs)
    if choice:
        chosen = choice.of(run, chosen)
    beside, count = _write(
        to,
        (FORMATS[form](pair) for pair in chosen),  # type: ignore[arg-type]
        folder=form == "azure",
    )
    final = to / azure_name(kind, about, run, count, first.simulated) if form == "azure" else to
    beside.replace(final)
    return final, count


def accepted(run: Run, *, held_out: bool = False) -> Iterator[Instruction]:
    """Every accepted pair once, discipline by discipline, without those that `curate` dropped; or the test set's."""
    for discipline in run.disciplines():
        shelf = run.shelf(discipline)
        seen = set(dropped(shelf))
        for pair in shelf.held_out() if held_out else shelf.instructions():
            if pair.id not in seen:
                seen.add(pair.id)
                yield pair


def questions(run: Run) -> Iterator[Question]:
    """Every question once that passed its gates, discipline by discipline; those of the test set are none of them."""
    for discipline in run.disciplines():
        shelf = run.shelf(discipline)
        newest = {question.id: question for question in shelf.questions() if not question.held_out}
        fallen = {item.id for item in shelf.rejected()} - shelf.ids("instructions")
        yield from (question for id, question in newest.items() if id not in fallen)


def azure_name(kind: str, about: Row, run: Run, count: int, simulated: bool) -> str:
    """`GLAN_Instructions_{language}_{n}_Samples_{id}.jsonl`; the id is the run's, and says where it is simulated."""
    id = digest(about["created"], run.path.name)[:8] + ("-rehearsal" if simulated else "")
    return f"GLAN_{kind}_{about['settings']['language']}_{count}_Samples_{id}.jsonl"


def _write(to: Path, rows: Iterable[Row], *, folder: bool) -> tuple[Path, int]:
    """The rows in a file beside the final one, which is not touched until this one is whole."""
    home = to if folder else to.parent
    beside = home / f".{'export' if folder else to.name}.{os.getpid()}"
    count = 0
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not folder and to.is_dir():
            raise UserError(f"--to {to} is a folder; name a file, such as {to / 'train.jsonl'}")
        with beside.open("wb") as file, jsonlines.Writer(file, dumps=orjson.dumps) as writer:
            for row in rows:
                writer.write(row)
                count += 1
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UserError(f"cannot write to {to}: {error.strerror or error}; nothing was left under that name") from None
    return beside, count
