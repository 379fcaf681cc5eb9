"""The endpoint's side of a batch: upload, create, find, look, download. Each heals what passes by itself."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import httpx2
import openai
from dspy import lm15
from openai.types import Batch

from glan_dspy.engines.batch_journal import BatchJournal, Intent
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.openai import failure
from glan_dspy.engines.retry import HEALS, how_long
from glan_dspy.hiding import hidden, hidden_in_reply

log = logging.getLogger("glan")

T = TypeVar("T")

TOKEN = "glan_token"
UPLOAD_SECONDS = 1800.0
"""How long one file may take to go up or come down."""
TRIES = 8
"""Times an upload or a creation is tried. Looking and downloading have no limit: those replies are paid for."""
CLOCKS_DIFFER = 86400.0
"""Seconds by which our clock and the endpoint's may be apart: ours may have been wrong by a time zone, or a day."""


class BatchEndpoint:
    """The few calls of the Batch API that we need. Raises `dspy.lm15` errors."""

    def __init__(self, client: openai.AsyncOpenAI, endpoint: Endpoint, doubt: float) -> None:
        self.client, self.doubt = client, doubt
        self.certain, self.known = endpoint.certain(), endpoint.secrets()
        self.url = "/chat/completions" if endpoint.azure else "/v1/chat/completions"

    async def submit(self, intent: Intent, content: bytes, journal: BatchJournal) -> Batch:
        """Uploads the file and creates the batch; the journal knows of each step before the next is taken."""
        name = f"glan-{intent.token}.jsonl"
        with self._batches_asked_for():
            file = await self._healing(
                lambda: self.client.files.create(file=(name, content), purpose="batch", timeout=UPLOAD_SECONDS), TRIES
            )
        id, status = file.id, str(file.status)
        while status in ("pending", "running", "queued"):  # Azure takes a while to look at a file
            await asyncio.sleep(self.doubt)
            status = str((await self._healing(lambda: self.client.files.retrieve(id))).status)
        journal.uploaded(intent, id)
        with self._batches_asked_for():
            batch = await self._create(intent)
        journal.created(intent, batch.id)
        return batch

    async def _create(self, intent: Intent) -> Batch:
        """Creates the batch once, also where the endpoint's word that it did so is lost."""
        for attempt in range(1, TRIES + 1):
            try:
                return await self.client.batches.create(
                    input_file_id=intent.file,
                    endpoint=self.url,  # type: ignore[arg-type]  # Azure's has no /v1
                    completion_window="24h",
                    metadata={TOKEN: intent.token},
                )
            except openai.OpenAIError as error:
                typed = failure(error, self.known)
                if not isinstance(typed, HEALS):
                    raise typed from error
                log.warning("a batch could not be created, trying again: %s", typed)
                await asyncio.sleep(max(how_long(attempt, typed.retry_after), self.doubt))
            if found := (await self.find([intent])).get(intent.token):
                return found
        raise typed

    async def find(self, intents: list[Intent]) -> dict[str, Batch]:
        """The endpoint's batches that carry these tokens, by token."""
        wanted = {intent.token for intent in intents}
        oldest = min(intent.time for intent in intents) - CLOCKS_DIFFER

        async def look() -> dict[str, Batch]:
            found: dict[str, Batch] = {}
            async for batch in self.client.batches.list(limit=100):
                token = (batch.metadata or {}).get(TOKEN, "")
                if token in wanted and batch.status != "failed":
                    found[token] = batch
                if batch.created_at < oldest or len(found) == len(wanted):
                    break
            return found

        with self._batches_asked_for():
            return await self._healing(look)

    async def look(self, batch: str) -> Batch:
        return await self._healing(lambda: self.client.batches.retrieve(batch))

    async def download(self, batch: Batch, path: Path) -> None:
        """Puts the batch's output and error lines into one file, which is there whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        promised = batch.request_counts.completed if batch.request_counts else 0

        async def fetch() -> int:
            lines = 0
            with beside.open("wb") as file:
                for id in filter(None, (batch.output_file_id, batch.error_file_id)):
                    streamed = self.client.files.with_streaming_response.content(id, timeout=UPLOAD_SECONDS)
                    rest = b""
                    async with streamed as content:
                        async for chunk in content.iter_bytes(1 << 20):
                            whole, newline, rest = (rest + chunk).rpartition(b"\n")
                            file.write(hidden_in_reply(whole + newline, self.certain))
                            if id == batch.output_file_id:  # the other file's are not promised
                                lines += chunk.count(b"\n")
                    file.write(
                        hidden_in_reply(rest, self.certain) + b"\n"
                    )  # the first of two may lack its last newline
                file.flush()
                os.fsync(file.fileno())  # the journal will say that it is here
            return lines

        # A connection may end early without an error; a paid line must not be taken for a missing one.
        for _ in range(3):
            if await self._healing(fetch) + 1 >= promised:
                break
        beside.replace(path)

    @contextmanager
    def _batches_asked_for(self) -> Iterator[None]:
        """Around calls that only an endpoint without batches has no place for: a 404 there says nothing of a model."""
        try:
            yield
        except lm15.ProviderError as error:
            # A 404 with a word of its own ("model_not_found") is about something else.
            if error.status not in (404, 405) or (error.provider_code or "404") != "404":
                raise
            address = hidden(str(self.client.base_url).rstrip("/"), self.known)
            raise lm15.ConfigurationError(
                f"{address} has no /files and /batches, and so no Batch API (status {error.status}); "
                "--no-batch goes on without"
            ) from error

    async def _healing(self, call: Callable[[], Awaitable[T]], tries: int | None = None) -> T:
        attempt = 0
        while True:
            try:
                return await call()
            except openai.OpenAIError as error:
                typed = failure(error, self.known)
            except (httpx2.HTTPError, aiohttp.ClientError) as error:  # while a file is being read
                text = hidden(str(error), self.known) or type(error).__name__
                typed = lm15.TransportError(f"the endpoint broke off: {text}")
            attempt += 1
            if not isinstance(typed, HEALS) or attempt == tries:
                raise typed
            log.warning("the endpoint's batches cannot be reached, trying again: %s", typed)
            await asyncio.sleep(how_long(attempt, typed.retry_after))


def messages(batch: Batch) -> list[Any]:
    """The errors that a batch failed with as a whole."""
    return list(batch.errors.data or []) if batch.errors else []
