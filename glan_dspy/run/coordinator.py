"""Several workers on one run: who has which discipline, one budget, one pace, one outcome.

    free       disciplines that nobody has; those of a worker that died come first
    leases     which worker has which
    through    what came of those that are done is in the quota, which may give some of them more to ask

The coordinator asks no model and writes no discipline's file. It holds the run's lock, writes run.json, and hears from
its workers over a wire (run/wire.py) that is a pipe on this machine, or Ray's in a cluster.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from glan_dspy.engines.budget import Budget
from glan_dspy.engines.pace import Hard
from glan_dspy.hiding import hidden, secrets
from glan_dspy.records import Discipline
from glan_dspy.run.order import soonest_first
from glan_dspy.run.quota import Quota, Reached
from glan_dspy.run.serving import Endpoint, Paces, Purse
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Tally, planned_questions, tally_of
from glan_dspy.run.wire import Message
from glan_dspy.settings import Settings

log = logging.getLogger("glan")

Kind = Literal["generate", "answer"]

MOST_DEATHS = 3
"""Workers that may die over one discipline, until it is left to a rerun: it may be what kills them."""


@dataclass(eq=False)
class Member:
    """One worker, as the coordinator knows it."""

    name: str
    send: Callable[[Message], None]
    paces: Paces
    purse: Purse | None
    leases: dict[str, Discipline] = field(default_factory=dict)
    waits: bool = False
    """Whether it wants one more discipline."""
    share: tuple[int, int] = (0, 0)
    """Its place among those that have work, and how many those are: it gets that part of the calls in flight."""


class Coordinator:
    """All methods are called on one event loop, and none waits."""

    def __init__(
        self,
        run: Run,
        settings: Settings,
        disciplines: Sequence[Discipline],
        quota: Quota,
        budget: Budget | None,
        kind: Kind = "generate",
    ) -> None:
        self.run, self.settings, self.disciplines, self.quota, self.kind = run, settings, disciplines, quota, kind
        self.budget = budget
        self.members: dict[str, Member] = {}
        self.outcome = Outcome(Tally())
        self.all_told = asyncio.Event()
        """Whether all were told to end, and nothing is in flight that anybody wants: who goes on then may be killed."""
        self._stops = 0
        self._asked_to_stop = 0
        self._free = deque(soonest_first(run, filter(quota.wants, disciplines)))
        self._tallies: dict[str, Tally] = {}
        """Of each discipline's newest lease."""
        self._earlier = Tally()
        """What was done in leases before those."""
        self._found: dict[str, int] = {}
        """Pairs of each discipline from before this command."""
        self._finished: set[str] = set()
        self._deaths: Counter[str] = Counter()
        self._endpoints: dict[str, Endpoint] = {}
        self._hard = Hard(settings.concurrency, settings.rpm, settings.tpm)
        self._forms: dict[str, Any] = dict(run.about().get("forms") or {})

    # --- what a display reads ------------------------------------------------------------------------

    @property
    def tally(self) -> Tally:
        total = Tally(disciplines=len(self.disciplines), disciplines_done=len(self._finished))
        total.add(self._earlier)
        for id, tally in self._tallies.items():
            total.add(tally)
            total.found += self._found[id] - tally.found
        return total

    @property
    def in_flight(self) -> int:
        return sum(member.paces.in_flight for member in self.members.values())

    def planned_questions(self) -> int:
        return planned_questions(self.settings, self.tally, len(self._tallies))

    # --- workers come and go --------------------------------------------------------------------------

    def join(self, name: str, send: Callable[[Message], None]) -> Member:
        """Welcomes a worker: it gets the settings, and asks for disciplines from then on."""
        purse = Purse(self.budget, send, self._cannot_write) if self.budget else None
        member = self.members[name] = Member(name, send, Paces(self._hard, self._endpoints, send), purse)
        send(
            {
                "welcome": {
                    "run": str(self.run.path),
                    "kind": self.kind,
                    "settings": self.settings.model_dump(mode="json"),
                    "forms": self._forms,
                    "capped": self.budget is not None,
                }
            }
        )
        if self._stops:
            send({"stop": max(1, self._asked_to_stop)})
        return member

    def leave(self, member: Member, why: str, *, blame: bool = True) -> None:
        """A worker has ended, of itself or not, without `blame` by its machine's end. What it still had goes back."""
        if self.members.pop(member.name, None) is None:
            return
        member.paces.lose()
        if member.purse:
            member.purse.lose()
        leases, member.leases = list(member.leases.values()), {}
        for discipline in reversed(leases):
            if not self._stops:
                self._give_back(discipline, f"worker {member.name} {why}", blame)
        self._deal()

    def _give_back(self, discipline: Discipline, why: str, blame: bool) -> None:
        log.warning("%s: %s; its files are whole up to there", discipline.name, why)
        self._deaths[discipline.id] += blame
        self._put_away(discipline.id)
        if self._deaths[discipline.id] < MOST_DEATHS:
            self._free.appendleft(discipline)
        else:
            self._fail(discipline, f"{why}, the last of {MOST_DEATHS} workers that ended over it")

    def _put_away(self, id: str) -> None:
        """Keeps of a lease's numbers what the next one does not find in the files."""
        if tally := self._tallies.get(id):
            self._earlier.add(tally, on_file=False)
            self._tallies[id] = tally.on_file()

    def _fail(self, discipline: Discipline, why: str) -> None:
        self.outcome.why = why
        self.outcome.fails(discipline.name)

    @property
    def is_ending(self) -> bool:
        """Whether no discipline is begun any more."""
        return bool(self._stops) or self.all_told.is_set()

    @property
    def has_work(self) -> bool:
        """Whether a new worker would have something to do."""
        return bool(self._free) and not self._stops

    def result(self) -> Outcome:
        """What came of it all, when the last worker has left."""
        self.outcome.tally = self.tally
        self.outcome.short = self.quota.shortfall(self.disciplines)
        self.outcome.needs = self.budget.needed if self.budget else 0.0
        return self.outcome

    def cannot_start(self, why: str) -> None:
        """A worker ended before it had anything to do: so would the next one."""
        self.outcome.reason = self.outcome.reason or hidden(why, secrets(self.settings.extra_header))
        if not self._stops:
            self._stop_all()

    def struck(self, bug: str, *, ends: bool = True) -> None:
        """A bug of ours was met; it `ends` the run where it is no discipline's: the next worker would meet it too."""
        self.outcome.bugs.append(hidden(bug, secrets(self.settings.extra_header)))
        if ends and not self._stops:
            self._stop_all()

    # --- stopping -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Finishes what is in flight and starts nothing more; said twice, ends at once."""
        self.outcome.interrupted = True
        self._asked_to_stop += 1
        self._stop_all()

    def _cannot_write(self, error: OSError) -> None:
        self.outcome.reason = self.outcome.reason or f"cannot write to {self.run.path}: {error.strerror or error}"
        self._stop_all()

    def _stop_all(self) -> None:
        self._stops += 1
        for endpoint in self._endpoints.values():
            endpoint.pace.stop()
        if self.budget:
            self.budget.stop()
        for member in self.members.values():
            member.send({"stop": max(1, self._asked_to_stop)})  # that it ends by itself asks nobody to hurry
        if self._stops == 1:  # by then each call in flight has ended, and who does not is stuck
            asyncio.get_running_loop().call_later(self.settings.timeout, self.all_told.set)
        self._deal()

    # --- what workers say -------------------------------------------------------------------------------

    def hear(self, member: Member, messages: Sequence[Message]) -> None:
        if self.members.get(member.name) is not member:
            return  # it was taken for dead
        for message in messages:
            for word, what in message.items():
                getattr(self, f"_hear_{word}")(member, what)

    def _hear_lease(self, member: Member, _: Any) -> None:
        member.waits = True
        self._deal()

    def _hear_tally(self, member: Member, tallies: dict[str, dict[str, Any]]) -> None:
        for id, plain in tallies.items():
            if id in member.leases:
                self._tallies[id] = tally = tally_of(plain)
                self._found.setdefault(id, tally.found)

    def _hear_reached(self, member: Member, what: list[Any]) -> None:
        id, reached = what
        if id in member.leases:
            self.quota.done(member.leases[id], Reached(**reached))

    def _hear_closed(self, member: Member, what: dict[str, Any]) -> None:
        discipline = member.leases.pop(what["id"], None)
        if discipline is not None:
            if what["failed"]:
                self._fail(discipline, what["why"])
            elif not what["open"]:
                self._finished.add(discipline.id)
                self.outcome.comes_through(discipline.name)
            elif not self._stops:  # its worker alone was told to end
                self._put_away(discipline.id)
                self._free.appendleft(discipline)
            self._deal()

    def _hear_pace(self, member: Member, news: dict[str, Any]) -> None:
        member.paces.hear(news)

    def _hear_reserve(self, member: Member, what: list[Any]) -> None:
        if member.purse:
            member.purse.reserve(*what)

    def _hear_settle(self, member: Member, what: list[Any]) -> None:
        if member.purse:
            member.purse.settle(*what)

    def _hear_release(self, member: Member, id: str) -> None:
        if member.purse:
            member.purse.release(id)

    def _hear_forms(self, member: Member, forms: dict[str, Any]) -> None:
        self._forms = {**self._forms, **forms}
        try:
            self.run.write_about({**self.run.about(), "forms": self._forms})
        except OSError as error:
            self._cannot_write(error)

    def _hear_stopping(self, member: Member, what: dict[str, Any]) -> None:
        if what["unheard"] and self.tally.calls:
            # It had no reply of its own yet, but others had: the endpoint is gone, and nothing is to be mended here.
            for discipline in member.leases.values():
                self._fail(discipline, what["reason"])
        else:
            self.outcome.reason = self.outcome.reason or what["reason"]
        self.outcome.budget = self.outcome.budget or what["budget"]
        if not self._stops:
            self._stop_all()

    def _hear_bug(self, member: Member, what: dict[str, Any]) -> None:
        self.struck(what["text"], ends=what["ends"])

    # --- leases -----------------------------------------------------------------------------------------

    def _deal(self) -> None:
        """Gives disciplines to whoever waits for one, fewest first; ends when there are none, nor will be."""
        self._deal_out()
        self._share_out()

    def _share_out(self) -> None:
        """Tells each worker its part of the calls that may be in flight: who has no discipline needs none."""
        busy = [member for member in self.members.values() if member.leases] or list(self.members.values())
        for place, member in enumerate(busy):
            if member.share != (share := (place, len(busy))):
                member.share = share
                member.send({"share": share})

    def _deal_out(self) -> None:
        while self._free and not self._stops:
            able = [m for m in self.members.values() if m.waits and len(m.leases) < self._most_leases()]
            if not able:
                return
            self._lease(min(able, key=lambda member: len(member.leases)), self._free.popleft())
        busy = any(member.leases for member in self.members.values())
        if busy and not self._stops:
            return
        if not self._stops and (granted := self.quota.grant(self.disciplines)):
            self._free.extend(granted)
            self._deal_out()
            return
        if not busy or self._asked_to_stop > 1:
            self.all_told.set()
        for member in self.members.values():
            if member.waits:
                member.waits = False
                member.send({"end": True})

    def _most_leases(self) -> int:
        """Of one worker: fewer towards the end, so that all come to theirs at about the same time."""
        unfinished = len(self._free) + sum(len(member.leases) for member in self.members.values())
        return max(1, math.ceil(unfinished / (2 * max(1, len(self.members)))))

    def _lease(self, member: Member, discipline: Discipline) -> None:
        member.waits = False
        member.leases[discipline.id] = discipline
        self._put_away(discipline.id)
        self._finished.discard(discipline.id)
        goal = self.quota.goal(discipline)._asdict()
        member.send({"lease": {"discipline": discipline.model_dump(), "goal": goal}})
