"""A command on a run carried out by several workers: the coordinator around its own work."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from glan_dspy.records import Discipline
from glan_dspy.run.command import Display, log_to, run_to_its_end
from glan_dspy.run.coordinator import Coordinator, Kind
from glan_dspy.run.money import RunBudget, open_budget
from glan_dspy.run.quota import Quota
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Shown
from glan_dspy.run.workers import run_workers
from glan_dspy.settings import Settings


def coordinated(
    run: Run,
    settings: Settings,
    disciplines: Sequence[Discipline],
    quota: Quota,
    display: Display,
    kind: Kind = "generate",
) -> Outcome:
    """What comes of the disciplines, walked by `settings.workers` processes. The run's lock is held."""

    async def main() -> Outcome:
        with open_budget(run, settings, answers_only=kind == "answer") as budget:
            coordinator = Coordinator(run, settings, disciplines, quota, budget, kind)
            syncing = asyncio.create_task(sync_every_second(budget))
            try:
                with stopped_by_signals(coordinator), display(coordinator):
                    await run_workers(coordinator, settings.workers or 1)
            finally:
                syncing.cancel()
            return coordinator.result()

    with log_to(run.path / settings.logfile_name):
        return run_to_its_end(main())


async def sync_every_second(budget: RunBudget | None) -> None:
    while budget:
        await asyncio.sleep(1)
        budget.sync()


@contextmanager
def stopped_by_signals(shown: Shown) -> Iterator[None]:
    loop, handled = asyncio.get_running_loop(), []
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, shown.stop)
            handled.append(number)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows; or not in the main thread (a notebook)
        pass
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
