"""How much the endpoint's queue takes: it bounds the tokens of all batches that are not done (OpenAI: per model)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from openai.types import Batch

from glan_dspy.engines.batch_endpoint import messages

log = logging.getLogger("glan")

FULL = ("token_limit_exceeded", "request_limit_exceeded", "enqueued")


def queue_is_full(batch: Batch) -> bool:
    """Whether a batch failed only because too much is queued at the endpoint already."""
    said: Iterator[str] = (f"{error.code} {error.message}".lower() for error in messages(batch))
    return batch.status == "failed" and any(word in text for text in said for word in FULL)


@dataclass
class Room:
    """How large a batch may be, and when to try again.

    A batch that finds no room waits for one of ours to end. Only where there is none it was too large.
    """

    largest: int
    first_pause: float
    longest_pause: float
    at_work: set[str] = field(default_factory=set)
    """Tokens of our batches that the endpoint has not ended."""
    ends: int = 0
    """How many of ours it has ended, well or not."""
    crowded: bool = False
    """Whether the queue was full: batches are then sent one after the other."""

    def __post_init__(self) -> None:
        self.most, self.pause = self.largest, self.first_pause
        self._one_ended = asyncio.Event()

    def ended(self, token: str, well: bool) -> None:
        self.at_work.discard(token)
        self._one_ended.set()
        if well:
            self.ends += 1
            self.most = min(self.most * 2, self.largest)
            self.crowded = self.crowded and self.most < self.largest

    def refused(self, token: str, size: int) -> bool:
        """Takes note of a batch that found no room; whether there is nothing left to make smaller or to wait for."""
        self.crowded = True
        self.at_work.discard(token)
        if self.at_work:
            log.info("the endpoint's queue is full: waiting for one of our %d batches to end", len(self.at_work))
            return False
        self.most = max(1, min(self.most, size // 2))
        log.warning("the endpoint's queue is full: batches of %d at most, one after the other", self.most)
        return size == 1

    async def wait(self, ends: int) -> None:
        """Until more than so many batches of ours have ended, or for a while: others may use the same queue."""
        if self.ends > ends:
            return
        self._one_ended.clear()
        try:
            await asyncio.wait_for(self._one_ended.wait(), self.pause)
            self.pause = self.first_pause
        except TimeoutError:
            self.pause = min(self.pause * 2, self.longest_pause)
