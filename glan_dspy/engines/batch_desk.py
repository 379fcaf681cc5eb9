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
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from dspy import lm15
from openai.types import Batch

from glan_dspy.engines.base import CALL
from glan_dspy.engines.batch_endpoint import BatchEndpoint, messages
from glan_dspy.engines.batch_files import Json, input_line, line_at, question_id, replies
from glan_dspy.engines.batch_journal import BatchJournal, Intent, new_token
from glan_dspy.engines.batch_receipts import Receipts

log = logging.getLogger("glan")

ENDED = ("completed", "expired", "cancelled", "failed")
FORGOTTEN_AFTER = 30 * 86400.0
"""Seconds after which an endpoint has deleted a batch's files."""
IN_USE = 512
"""Replies given out and not used yet, at which the next ones wait on disk."""


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


@dataclass(slots=True, eq=False)
class Ask:
    """A question that somebody waits for."""

    id: str
    make: Callable[[], Json]
    """Its request's body."""
    size: int
    """Bytes of its line."""
    task: asyncio.Task[Any] | None
    answer: asyncio.Future[Json]


@dataclass
class Desk:
    model: str
    remote: BatchEndpoint
    journal: BatchJournal
    pace: Pace

    waiting: dict[str, Ask] = field(default_factory=dict)
    gathered: dict[str, Ask] = field(default_factory=dict)
    """Those of the waiting that are in no batch yet."""
    owner: dict[str, str] = field(default_factory=dict)
    """The token of the batch that a question is in, until its line is read."""
    kept: dict[str, tuple[Intent, int, int]] = field(default_factory=dict)
    """Where the replies are that nobody has asked for yet, paid for by an earlier process: on disk."""

    def __post_init__(self) -> None:
        self.address = str(self.remote.client.base_url)
        self.receipts = Receipts(self._used)
        self.most = self.pace.most_requests
        self.crowded = False
        """Whether the endpoint's queue was full: batches are then sent one after the other."""
        self._patience = self.pace.room
        self._bytes, self._newest = 0, 0.0
        self._door = asyncio.Lock()
        self._at_work: set[str] = set()
        """Tokens of our batches that the endpoint has not ended."""
        self._ends = 0
        self._one_ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._restoring: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None

    async def ask(self, make: Callable[[], Json]) -> Json:
        """The output line that answers the request body, failed or not. Raises lm15 errors of a batch as a whole.

        The body is made twice, when it is asked and when its file is written: 50,000 are not kept meanwhile.
        """
        self._restoring = self._restoring or asyncio.create_task(self._restore())
        await asyncio.shield(self._restoring)
        task = asyncio.current_task()
        self.receipts.asks_again(task)
        body = make()
        id = question_id(CALL.get(), body)
        if id in self.waiting:
            id = question_id(None, body)  # the same question twice at once is two questions
        if place := self.kept.pop(id, None):
            intent, start, size = place
            self.receipts.give(task, intent, id)
            return line_at(self.journal.replies(intent), start, size)
        size = len(input_line(id, body, self.remote.url))
        ask = Ask(id, make, size, task, asyncio.get_running_loop().create_future())
        self.waiting[id] = ask
        if id not in self.owner:
            self._gather(ask)
        try:
            return await ask.answer
        finally:
            self.waiting.pop(id, None)
            self.gathered.pop(id, None)

    async def aclose(self) -> None:
        tasks = [task for task in (*self._tasks, self._restoring, self._settling) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- gathering ----------------------------------------------------------------------------------

    def _gather(self, ask: Ask) -> None:
        """Puts the question to the others; they are sent when no more come for a while, or the file is full."""
        if self._bytes + ask.size > self.pace.most_bytes:
            self._send_gathered()
        self.gathered[ask.id] = ask
        self._bytes += ask.size
        self._newest = time.monotonic()
        if len(self.gathered) >= self.most:
            self._send_gathered()
        elif self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        while (rest := self._newest + self.pace.settle - time.monotonic()) > 0:
            await asyncio.sleep(rest)
        self._send_gathered()

    def _send_gathered(self) -> None:
        asks = list(self.gathered.values())
        self.gathered.clear()
        self._bytes = 0
        if asks:
            self._spawn(self._carry(asks))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            if isinstance(error, OSError):
                error = lm15.ConfigurationError(f"cannot keep the batches of the run: {error}")
            self._fail(self.waiting.values(), error)

    # --- sending ------------------------------------------------------------------------------------

    async def _carry(self, asks: list[Ask]) -> None:
        """Takes questions through a batch, from its file to the last reply."""
        async with self._door:
            intent = await self._sent(asks)
        if intent:
            await self._follow(intent)

    async def _sent(self, asks: list[Ask]) -> Intent | None:
        """The batch that was made of the questions, accepted where that was in doubt; None if nobody waits for it."""
        while asks := [ask for ask in asks if not ask.answer.done()]:
            asks, rest = asks[: self.most], asks[self.most :]
            if rest:
                self._spawn(self._carry(rest))
            ends = self._ends
            intent = await self._submit(asks)
            if intent is None or not (self.crowded and await self._finds_no_room(intent)):
                return intent
            self._refused_for_room(intent, asks)
            await self._room(ends)
        return None

    async def _finds_no_room(self, intent: Intent) -> bool:
        try:
            batch = await self._watch(intent, ("validating",))
        except lm15.LM15Error:
            return False  # it is followed like any other, and that ends the same way
        return batch.status == "failed" and queue_is_full(batch)

    async def _submit(self, asks: list[Ask]) -> Intent | None:
        """The batch of the questions, created. None where that failed, which each of them is told."""
        url, ids, token = self.remote.url, [ask.id for ask in asks], new_token()
        # From here on the questions are the batch's: whoever asks one of them waits for it.
        self.owner.update(dict.fromkeys(ids, token))
        content = await asyncio.to_thread(lambda: b"".join(input_line(ask.id, ask.make(), url) for ask in asks))
        intent = self.journal.begin(token, self.address, self.model, ids, sha256(content).hexdigest())
        try:
            batch = await self.remote.submit(intent, content, self.journal)
        except lm15.LM15Error as error:
            self._fail(self._released(intent), error)
            return None
        log.info("batch %s: %d requests sent to %s (%d bytes)", batch.id, len(asks), self.model, len(content))
        return intent

    def _refused_for_room(self, intent: Intent, asks: list[Ask]) -> None:
        """Waits for our own batches to end; where there are none, makes later batches smaller.

        A single question that finds no room then is told so, and tried again by Retry.
        """
        self._released(intent)
        self.journal.done(intent, "the endpoint's queue was full")
        self.crowded = True
        self._at_work.discard(intent.token)
        if self._at_work:
            log.info("the endpoint's queue is full: waiting for one of our %d batches to end", len(self._at_work))
            return
        self.most = max(1, min(self.most, len(intent.ids) // 2))
        log.warning("the endpoint's queue is full: batches of %d at most, one after the other", self.most)
        if len(intent.ids) == 1:
            text = "the endpoint's queue has no room for one request"
            self._fail(asks, lm15.RateLimitError(text, status=429, retry_after=self._patience))

    async def _room(self, ends: int) -> None:
        """Waits until more than so many batches of ours have ended, or a while: others may use the same queue."""
        if self._ends > ends:
            return
        self._one_ended.clear()
        try:
            await asyncio.wait_for(self._one_ended.wait(), self._patience)
            self._patience = self.pace.room
        except TimeoutError:
            self._patience = min(self._patience * 2, self.pace.longest_room)

    # --- following ----------------------------------------------------------------------------------

    async def _restore(self) -> None:
        """Takes on the batches of earlier processes: their questions are not sent again."""
        intents = self.journal.take(self.address, self.model)
        await self._find([intent for intent in intents if intent.file and not intent.batch])
        for intent in intents:
            if not intent.batch:
                self.journal.done(intent, "never submitted")
                continue
            self.owner.update(dict.fromkeys(intent.ids, intent.token))
            log.info("batch %s: %d requests of an earlier process", intent.batch, len(intent.ids))
        for intent in intents:
            if intent.batch:
                self._spawn(self._follow(intent))

    async def _find(self, doubtful: list[Intent]) -> None:
        """Gives a batch id to those that were created, though the process that did so never read it."""
        while doubtful:
            found = await self.remote.find(doubtful)
            for intent in doubtful:
                if batch := found.get(intent.token):
                    self.journal.created(intent, batch.id)
            doubtful = [i for i in doubtful if not i.batch and time.time() - i.time < self.pace.doubt]
            if doubtful:
                await asyncio.sleep(min(1.0, self.pace.doubt))

    async def _follow(self, intent: Intent) -> None:
        """Watches the batch to its end and gives out its replies."""
        path = self.journal.replies(intent)
        try:
            if not (intent.status and path.exists()):
                self._at_work.add(intent.token)
                try:
                    batch = await self._watch(intent)
                finally:
                    self._at_work.discard(intent.token)
                self._ends += batch.status != "failed"
                self._one_ended.set()
                log.info("batch %s: %s", intent.batch, batch.status)
                if batch.status == "failed":
                    self._failed(intent, batch)
                    return
                await self.remote.download(batch, path)
                self.journal.ended(intent, batch.status)
            self._more_room()
            await self._give_out(intent)
        except lm15.LM15Error as error:
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

    def _more_room(self) -> None:
        self.most = min(self.most * 2, self.pace.most_requests)
        self.crowded = self.crowded and self.most < self.pace.most_requests

    def _failed(self, intent: Intent, batch: Batch) -> None:
        asks = self._released(intent)
        if queue_is_full(batch):
            self._refused_for_room(intent, asks)
            self._spawn(self._carry(asks))
            return
        self.journal.done(intent, "failed")
        said = "; ".join(dict.fromkeys(str(error.message or error.code) for error in messages(batch)[:20]))
        self._fail(
            asks, lm15.InvalidRequestError(f"the endpoint refused batch {batch.id}: {said or 'no reason given'}")
        )

    def _lost(self, intent: Intent, error: lm15.LM15Error) -> None:
        """The endpoint does not give out a batch that was paid for."""
        asks = self._released(intent)
        if error.status != 404:
            self._fail(asks, error)
        elif time.time() - intent.time > FORGOTTEN_AFTER:
            self.journal.done(intent, "gone")
            self._fail(asks, lm15.ServerError(f"batch {intent.batch} is too old: the endpoint has deleted it"))
        else:
            log.error("batch %s is unknown at the endpoint: %s", intent.batch, error)
            text = (
                f"the endpoint does not know batch {intent.batch} or its files any more; if it was made with another "
                f"key or project, use that one; if it was deleted, remove the line with {intent.token} that says "
                '"begun" from batch.jsonl, and its requests are sent and paid for again'
            )
            self._fail(asks, lm15.ConfigurationError(text))

    # --- giving out ---------------------------------------------------------------------------------

    async def _give_out(self, intent: Intent) -> None:
        """Hands each reply to the call that waits for it, and notes where the others lie."""
        left = {id for id in intent.ids if self.owner.get(id) == intent.token}
        # What a later batch answers again, or an earlier process has dropped, is of no use here.
        intent.unused = set(left)
        intent.read = False
        for reply in replies(self.journal.replies(intent)):
            id, ask = reply.id, self.waiting.get(reply.id)
            if id not in left or reply.not_run:
                continue
            left.discard(id)
            del self.owner[id]
            if not reply.good:
                intent.unused.discard(id)
            if ask and not ask.answer.done():
                if reply.good:
                    self.receipts.give(ask.task, intent, id)
                ask.answer.set_result(reply.line)
                await self.receipts.below(IN_USE)
            elif reply.good:
                self.kept[id] = (intent, reply.start, reply.size)
        intent.unused -= left
        intent.read = True
        self._close(intent)
        self._without_reply(intent, self._released(intent))

    def _without_reply(self, intent: Intent, asks: list[Ask]) -> None:
        if intent.status == "expired":
            middle = (len(asks) + 1) // 2
            for half in filter(None, (asks[:middle], asks[middle:])):
                self._spawn(self._carry(half))
        elif intent.status == "cancelled":
            self._fail(asks, lm15.InvalidRequestError(f"batch {intent.batch} was cancelled at the endpoint"))
        else:
            self._fail(asks, lm15.ServerError(f"batch {intent.batch} has no line for this request"))

    def _used(self, intent: Intent, id: str) -> None:
        intent.unused.discard(id)
        self._close(intent)

    def _close(self, intent: Intent) -> None:
        if intent.read and not intent.unused:
            self.journal.done(intent)

    def _released(self, intent: Intent) -> list[Ask]:
        """Takes the batch's unanswered questions out of it; gives those that somebody waits for."""
        mine = [id for id in intent.ids if self.owner.get(id) == intent.token]
        for id in mine:
            del self.owner[id]
        return [ask for id in mine if (ask := self.waiting.get(id)) and not ask.answer.done()]

    def _fail(self, asks: Iterable[Ask], error: BaseException) -> None:
        for ask in list(asks):
            if not ask.answer.done():
                ask.answer.set_exception(_twin(error))


FULL = ("token_limit_exceeded", "request_limit_exceeded", "enqueued")


def queue_is_full(batch: Batch) -> bool:
    """Whether a batch failed only because too much is queued at the endpoint already."""
    said: Iterator[str] = (f"{error.code} {error.message}".lower() for error in messages(batch))
    return any(word in text for text in said for word in FULL)


def _twin(error: BaseException) -> BaseException:
    """The same error once more: one raised in many tasks would gather all their tracebacks."""
    twin = type(error).__new__(type(error), *error.args)
    twin.__dict__.update(error.__dict__)
    twin.args = error.args
    return twin
