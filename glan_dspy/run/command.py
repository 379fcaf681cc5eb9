"""What every command on a run does around its own work: connect, keep to the budget, log, end well."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import dspy

from glan_dspy.adapters_dspy import adapter_named
from glan_dspy.connect import Models, connect
from glan_dspy.engines.budget import Purse
from glan_dspy.engines.forms import Forms
from glan_dspy.run.batches import batch_journal
from glan_dspy.run.collector import rare_collections
from glan_dspy.run.money import open_budget
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Shown
from glan_dspy.run.walk import Walk
from glan_dspy.settings import Settings

T = TypeVar("T")

Display = Callable[[Shown], AbstractContextManager[Any]]
"""Shows the progress of a command while the context lasts."""


class RunPurse(Purse, Protocol):
    """A run's budget, of this process or of its coordinator: it sends away who waits when the run stops."""

    def stop(self) -> None: ...


class Connected(Protocol):
    """What a command asks its models with: GLAN, or a part of it."""

    def connect(self, models: Models) -> Any: ...


def walked(
    run: Run,
    settings: Settings,
    glan: Connected,
    make: Callable[[], Walk],
    display: Display,
    *,
    answers_only: bool = False,
) -> Outcome:
    """What comes of the walk that `make` gives, with models, budget and log around it. The run's lock is held."""

    async def main() -> Outcome:
        walk = make()
        # Where a record could not be written, or a bug lost it, its batch stays open for the next command.
        with (
            batch_journal(run, settings, walk.crew.sound) as batches,
            open_budget(run, settings, answers_only=answers_only) as budget,
        ):
            walk.crew.synced = budget
            with display(walk):
                outcome = await connected(
                    walk, glan, budget, answers_only=answers_only, forms=forms_of(run), batch_journal=batches
                )
            outcome.needs = budget.needed if budget else 0.0
            return outcome

    with log_to(run.path / settings.logfile_name), bulk(settings):
        return run_to_its_end(main())


async def connected(
    walk: Walk,
    glan: Connected,
    budget: RunPurse | None,
    walking: Callable[[], Awaitable[Outcome]] | None = None,
    **how: Any,
) -> Outcome:
    """What comes of a walk with its models connected, or of `walking` it otherwise; `how` as `connect` takes it."""
    if budget:
        walk.crew.on_stop(budget.stop)
    models = connect(walk.settings, walk.crew.pause, budget=budget, on_stop=walk.crew.on_stop, **how)
    glan.connect(models)
    try:
        return await (walking or walk)()
    finally:
        await models.aclose()


@contextmanager
def bulk(settings: Settings | None = None) -> Iterator[None]:
    """DSPy as a long run wants it: the adapter that the settings name, and nothing piling up in memory."""
    with quiet(settings or Settings()), rare_collections():
        yield


def quiet(settings: Settings) -> AbstractContextManager[Any]:
    """DSPy as it asks in a run, without any books."""
    adapter = adapter_named(settings.adapter)
    context: AbstractContextManager[Any] = dspy.context(
        adapter=adapter, disable_history=True, trace=None, warn_on_type_mismatch=False
    )
    return context


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
