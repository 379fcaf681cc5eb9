"""A run's coordinator (run/coordinator.py) in a Ray actor of its own, and how workers anywhere talk to it.

    tell       a worker's messages, one bundle after the other: Ray keeps no order among calls under way together
    listen     waits until there is something for the worker, and answers at the latest after POLL seconds
    snapshot   what the command's display shows, asked for by the command's own process

Everything that comes and goes is bytes of JSON: errors too, since several of DSPy's cannot be unpickled. The actor
runs where the command runs, opens the budget's ledger and writes run.json, and is gone as soon as the command is; then
nobody answers the workers, and they end.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import orjson

from glan_dspy.errors import UserError
from glan_dspy.run.collector import rare_collections
from glan_dspy.run.command import log_to
from glan_dspy.run.coordinate import sync_every_second
from glan_dspy.run.coordinator import Coordinator, Kind, Member
from glan_dspy.run.money import open_budget
from glan_dspy.run.quota import Quota, open_quota
from glan_dspy.run.store import Run
from glan_dspy.run.wire import Message
from glan_dspy.settings import Settings

POLL = 10.0
"""Seconds after which a worker that waits is told that there is nothing yet."""

GATHERS, GATHERS_MOST = 2e-5, 0.05
"""Seconds from one message through Ray to the next one, for each byte of it, and at most: a call of an actor costs a
millisecond on both sides, however much it carries, so a busy worker sends more at a time, and an idle one at once."""

GONE = b""
"""What a worker hears that is not known, or not any more: it ends."""


def pause(size: int) -> float:
    """Seconds from a message of so many bytes to the next one."""
    return min(GATHERS_MOST, GATHERS * size)


class Mailbox:
    """What the coordinator has said to one worker and the worker has not fetched."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.something = asyncio.Event()
        self.leased = False
        """Whether there ever was a discipline among it."""
        self._again_at = 0.0

    def put(self, message: Message) -> None:
        self.leased = self.leased or "lease" in message
        self.messages.append(message)
        self.something.set()

    async def fetch(self) -> bytes:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._again_at - clock())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.something.wait(), POLL)
        messages, self.messages = self.messages, []
        self.something.clear()
        data = orjson.dumps(messages)
        self._again_at = clock() + pause(len(data))
        return data


class Office:
    """The actor. Workers are known by their numbers, which the command gives them."""

    def __init__(self, run: str, kind: Kind, settings: bytes) -> None:
        self.run, self.kind, self.settings = Run(Path(run)), kind, Settings.model_validate_json(settings)
        self._at_end = ExitStack()
        self._mail: dict[int, Mailbox] = {}
        self._members: dict[int, Member] = {}
        self._joined: set[int] = set()
        self._left: set[int] = set()

    async def open(self) -> bytes:
        """Begins; gives back why it cannot, empty where it can."""
        try:
            self._at_end.enter_context(log_to(self.run.path / self.settings.logfile_name))
            budget = self._at_end.enter_context(
                open_budget(self.run, self.settings, answers_only=self.kind == "answer")
            )
        except UserError as error:
            return str(error).encode()
        disciplines = self.run.disciplines()
        quota = Quota(self.settings) if self.kind == "answer" else open_quota(self.run, self.settings, disciplines)
        self.coordinator = Coordinator(self.run, self.settings, disciplines, quota, budget, self.kind)
        self._at_end.enter_context(rare_collections())
        syncing = asyncio.create_task(sync_every_second(budget))
        self._at_end.callback(syncing.cancel)
        return b""

    # --- the workers ----------------------------------------------------------------------------------

    async def join(self, number: int, where: str) -> None:
        if number in self._left:
            return  # it is dead: its last word came after the news of that
        mail = self._mail[number] = Mailbox()
        self._joined.add(number)
        self._members[number] = self.coordinator.join(f"{number} ({where})", mail.put)

    async def tell(self, number: int, bundles: bytes) -> None:
        """Hears what a worker says, a JSON list a line. Of one that was given up nothing is heard."""
        if member := self._members.get(number):
            for bundle in bundles.split(b"\n"):
                self._soundly(lambda messages: self.coordinator.hear(member, messages), orjson.loads(bundle))

    async def listen(self, number: int) -> bytes:
        mail = self._mail.get(number)
        return await mail.fetch() if mail else GONE

    def _soundly(self, do: Callable[..., None], *given: Any) -> None:
        """Does it; a bug in it ends the run, and is shown at its end."""
        try:
            do(*given)
        except Exception:
            self.coordinator.struck(traceback.format_exc())

    # --- the command ----------------------------------------------------------------------------------

    async def leave(self, number: int, why: str, blame: bool) -> bytes:
        """A worker has ended: whether it ever had a discipline, and whether there is work for another one."""
        self._left.add(number)
        mail, member = self._mail.pop(number, None), self._members.pop(number, None)
        if member:
            self._soundly(lambda: self.coordinator.leave(member, why, blame=blame))
        return orjson.dumps({"leased": bool(mail and mail.leased), "more": self.coordinator.has_work})

    async def cannot_go_on(self, why: str) -> None:
        """There is no place left for a worker, for this reason."""
        if not self.coordinator.is_ending:
            self.coordinator.cannot_start(why)

    async def struck(self, bug: str) -> None:
        """A worker met a bug before it could say so."""
        self.coordinator.struck(bug)

    async def stop(self) -> None:
        self.coordinator.stop()

    async def snapshot(self) -> bytes:
        coordinator = self.coordinator
        return orjson.dumps(
            {
                "tally": coordinator.tally.plain(),
                "in_flight": coordinator.in_flight,
                "planned": coordinator.planned_questions(),
                "told": coordinator.all_told.is_set(),
                "joined": sorted(self._joined),
            }
        )

    async def close(self) -> bytes:
        """What came of it all, once the last worker has left."""
        outcome = self.coordinator.result()
        self._at_end.close()
        return orjson.dumps(outcome.plain())
