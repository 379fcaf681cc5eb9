"""Requests through the Batch API of OpenAI and Azure: half the price, replies within 24 hours.

    BatchEngine(endpoint, journal)         # `await engine.complete(request)`, like every engine

It gathers what is asked at about the same time into files, sends them as batches, and answers the waiting
calls as the replies come. What has been sent belongs to the journal: a process that is killed, or stopped
with Ctrl-C, leaves its batches at work, and the next one finds their replies.

    batch.py            this engine: one desk for each model
    batch_desk.py       gathers, sends and follows the batches of one model
    batch_room.py       how much the endpoint's queue takes
    batch_counter.py    who waits for which reply, and who gets it
    batch_endpoint.py   upload, create, find, look, download
    batch_files.py      what a request becomes in a file, and what a line of the output means
    batch_journal.py    what is known of each batch, on disk
    batch_receipts.py   which replies are used, so that a batch may be forgotten
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import openai
from dspy.lm15 import Request, Response

from glan_dspy.engines import batch_desk
from glan_dspy.engines.batch_desk import Desk, Pace
from glan_dspy.engines.batch_endpoint import BatchEndpoint
from glan_dspy.engines.batch_files import response_of
from glan_dspy.engines.batch_journal import BatchJournal
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.form import Form
from glan_dspy.engines.forms import Forms
from glan_dspy.engines.openai import open_client, to_wire

__all__ = ["BatchEngine", "BatchJournal", "Pace"]


class BatchEngine:
    """`complete(request)`: one line of one batch. It waits until that batch has ended; there is no time-out."""

    def __init__(
        self, endpoint: Endpoint, journal: BatchJournal, forms: Forms | None = None, pace: Pace | None = None
    ) -> None:
        self.endpoint, self.journal, self.forms, self.pace = endpoint, journal, forms or Forms(), pace
        self._offices: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Office] = weakref.WeakKeyDictionary()

    async def complete(self, request: Request) -> Response:
        fit = self.forms.of(self.endpoint.place(), request.model, self.endpoint.structured)
        return await fit.ask(request, lambda form: self._once(request, form), together=True)

    async def _once(self, request: Request, form: Form) -> Response:
        def body() -> dict[str, Any]:
            return form.fitted(to_wire(request, self.endpoint), self.endpoint.extra_body)

        line = await self._office().desk(request.model).ask(body)
        return response_of(line, request.model, self.endpoint.secrets())

    def _office(self) -> _Office:
        loop = asyncio.get_running_loop()
        if loop not in self._offices:
            self._offices[loop] = _Office(self)
        return self._offices[loop]

    async def aclose(self) -> None:
        """Stops watching this loop's batches and closes its connections; the batches go on at the endpoint."""
        if office := self._offices.pop(asyncio.get_running_loop(), None):
            await office.aclose()

    def __deepcopy__(self, memo: dict[int, Any]) -> BatchEngine:
        return self


class _Office:
    """One loop's client and desks: all requests of one batch have one model."""

    def __init__(self, engine: BatchEngine) -> None:
        self.engine = engine
        self.client: openai.AsyncOpenAI = open_client(engine.endpoint)
        self.desks: dict[str, Desk] = {}

    def desk(self, model: str) -> Desk:
        if model not in self.desks:
            e, pace = self.engine, self.engine.pace or batch_desk.PACE
            self.desks[model] = Desk(model, BatchEndpoint(self.client, e.endpoint, pace.doubt), e.journal, pace)
        return self.desks[model]

    async def aclose(self) -> None:
        for desk in self.desks.values():
            await desk.aclose()
        await self.client.close()
