"""The batches of one model: gathers questions, sends them, follows each batch to its end, gives out the replies.

How a batch may end, and what follows:

    completed          each reply to its call; a line that failed is its call's typed error, a missing one a ServerError
    expired            what is finished counts, the rest goes again as two batches, which end sooner
    cancelled          what is finished counts, the rest is an InvalidRequestError: somebody wanted it so
    failed             the endpoint took none of it: smaller batches, one after the other, where its queue is
                       full; else an InvalidRequestError with what it said
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from dspy import lm15
from openai.types import Batch

from glan_dspy.engines.base import CALL
from glan_dspy.engines.batch_counter import Ask, Counter
from glan_dspy.engines.batch_endpoint import BatchEndpoint, messages
from glan_dspy.engines.batch_files import Json, input_line, question_id
from glan_dspy.engines.batch_journal import BatchJournal, Intent, new_token
from glan_dspy.engines.batch_room import Room, queue_is_full
from glan_dspy.hiding import hidden

log = logging.getLogger("glan")

ENDED = ("completed", "expired", "cancelled", "failed")
FORGOTTEN_AFTER = 30 * 86400.0
"""Seconds after which an endpoint has deleted a batch's files."""


@dataclass(frozen=True)
class Pace:
    """Seconds and sizes."""

    settle: float = 2.0
    """Quiet after the last new question, before what is gathered is sent."""
    first_look: float = 5.0
    longest_look: float = 60.0
    """Between two looks at a batch; the pause grows from the first to the last."""
    doubt: float = 5.0
    """How long a creation whose answer was lost may take to appear in the endpoint's list."""
    room: float = 60.0
    longest_room: float = 900.0
    """Between two tries while the endpoint's queue is full."""
    most_requests: int = 50_000
    most_bytes: int = 200_000_000


PACE = Pace()


class Desk:
    """`await ask(make)`: the output line that answers the request body which `make` gives."""

    def __init__(self, model: str, remote: BatchEndpoint, journal: BatchJournal, pace: Pace) -> None:
        self.model, self.remote, self.journal, self.pace = model, remote, journal, pace
        self.address = str(remote.client.base_url)
        self.counter = Counter(journal)
        self.room = Room(pace.most_requests, pace.room, pace.longest_room)
        self._gathered: dict[str, Ask] = {}
        """Those of the waiting that are in no batch yet."""
        self._bytes, self._newest = 0, 0.0
        self._door = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._restoring: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None

    async def ask(self, make: Callable[[], Json]) -> Json:
        """A line that may say that the request failed. Raises lm15 errors of a batch as a whole.

        The body is made twice, when it is asked and when its file is written: 50,000 are not kept meanwhile.
        """
        self._restoring = self._restoring or asyncio.create_task(self._restore())
        await asyncio.shield(self._restoring)
        counter, task, body = self.counter, asyncio.current_task(), make()
        counter.receipts.asks_again(task)
        id = question_id(CALL.get(), body)
        if id in counter.waiting:
            id = question_id(None, body)  # the same question twice at once is two questions
        if line := counter.kept(id, task):
            return line
        if lost := counter.lost(id):
            raise lost
        size = len(input_line(id, body, self.remote.url))
        ask = counter.waiting[id] = Ask(id, make, size, task, asyncio.get_running_loop().create_future())
        if not counter.in_a_batch(id):
            self._gather(ask)
        try:
            return await ask.answer
        finally:
            counter.waiting.pop(id, None)
            self._gathered.pop(id, None)

    async def aclose(self) -> None:
        tasks = [task for task in (*self._tasks, self._restoring, self._settling) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            if isinstance(error, OSError):
                error = lm15.ConfigurationError(f"cannot keep the batches of the run: {error}")
            self.counter.fail(self.counter.waiting.values(), error)

    # --- gathering ----------------------------------------------------------------------------------

    def _gather(self, ask: Ask) -> None:
        """Puts the question to the others; they are sent when no more come for a while, or the file is full."""
        if self._bytes + ask.size > self.pace.most_bytes:
            self._send_gathered()
        self._gathered[ask.id] = ask
        self._bytes += ask.size
        self._newest = time.monotonic()
        if len(self._gathered) >= self.room.most:
            self._send_gathered()
        elif self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        while (rest := self._newest + self.pace.settle - time.monotonic()) > 0:
            await asyncio.sleep(rest)
        self._send_gathered()

    def _send_gathered(self) -> None:
        asks = list(self._gathered.values())
        self._gathered.clear()
        self._bytes = 0
        if asks:
            self._spawn(self._carry(asks))

    # --- sending ------------------------------------------------------------------------------------

    async def _carry(self, asks: list[Ask]) -> None:
        """Takes questions through a batch, from its file to the last reply."""
        async with self._door:
            intent = await self._sent(asks)
        if intent:
            await self._follow(intent)

    async def _sent(self, asks: list[Ask]) -> Intent | None:
        """The batch that was made of the questions, accepted where that was in doubt; None if nobody waits for it."""
        while asks := [ask for ask in asks if ask.open]:
            asks, rest = asks[: self.room.most], asks[self.room.most :]
            if rest:
                self._spawn(self._carry(rest))
            ends = self.room.ends
            intent = await self._submit(asks)
            if intent is None or not (self.room.crowded and await self._finds_no_room(intent)):
                return intent
            self._refused_for_room(intent, self.counter.release(intent))
            await self.room.wait(ends)
        return None

    async def _submit(self, asks: list[Ask]) -> Intent | None:
        """The batch of the questions, created. None where that failed, which each of them is told."""
        url, ids, token = self.remote.url, [ask.id for ask in asks], new_token()
        self.counter.claim(ids, token)
        content = await asyncio.to_thread(lambda: b"".join(input_line(ask.id, ask.make(), url) for ask in asks))
        intent = self.journal.begin(token, self.address, self.model, ids, sha256(content).hexdigest())
        try:
            batch = await self.remote.submit(intent, content, self.journal)
        except lm15.LM15Error as error:
            self.counter.fail(self.counter.release(intent), error)
            return None
        log.info("batch %s: %d requests sent to %s (%d bytes)", batch.id, len(asks), self.model, len(content))
        return intent

    async def _finds_no_room(self, intent: Intent) -> bool:
        try:
            return queue_is_full(await self._watch(intent, ("validating",)))
        except lm15.LM15Error:
            return False  # it is followed like any other, and that ends the same way

    def _refused_for_room(self, intent: Intent, asks: list[Ask]) -> None:
        """A single question that finds no room in an empty queue is told so, and tried again by Retry."""
        self.journal.done(intent, "the endpoint's queue was full")
        if self.room.refused(intent.token, len(intent.ids)):
            text = "the endpoint's queue has no room for one request"
            self.counter.fail(asks, lm15.RateLimitError(text, status=429, retry_after=self.room.pause))

    # --- following ----------------------------------------------------------------------------------

    async def _restore(self) -> None:
        """Takes on the batches of earlier processes: their questions are not sent again."""
        intents = self.journal.take(self.address, self.model)
        await self._find([intent for intent in intents if intent.file and not intent.batch])
        for intent in intents:
            if not intent.batch:
                self.journal.done(intent, "never submitted")
                continue
            self.counter.claim(intent.ids, intent.token)
            log.info("batch %s: %d requests of an earlier process", intent.batch, len(intent.ids))
        for intent in intents:
            if intent.batch:
                self._spawn(self._follow(intent))

    async def _find(self, doubtful: list[Intent]) -> None:
        """Gives a batch id to those that were created, though the process that did so never read it."""
        latest = time.monotonic() + self.pace.doubt  # for whoever's clock was set back since
        while doubtful:
            found = await self.remote.find(doubtful)
            for intent in doubtful:
                if batch := found.get(intent.token):
                    self.journal.created(intent, batch.id)
            young = time.monotonic() < latest
            doubtful = [i for i in doubtful if not i.batch and young and time.time() - i.time < self.pace.doubt]
            if doubtful:
                await asyncio.sleep(min(1.0, self.pace.doubt))

    async def _follow(self, intent: Intent) -> None:
        """Watches the batch to its end and gives out its replies."""
        try:
            if not (intent.status and self.journal.replies(intent).exists()):
                self.room.at_work.add(intent.token)
                batch = await self._watch(intent)
                self.room.ended(intent.token, batch.status != "failed")
                log.info("batch %s: %s", intent.batch, batch.status)
                if batch.status == "failed":
                    self._failed(intent, batch)
                    return
                await self.remote.download(batch, self.journal.replies(intent))
                self.journal.ended(intent, batch.status)
            self._without_reply(intent, await self.counter.give_out(intent))
        except lm15.LM15Error as error:
            self.room.at_work.discard(intent.token)
            self._lost(intent, error)

    async def _watch(self, intent: Intent, until_not: tuple[str, ...] = ()) -> Batch:
        """The batch once it has ended, or has left the given statuses."""
        pause = self.pace.first_look
        while True:
            batch = await self.remote.look(intent.batch)
            if batch.status in ENDED or (until_not and batch.status not in until_not):
                return batch
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, self.pace.longest_look)

    def _failed(self, intent: Intent, batch: Batch) -> None:
        asks = self.counter.release(intent)
        if queue_is_full(batch):
            self._refused_for_room(intent, asks)
            self._spawn(self._carry(asks))
            return
        self.journal.done(intent, "failed")
        said = "; ".join(dict.fromkeys(str(error.message or error.code) for error in messages(batch)[:20]))
        text = f"the endpoint refused batch {batch.id}: {hidden(said, self.remote.known) or 'no reason given'}"
        self.counter.fail(asks, lm15.InvalidRequestError(text))

    def _without_reply(self, intent: Intent, asks: list[Ask]) -> None:
        if intent.status == "expired":
            middle = (len(asks) + 1) // 2
            for half in filter(None, (asks[:middle], asks[middle:])):
                self._spawn(self._carry(half))
        elif intent.status == "cancelled":
            self.counter.fail(asks, lm15.InvalidRequestError(f"batch {intent.batch} was cancelled at the endpoint"))
        else:
            self.counter.fail(asks, lm15.ServerError(f"batch {intent.batch} has no line for this request"))

    def _lost(self, intent: Intent, error: lm15.LM15Error) -> None:
        """The endpoint does not give out a batch that was paid for."""
        if error.status != 404:
            self.counter.lose(intent, error)
        elif time.time() - intent.time > FORGOTTEN_AFTER:
            asks = self.counter.release(intent)
            self.journal.done(intent, "gone")
            self.counter.fail(asks, lm15.ServerError(f"batch {intent.batch} is old, and the endpoint has deleted it"))
        else:
            log.error("batch %s is unknown at the endpoint: %s", intent.batch, error)
            text = (
                f"the endpoint does not know batch {intent.batch} or its files any more; if it was made with another "
                f"key or project, use that one; if it was deleted, remove the line with {intent.token} that says "
                '"begun" from batch.jsonl, and its requests are sent and paid for again'
            )
            self.counter.lose(intent, lm15.ConfigurationError(text))
