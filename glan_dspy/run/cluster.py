"""A command on a run carried out in a Ray cluster: where its workers are begun, replaced and let go of.

    the command's process   holds the run's lock, shows the progress, passes Ctrl-C on, begins workers and sees them end
    the office              an actor beside it: the coordinator, with leases, pace, budget (run/cluster_office.py)
    workers                 tasks wherever there is a CPU (run/cluster_worker.py)

A worker that is lost, by itself or with its node, is replaced where there is room, and what it had goes on from its
files. Ray itself begins no task of ours a second time: that is done here, when the coordinator knows that one is lost.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from glan_dspy.run.cluster_office import Office
from glan_dspy.run.cluster_session import NAMESPACE
from glan_dspy.run.cluster_worker import TOKEN, assignment, plain, worker_task
from glan_dspy.run.command import Display, run_to_its_end
from glan_dspy.run.coordinate import stopped_by_signals
from glan_dspy.run.coordinator import Kind
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Tally, outcome_of, tally_of
from glan_dspy.run.workers import GRACE
from glan_dspy.settings import Settings

EVERY, SELDOM = 0.25, 5.0
"""Seconds between two looks at the office, which may take a twentieth of its time: at least, and at most."""

MOST_LOSSES = 3
"""Workers that may be lost one after the other before they had anything to do, until their place is given up."""

ROOM = 30.0
"""Seconds without any worker until it is said that they may be waiting for room."""


def in_cluster(
    run: Run, settings: Settings, workers: int, digest: str, display: Display, kind: Kind = "generate"
) -> Outcome:
    """What comes of the run's disciplines, walked by so many workers. The run's lock is held, Ray is there."""
    path = run.path.absolute()
    with this_command(path) as token:
        given = assignment(f"coordinator {token}", path, token, kind, digest, settings)
        return run_to_its_end(Cluster(settings, given.office, given.dump(), workers).work(path, kind, display))


@contextmanager
def this_command(run: Path) -> Iterator[str]:
    """A token in the run's folder while the context lasts: a worker that finds it there sees the same folder."""
    token = secrets.token_hex(8)
    (run / TOKEN).write_text(token, encoding="utf-8")
    try:
        yield token
    finally:
        (run / TOKEN).unlink(missing_ok=True)


class Ended(NamedTuple):
    """How a worker ended."""

    lost: str = ""
    """How, where it was not by itself."""
    blame: bool = True
    """Whether what it had in hand may be why; a lost node says nothing about a discipline."""
    unfit: str = ""
    bug: str = ""


class Remote:
    """What a display reads, as the office last told it."""

    def __init__(self, settings: Settings, office: Any) -> None:
        self.settings, self.office = settings, office
        self.tally, self.in_flight, self.planned = Tally(), 0, 0

    def planned_questions(self) -> int:
        return self.planned

    def stop(self) -> None:
        """Finishes what is in flight and starts nothing more; said twice, ends at once."""
        self.office.stop.remote()

    def take(self, snapshot: dict[str, Any]) -> None:
        self.tally, self.in_flight = tally_of(snapshot["tally"]), snapshot["in_flight"]
        self.planned = snapshot["planned"]


class Cluster:
    """The command's side: so many places for workers, and one office."""

    def __init__(self, settings: Settings, name: str, given: bytes, places: int) -> None:
        import ray

        self.settings, self.name, self.given, self.places = settings, name, given, places
        self._task: Any = ray.remote(worker_task).options(
            num_cpus=1, max_retries=0, scheduling_strategy="SPREAD", name="glan worker"
        )
        self._numbers = count(1)
        self._tasks: dict[int, Any] = {}
        self._let_go: set[int] = set()
        self._unfit = ""
        """Why the last place was given up."""

    async def work(self, run: Path, kind: Kind, display: Display) -> Outcome:
        from ray.exceptions import RayActorError

        self.office = self._office(run, kind)
        if why := await self.office.open.remote():
            return Outcome(Tally(), reason=why.decode())
        shown = Remote(self.settings, self.office)
        try:
            shown.take(orjson.loads(await self.office.snapshot.remote()))
            with stopped_by_signals(shown), display(shown):
                await self._until_all_is_done(shown)
            return outcome_of(orjson.loads(await self.office.close.remote()))
        except RayActorError as error:
            why = f"the run's coordinator was lost ({type(error).__name__})"
            return Outcome(shown.tally, failed=["what was in hand"], why=why)

    def _office(self, run: Path, kind: Kind) -> Any:
        """The actor, on this machine: it holds files of the run open beside the lock that this process holds."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(Office).options(
            name=self.name,
            namespace=NAMESPACE,
            num_cpus=0,
            max_restarts=0,
            max_concurrency=1000 + 3 * self.places,
            scheduling_strategy=here,
        )
        settings = orjson.dumps({**plain(self.settings), "logfile_name": self.settings.logfile_name})
        return actor.remote(str(run), kind, settings)

    async def _until_all_is_done(self, shown: Remote) -> None:
        watching: asyncio.Future[None] = asyncio.ensure_future(self._watch(shown))
        working: asyncio.Future[list[None]] = asyncio.gather(*(self._place() for _ in range(self.places)))
        try:
            both: list[asyncio.Future[Any]] = [watching, working]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()  # which raises: it does not end by itself
            await working
            if self._unfit:  # which ends the run where it was so in all places
                await self.office.cannot_go_on.remote(self._unfit)
        finally:
            self._end(list(self._tasks))  # before those that wait for them, and then know of none, are cancelled
            watching.cancel()
            working.cancel()
            await asyncio.gather(watching, working, return_exceptions=True)

    # --- workers --------------------------------------------------------------------------------------

    async def _place(self) -> None:
        """One worker after the other, until there is nothing left to do, or none can be in this place."""
        lost = 0
        while True:
            number = next(self._numbers)
            ended = await self._worker(number)
            left = orjson.loads(await self.office.leave.remote(number, ended.lost or "ended", ended.blame))
            lost = 0 if left["leased"] else lost + 1
            if ended.bug:
                await self.office.struck.remote(ended.bug)
            if not left["more"]:
                return
            if ended.unfit or lost == MOST_LOSSES:
                self._unfit = ended.unfit or f"{lost} workers, one after the other, ended before they had begun"
                warnings.warn(f"one worker less: {self._unfit}", UserWarning, stacklevel=2)
                return

    async def _worker(self, number: int) -> Ended:
        from ray import exceptions

        self._tasks[number] = task = self._task.remote(number, self.given)
        try:
            return Ended(**orjson.loads(await task))
        except exceptions.RayError as error:
            return Ended() if number in self._let_go else how(error)
        finally:
            del self._tasks[number]

    async def _watch(self, shown: Remote) -> None:
        """Keeps what is shown up to date, and lets go of workers that are not needed or do not end."""
        began, told_at, asked_for_room = time.monotonic(), None, False
        while True:
            asked = time.monotonic()
            snapshot = orjson.loads(await self.office.snapshot.remote())
            shown.take(snapshot)
            now = time.monotonic()
            if snapshot["told"]:
                told_at = told_at or now
                late = now > told_at + GRACE
                self._end([n for n in self._tasks if late or n not in snapshot["joined"]])
            elif now > began + ROOM and not (snapshot["joined"] or asked_for_room):
                asked_for_room = True
                text = f"no worker has begun within {ROOM:.0f} s; is a CPU of the cluster free?"
                warnings.warn(text, UserWarning, stacklevel=2)
            await asyncio.sleep(min(SELDOM, max(EVERY, 20 * (now - asked))))

    def _end(self, numbers: list[int]) -> None:
        import ray

        for number in numbers:
            if number not in self._let_go:
                self._let_go.add(number)
                ray.cancel(self._tasks[number], force=True)


def how(error: Exception) -> Ended:
    """How a worker ended whose task did not come back."""
    from ray import exceptions

    if isinstance(error, exceptions.RayTaskError):
        why = _first_line(error.cause or error)
        return Ended(unfit=f"no worker begins there ({why}): is glan-dspy on all nodes?")
    if isinstance(error, (exceptions.NodeDiedError, exceptions.LocalRayletDiedError)):
        return Ended("was lost with its machine", blame=False)
    if isinstance(error, exceptions.OutOfMemoryError):
        return Ended("was ended by Ray, because its machine ran out of memory")
    return Ended(f"was lost ({type(error).__name__})")


def _first_line(error: object) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
