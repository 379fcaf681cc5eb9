"""One worker: leases disciplines from its run's coordinator and walks them, as the one process of a small run does.

The same walk, the same files; only who opens a discipline, who gives leave to send a call, and who keeps the budget is
the coordinator. When the coordinator is gone, so is the worker, at once: what it had in flight is lost as by a kill,
and whoever comes next finds the rest in the files.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from glan_dspy.engines.forms import Forms
from glan_dspy.engines.pace import Hard, Pacer
from glan_dspy.gates.contamination import Overlap
from glan_dspy.program import GLAN, open_program
from glan_dspy.records import Discipline
from glan_dspy.run.benchmarks import benchmarks_of
from glan_dspy.run.branch import Branch
from glan_dspy.run.command import bulk, connected, log_to
from glan_dspy.run.course import Goal
from glan_dspy.run.quota import Quota, Reached
from glan_dspy.run.shared import SharedPace, SharedPurse
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Tally
from glan_dspy.run.walk import Answering, Walk
from glan_dspy.run.wire import Message, Outbox
from glan_dspy.settings import Settings

REPORTS = 0.25
"""Seconds between two reports of the numbers."""

Lease = tuple[Discipline, Goal]


class Desk:
    """The worker's end of the wire: what it says, and what it waits to hear."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self.outbox = Outbox(deliver)
        self.send = self.outbox.send
        self.purse = SharedPurse(self.send)
        self.paces: dict[str, SharedPace] = {}
        self.welcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.on_stop: Callable[[], None] = lambda: None
        self._stops = 0
        self.on_share: Callable[[int, int], None] = lambda place, count: None
        self.share = (0, 1)
        self._lease: asyncio.Future[Lease | None] | None = None
        self._ended = False

    def hear(self, messages: list[Message]) -> None:
        for message in messages:
            for word, what in message.items():
                getattr(self, f"_hear_{word}")(what)

    def pacer(self, name: str) -> Callable[[Hard], Pacer]:
        """What makes the pace of an endpoint: the coordinator's, whatever limits it is shown here."""

        def make(_: Hard) -> Pacer:
            return self.paces.setdefault(name, SharedPace(name, self.send))

        return make

    async def lease(self) -> Lease | None:
        """The next discipline; None where there is none, nor will be."""
        if self._ended:
            return None
        self._lease = asyncio.get_running_loop().create_future()
        self.send({"lease": True})
        return await self._lease

    def no_more_leases(self) -> None:
        self._ended = True
        self._answer(None)

    def _answer(self, lease: Lease | None) -> None:
        if self._lease is not None and not self._lease.done():
            self._lease.set_result(lease)

    def _hear_welcome(self, what: dict[str, Any]) -> None:
        self.welcome.set_result(what)

    def _hear_lease(self, what: dict[str, Any]) -> None:
        self._answer((Discipline(**what["discipline"]), Goal(**what["goal"])))

    def _hear_end(self, _: Any) -> None:
        self.no_more_leases()

    def _hear_stop(self, times: int) -> None:
        self.no_more_leases()
        for _ in range(times - self._stops):
            self.on_stop()
        self._stops = max(times, self._stops)

    def _hear_share(self, share: list[int]) -> None:
        self.share = share[0], share[1]
        self.on_share(*self.share)

    def _hear_pace(self, what: dict[str, Any]) -> None:
        self.paces[what["name"]].go(what["go"], what["easy"])

    def _hear_room(self, what: list[str]) -> None:
        self.purse.room(*what)


class Goals(Quota):
    """The goals that came with the leases; what is reached is the coordinator's to judge."""

    def __init__(self, settings: Settings, send: Callable[[Message], None]) -> None:
        super().__init__(settings)
        self.send = send
        self.goals: dict[str, Goal] = {}

    def goal(self, discipline: Discipline) -> Goal:
        return self.goals[discipline.id]

    def done(self, discipline: Discipline, reached: Reached) -> None:
        self.send({"reached": [discipline.id, asdict(reached)]})


class Leasing:
    """Makes a walk take its disciplines from the desk, one lease after the other, and tell of them."""

    def __init__(self, walk: Walk, desk: Desk) -> None:
        self.walk, self.desk = walk, desk
        self.tallies: dict[str, Tally] = {}
        self._told: dict[str, dict[str, Any]] = {}
        walk.quota = self.goals = Goals(walk.settings, desk.send)
        walk.crew.tally_of = self._tally_of
        walk.crew.on_closed = self._closed
        walk.crew.on_stop(self._stopping)
        desk.on_stop = walk.crew.stop
        self._limits = {lane.name: lane.limit for lane in walk.pool.lanes}
        desk.on_share = self._take_share
        self._take_share(*desk.share)

    async def __call__(self) -> Outcome:
        self.walk.pool.add("discipline", self._lease)
        reporting = asyncio.create_task(self._report_now_and_then())
        try:
            return await self.walk.crew.work()
        finally:
            reporting.cancel()
            self.report()  # of what a stop leaves unfinished too

    def _take_share(self, place: int, count: int) -> None:
        """Runs its part of the jobs that may run at once in all; at least one of each kind."""
        for lane in self.walk.pool.lanes:
            whole = self._limits[lane.name]
            lane.limit = max(1, whole // count + (place < whole % count))

    async def _lease(self) -> None:
        """Opens the next discipline, and asks for one more when the walk has room for it."""
        lease = await self.desk.lease()
        if lease is not None:
            discipline, self.goals.goals[lease[0].id] = lease
            self.walk.pool.add("discipline", self.walk.opening(discipline), self._lease)

    def _tally_of(self, discipline: Discipline) -> Tally:
        tally = self.tallies[discipline.id] = Tally()
        return tally

    def _closed(self, branch: Branch) -> None:
        self.report()
        id, crew = branch.discipline.id, self.walk.crew
        del self.tallies[id], self._told[id]
        crew.forget(branch.discipline)
        unfinished = branch.failed or self.walk.pool.stopping
        self.desk.send({"closed": {"id": id, "failed": branch.failed, "open": unfinished, "why": crew.outcome.why}})

    def _stopping(self) -> None:
        self.desk.no_more_leases()
        outcome = self.walk.crew.outcome
        # It was not told to: or it was, and what was still in flight met something that must be mended.
        if not outcome.interrupted or outcome.reason or outcome.budget:
            unheard = self.walk.crew.unheard
            self.desk.send({"stopping": {"reason": outcome.reason, "budget": outcome.budget, "unheard": unheard}})

    def report(self) -> None:
        """Tells the numbers that have changed."""
        now = {id: tally.plain() for id, tally in self.tallies.items()}
        if changed := {id: plain for id, plain in now.items() if self._told.get(id) != plain}:
            self._told |= changed
            self.desk.send({"tally": changed})

    async def _report_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(REPORTS)
            self.report()


async def work(desk: Desk, hearing: Awaitable[None]) -> None:
    """Walks what the coordinator leases, from its welcome to its end. `hearing` ends where the coordinator is gone."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: _bug_in_a_callback(desk, context))
    listening = asyncio.ensure_future(hearing)
    welcome = await desk.welcome
    settings = Settings.model_validate(welcome["settings"])
    run = Run(Path(welcome["run"]))
    with log_to(run.path / settings.logfile_name), bulk(settings):
        try:
            glan = open_program(settings)
            walk = walk_of(welcome["kind"], run, glan, benchmarks_of(settings))
            outcome = await connected(
                walk,
                glan,
                desk.purse if welcome["capped"] else None,
                walking=Leasing(walk, desk),
                answers_only=welcome["kind"] == "answer",
                forms=Forms(welcome["forms"], lambda forms: desk.send({"forms": forms})),
                pacer=desk.pacer,
            )
            for text in outcome.bugs:
                desk.send({"bug": {"text": text, "ends": False}})
        except Exception:
            desk.send({"bug": {"text": traceback.format_exc(), "ends": True}})
            raise
        finally:
            desk.outbox.flush()
            listening.cancel()


def _bug_in_a_callback(desk: Desk, context: dict[str, Any]) -> None:
    """Says so at once, and ends the work: a message may have been lost, and somebody would wait for it for ever."""
    error = context.get("exception")
    text = "".join(traceback.format_exception(error)) if error else str(context.get("message"))
    desk.send({"bug": {"text": text, "ends": True}})
    desk.on_stop()


def walk_of(kind: str, run: Run, glan: GLAN, benchmarks: Overlap | None) -> Walk:
    return Answering(run, glan, ()) if kind == "answer" else Walk(run, glan, (), benchmarks=benchmarks)


def end_at_once() -> NoReturn:
    """As by a kill: the coordinator is gone, and whoever comes next takes over."""
    os._exit(1)
