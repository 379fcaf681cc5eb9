"""One command on a run, from its lock to its outcome: generate, answer, taxonomy."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import dspy
import orjson
from dspy.utils.exceptions import LMBillingError, LMError

from glan_dspy.adapters_dspy import adapter_named
from glan_dspy.connect import connect
from glan_dspy.engines.base import Call
from glan_dspy.engines.budget import REACHED
from glan_dspy.engines.forms import Forms
from glan_dspy.errors import BadReply, Stopped, UserError
from glan_dspy.gates.contamination import Overlap, read_benchmarks
from glan_dspy.outline import write_outline
from glan_dspy.program import GLAN, open_program
from glan_dspy.records import Discipline, Question, normalise
from glan_dspy.run.batches import batch_journal
from glan_dspy.run.begin import begin
from glan_dspy.run.collector import rare_collections
from glan_dspy.run.crew import first_line
from glan_dspy.run.lines import Line
from glan_dspy.run.money import known_tariffs, open_budget
from glan_dspy.run.quota import Quota, open_quota
from glan_dspy.run.store import Run, write_whole
from glan_dspy.run.tally import Outcome
from glan_dspy.run.walk import Walk
from glan_dspy.settings import Settings
from glan_dspy.signatures import FieldOutline
from glan_dspy.stages import asked

T = TypeVar("T")

Display = Callable[[Walk], AbstractContextManager[Any]]
"""Shows a walk's progress while the context lasts."""


@contextmanager
def bulk(settings: Settings | None = None) -> Iterator[None]:
    """DSPy as a long run wants it: the adapter that the settings name, and nothing piling up in memory."""
    adapter = adapter_named((settings or Settings()).adapter)
    quiet = dspy.context(adapter=adapter, disable_history=True, trace=None, warn_on_type_mismatch=False)
    with quiet, rare_collections():
        yield


def generate(
    run: Run, settings: Settings, disciplines: Iterable[Discipline], display: Display = lambda walk: nullcontext()
) -> Outcome:
    """Walks the run until it is complete or stopped. Raises UserError before anything is paid for."""
    return _walk(run, settings, tuple(disciplines), display)


def answer(
    run: Run, settings: Settings, questions: Iterable[Question], display: Display = lambda walk: nullcontext()
) -> Outcome:
    """Answers questions that came from a file; those that the run already holds are not added again.

    They are let go of as soon as they are in the run's files: of an iterator nothing is left in memory then.
    """
    grouped: dict[str, dict[str, Question]] = {}
    for question in questions:
        grouped.setdefault(normalise(question.discipline), {})[question.id] = question
    del questions
    disciplines = {name: Discipline(name=next(iter(some.values())).discipline) for name, some in grouped.items()}
    if run.exists:
        disciplines = {normalise(old.name): old for old in run.disciplines()} | disciplines

    def take_in() -> None:
        for name, discipline in disciplines.items():
            shelf = run.shelf(discipline)
            known = shelf.ids("questions")
            new = (q for id, q in grouped.pop(name, {}).items() if id not in known)
            while some := tuple(islice(new, 1000)):
                shelf.append("questions", *some)
            shelf.close()

    return _walk(run, settings, tuple(disciplines.values()), display, before=take_in, answers_only=True)


def _walk(
    run: Run,
    settings: Settings,
    disciplines: tuple[Discipline, ...],
    display: Display,
    *,
    before: Callable[[], None] = lambda: None,
    answers_only: bool = False,
) -> Outcome:
    glan = open_program(settings)
    folders = {discipline.folder for discipline in disciplines}
    if len(folders) < len(disciplines):
        raise UserError("two disciplines would share one folder; rename one of them")
    # A missing key or price is told before the run directory is made.
    connect(settings, answers_only=answers_only)
    known_tariffs(settings, answers_only=answers_only)
    benchmarks = benchmarks_of(settings)

    async def main() -> Outcome:
        quota = Quota(settings) if answers_only else open_quota(run, settings, disciplines)
        walk = Walk(run, glan, disciplines, quota, benchmarks)
        # Where a record could not be written, or a bug lost it, its batch stays open for the next command.
        with (
            batch_journal(run, settings, walk.crew.sound) as batches,
            open_budget(run, settings, answers_only=answers_only) as budget,
        ):
            walk.crew.synced = budget
            models = connect(
                settings,
                walk.crew.pause,
                answers_only=answers_only,
                forms=forms_of(run),
                batch_journal=batches,
                budget=budget,
                on_stop=walk.crew.on_stop,
            )
            glan.connect(models)
            try:
                with display(walk):
                    outcome = await walk(answers_only=answers_only)
                    outcome.needs = budget.needed if budget else 0.0
                    return outcome
            finally:
                await models.aclose()

    with run.lock():
        begin(run, "answer" if answers_only else "generate", settings, disciplines, glan.digest)
        before()
        with log_to(run.path / settings.logfile_name), bulk(settings):
            return run_to_its_end(main())


def benchmarks_of(settings: Settings) -> Overlap | None:
    """The items of `--against`; None without any. Raises UserError for a file that cannot be read so."""
    if not (settings.against and settings.gates):
        return None
    overlap = Overlap()
    for item in read_benchmarks([Path(path) for path in settings.against], settings.against_field):
        overlap.add(*item)
    return overlap


def forms_of(run: Run) -> Forms:
    """The forms that the run's endpoints take, as run.json has them; what is found is written there."""
    return Forms(run.about().get("forms"), lambda state: run.write_about({**run.about(), "forms": state}))


def run_to_its_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """asyncio.run, also where a loop is running already, as in a notebook: there in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(context.run, asyncio.run, coroutine).result()


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Sends the project's log to a file while the context lasts."""
    logger = logging.getLogger("glan")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk is told once, by the run
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # DSPy warns on stderr of each truncated reply; the run records those with their items.
    dspy_log = logging.getLogger("dspy.clients.lm")
    quiet, dspy_log.disabled = dspy_log.disabled, True
    try:
        yield
    finally:
        dspy_log.disabled = quiet
        logger.setLevel(level)
        logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


# --- taxonomy -----------------------------------------------------------------------------------


def make_taxonomy(run: Run, settings: Settings) -> Path:
    """Asks for the taxonomy (§2.1), writes taxonomy.json and disciplines.txt in the run, gives back the latter.

    Asked `num_taxonomy_queries` times and merged; replies are kept, so that a killed command pays for none twice.
    """
    glan = open_program(settings)
    connect(settings)
    known_tariffs(settings)
    with run.lock():
        refuse_another_taxonomy(run, settings)
        begin(run, "generate", settings, run.disciplines() if run.exists else (), glan.digest)
        with log_to(run.path / settings.logfile_name), bulk(settings):
            fields = merge_fields(run_to_its_end(_ask_taxonomy(run, settings, glan)), settings.max_number_of_fields)
        tree = {
            "language": settings.curriculum_language,
            "model": settings.curriculum_model,
            "fields": [field.model_dump() for field in fields],
        }
        write_whole(run.path / "taxonomy.json", orjson.dumps(tree, option=orjson.OPT_INDENT_2))
        path = run.path / "disciplines.txt"
        write_whole(path, write_outline(entries_of(fields)).encode())
        return path


def refuse_another_taxonomy(run: Run, settings: Settings) -> None:
    """Raises UserError where the run holds a taxonomy's replies that were asked for with other settings."""
    if not run.exists or not any(True for _ in run.root_shelf().read("replies")):
        return
    before = run.about()["settings"]
    for name in ("max_number_of_fields", "curriculum_language", "model_name", "model_name_for_curriculum", "seed"):
        if before.get(name) != getattr(settings, name):
            raise UserError(
                f"{run.path} has a taxonomy made with {name} {before.get(name)!r}, not {getattr(settings, name)!r}; "
                "use another --out"
            )


async def _ask_taxonomy(run: Run, settings: Settings, glan: GLAN) -> list[FieldOutline]:
    shelf = run.root_shelf()
    kept: dict[str, Line] = {line["id"]: line for line in shelf.read("replies")}
    batches = ExitStack()
    journal = batches.enter_context(batch_journal(run, settings))
    budget = batches.enter_context(open_budget(run, settings))
    models = connect(settings, forms=forms_of(run), batch_journal=journal, budget=budget)
    glan.connect(models)

    def call(number: int, ask: int) -> Call:
        return Call(
            stage="taxonomy",
            item=str(number),
            ask=ask,
            record=lambda line: shelf.append("calls", line),
            recall=kept.get,
            keep=lambda line: shelf.append("replies", line),
        )

    async def query(number: int) -> list[FieldOutline]:
        try:
            reply, _ = await asked(
                lambda: glan.taxonomy.acall(
                    max_fields=settings.max_number_of_fields, language=settings.curriculum_language
                ),
                settings.max_asks,
                lambda ask: call(number, ask),
            )
        except LMBillingError as error:
            if error.provider_code != REACHED:
                raise
            raise Stopped(f"the budget is reached: {first_line(error)}; the same command goes on with more") from error
        return list(reply.fields)

    try:
        # All are waited for, also when one fails: the others' replies are paid for and kept for the next command.
        queries = (query(number) for number in range(settings.num_taxonomy_queries))
        found = await asyncio.gather(*queries, return_exceptions=True)
    finally:
        shelf.close()
        await models.aclose()
        batches.close()
    return usable_fields(found, settings)


def usable_fields(found: Sequence[list[FieldOutline] | BaseException], settings: Settings) -> list[FieldOutline]:
    """Of all queries, in their order; a query without a usable reply leaves its place empty. Raises where all did."""
    bad: BadReply | None = None
    for outcome in found:
        if isinstance(outcome, BadReply):
            bad = outcome
        elif isinstance(outcome, LMError):
            raise UserError(f"no taxonomy: {first_line(outcome)}; the same command tries again") from outcome
        elif isinstance(outcome, BaseException):
            raise outcome
    fields = [field for outcome in found if isinstance(outcome, list) for field in outcome]
    if not fields:
        raise UserError(
            f"the model {settings.curriculum_model!r} gave no usable taxonomy ({bad}); try another --out with another "
            "--model-name-for-curriculum"
        ) from bad
    return fields


def merge_fields(fields: Iterable[FieldOutline], most: int) -> list[FieldOutline]:
    """The first `most` fields; what several queries or places name stands once, where it came first."""
    merged: dict[str, dict[str, tuple[str, dict[str, str]]]] = {}
    names: dict[str, str] = {}
    seen: set[str] = set()
    for field in fields:
        subs = merged.setdefault(normalise(field.name), {})
        names.setdefault(normalise(field.name), field.name.strip())
        for sub in field.sub_fields:
            _, disciplines = subs.setdefault(normalise(sub.name), (sub.name.strip(), {}))
            for name in sub.disciplines:
                if normalise(name) not in seen:
                    seen.add(normalise(name))
                    disciplines[normalise(name)] = " ".join(name.split())
    return [
        FieldOutline.model_validate(
            {
                "name": names[key],
                "sub_fields": [
                    {"name": name, "disciplines": list(disciplines.values())}
                    for name, disciplines in subs.values()
                    if disciplines
                ],
            }
        )
        for key, subs in list(merged.items())[:most]
        if any(disciplines for _, disciplines in subs.values())
    ]


def entries_of(fields: Iterable[FieldOutline]) -> Iterator[tuple[str, str, str]]:
    return ((field.name, sub.name, name) for field in fields for sub in field.sub_fields for name in sub.disciplines)
