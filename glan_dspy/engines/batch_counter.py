"""Who waits for which reply, and who gets it: the counter at which the batches' replies are given out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from glan_dspy.engines.batch_files import Json, line_at, replies
from glan_dspy.engines.batch_journal import BatchJournal, Intent
from glan_dspy.engines.batch_receipts import Receipts

IN_USE = 512
"""Replies given out and not used yet, at which the next ones wait on disk."""


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

    @property
    def open(self) -> bool:
        """Whether somebody still waits: a cancelled call does not."""
        return not self.answer.done()


class Counter:
    def __init__(self, journal: BatchJournal) -> None:
        self.journal = journal
        self.receipts = Receipts(self._used)
        self.waiting: dict[str, Ask] = {}
        self._batch_of: dict[str, str] = {}
        """The token of the batch that a question is in, until its line is read."""
        self._lost: dict[str, BaseException] = {}
        """By its token, why a batch that was paid for cannot be had: its questions are not sent again by themselves."""
        self._kept: dict[str, tuple[Intent, int, int]] = {}
        """Where the replies are, on disk, that an earlier process paid for and nobody has asked for yet."""

    def in_a_batch(self, id: str) -> bool:
        return id in self._batch_of

    def claim(self, ids: Iterable[str], token: str) -> None:
        """The questions are this batch's now: whoever asks one of them waits for it."""
        self._batch_of.update(dict.fromkeys(ids, token))

    def lose(self, intent: Intent, error: BaseException) -> None:
        """Fails those that wait for the batch, and whoever asks one of its questions from now on."""
        self._lost[intent.token] = error
        mine = (self.waiting.get(id) for id in intent.ids if self._batch_of.get(id) == intent.token)
        self.fail([ask for ask in mine if ask], error)

    def lost(self, id: str) -> BaseException | None:
        error = self._lost.get(self._batch_of.get(id, ""))
        return _twin(error) if error else None

    def release(self, intent: Intent) -> list[Ask]:
        """Takes the batch's unanswered questions out of it; gives those that somebody waits for."""
        mine = [id for id in intent.ids if self._batch_of.get(id) == intent.token]
        for id in mine:
            del self._batch_of[id]
        return [ask for id in mine if (ask := self.waiting.get(id)) and ask.open]

    def kept(self, id: str, task: asyncio.Task[Any] | None) -> Json | None:
        """The reply to a question that an earlier process has asked; given out once."""
        if id not in self._kept:
            return None
        intent, start, size = self._kept.pop(id)
        self.receipts.give(task, intent, id)
        return line_at(self.journal.replies(intent), start, size)

    async def give_out(self, intent: Intent) -> list[Ask]:
        """Hands each reply of a batch to the call that waits for it; gives the asks that it has no reply to."""
        # What a later batch answers again, or an earlier process has dropped, is of no use here.
        left = {id for id in intent.ids if self._batch_of.get(id) == intent.token}
        intent.unused, intent.read = set(left), False
        for reply in replies(self.journal.replies(intent)):
            if reply.id not in left or reply.not_run:
                continue
            left.discard(reply.id)
            del self._batch_of[reply.id]
            ask = self.waiting.get(reply.id)
            if not reply.good:
                intent.unused.discard(reply.id)
            elif ask is None or not ask.open:
                self._kept[reply.id] = (intent, reply.start, reply.size)
            else:
                self.receipts.give(ask.task, intent, reply.id)
            if ask and ask.open:
                ask.answer.set_result(reply.line)
                await self.receipts.below(IN_USE)
        intent.unused -= left
        intent.read = True
        self._close(intent)
        return self.release(intent)

    def fail(self, asks: Iterable[Ask], error: BaseException) -> None:
        for ask in list(asks):
            if ask.open:
                ask.answer.set_exception(_twin(error))

    def _used(self, intent: Intent, id: str) -> None:
        intent.unused.discard(id)
        self._close(intent)

    def _close(self, intent: Intent) -> None:
        if intent.read and not intent.unused:
            self.journal.done(intent)


def _twin(error: BaseException) -> BaseException:
    """The same error once more: one raised in many tasks would gather all their tracebacks."""
    twin = type(error).__new__(type(error), *error.args)
    twin.__dict__.update(error.__dict__)
    twin.args = error.args
    return twin
