"""A loopback server with files and batches, whose model is `rehearsal`: for tests of the batch engine.

    python -m benchmarks.batch_server --port 8123 --delay 5

Also Azure's addresses. It counts what it computed, so that a test can say what was bought, and can be told to
hold its breath at a point, so that a test can kill its client just there.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from aiohttp import web
from dspy import lm15

from benchmarks.loopback import reply_of, request_of, serve
from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.rehearsal import RehearsalEngine

Json = dict[str, Any]
Point = Literal["upload", "create", "created", "look", "content"]


@dataclass
class Faults:
    """How the server behaves; counts are used up as they happen."""

    delay: float = 0.0
    """Seconds until a batch is done."""
    line_errors: float = 0.0
    """Share of lines that fail with 500 at the first time that they come, 0 to 1."""
    lost_lines: float = 0.0
    """Share of lines that are in neither file at the first time that they come."""
    expire_after: list[int] = field(default_factory=list)
    """For the next batches, one by one: after how many lines they expire."""
    cancel_after: list[int] = field(default_factory=list)
    """The same, for batches that somebody cancels."""
    refuse: list[str] = field(default_factory=list)
    """For the next batches, one by one: the message of a validation error that fails them."""
    queue: int = 1 << 60
    """Requests that may be enqueued at once; a batch beyond them fails as OpenAI's do."""
    create_errors: list[int] = field(default_factory=list)
    """Statuses with which the next creations are answered, without being done."""
    lost_answers: int = 0
    """Creations, from now on, that are done and then answered with 502."""
    half_files: int = 0
    """Downloads, from now on, that break off in the middle."""
    pending_files: bool = False
    """Azure: a file is looked at for a while before it can be used."""


@dataclass
class Hold:
    """A point where the server waits, once, until it is told to go on."""

    point: Point
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


class BatchServer:
    def __init__(self, model: str = "rehearsal", faults: Faults | None = None, page: int = 100) -> None:
        self.engine, self.faults, self.page = RehearsalEngine(model), faults or Faults(), page
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Json] = {}
        """In the order of creation."""
        self.bought: Counter[str] = Counter()
        """How often each request body was computed with a reply that is paid for."""
        self.custom_ids: Counter[str] = Counter()
        self.uploads = self.looks = self.downloads = 0
        self._seen: Counter[str] = Counter()
        self._holds: list[Hold] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def paid(self) -> Counter[str]:
        return self.bought

    @property
    def in_flight(self) -> int:
        """Batches that are being computed."""
        return len(self._tasks)

    def hold(self, point: Point) -> Hold:
        """From now on the first request to come to the point waits there."""
        hold = Hold(point)
        self._holds.append(hold)
        return hold

    async def _at(self, point: Point) -> None:
        hold = next((hold for hold in self._holds if hold.point == point), None)
        if hold:
            self._holds.remove(hold)
            hold.reached.set()
            while not hold.go_on.is_set():
                await asyncio.sleep(0.005)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 28)
        for root in ("/v1", "/openai"):
            app.router.add_post(f"{root}/files", self.upload)
            app.router.add_get(f"{root}/files/{{id}}", self.file)
            app.router.add_get(f"{root}/files/{{id}}/content", self.content)
            app.router.add_post(f"{root}/batches", self.create)
            app.router.add_get(f"{root}/batches", self.listing)
            app.router.add_get(f"{root}/batches/{{id}}", self.look)
            app.router.add_post(f"{root}/batches/{{id}}/cancel", self.cancel)
        app.router.add_get("/counts", self.counts)
        return app

    async def counts(self, _: web.Request) -> web.Response:
        bought = sum(self.bought.values())
        return web.json_response({"bought": bought, "distinct": len(self.bought), "batches": len(self.batches)})

    # --- files --------------------------------------------------------------------------------------

    async def upload(self, http: web.Request) -> web.Response:
        form = await http.post()
        await self._at("upload")
        part = form["file"]
        assert isinstance(part, web.FileField) and form["purpose"] == "batch"
        self.uploads += 1
        id = f"file-{self.uploads}"
        self.files[id] = part.file.read()
        return web.json_response(self._file(id, "pending" if self.faults.pending_files else "processed"))

    async def file(self, http: web.Request) -> web.Response:
        id = http.match_info["id"]
        return web.json_response(self._file(id, "processed")) if id in self.files else missing("file", id)

    def _file(self, id: str, status: str) -> Json:
        size = len(self.files[id])
        about = {"id": id, "object": "file", "bytes": size, "filename": "in.jsonl", "purpose": "batch"}
        return {**about, "created_at": int(time.time()), "status": status}

    async def content(self, http: web.Request) -> web.StreamResponse:
        id = http.match_info["id"]
        if id not in self.files:
            return missing("file", id)
        self.downloads += 1
        data = self.files[id]
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(http)
        await response.write(data[: len(data) // 2])
        await self._at("content")
        if self.faults.half_files:
            self.faults.half_files -= 1
            if http.transport:
                http.transport.close()
            return response
        await response.write(data[len(data) // 2 :])
        return response

    # --- batches ------------------------------------------------------------------------------------

    async def create(self, http: web.Request) -> web.Response:
        ask = await http.json()
        await self._at("create")
        if http.transport is None or http.transport.is_closing():
            return web.Response(status=499)  # the request never came through: its sender is dead
        if self.faults.create_errors:
            return failed(self.faults.create_errors.pop(0), "create failed")
        if ask["input_file_id"] not in self.files:
            return missing("file", ask["input_file_id"])
        batch: Json = {
            "id": f"batch_{len(self.batches) + 1}",
            "object": "batch",
            "endpoint": ask["endpoint"],
            "input_file_id": ask["input_file_id"],
            "completion_window": ask["completion_window"],
            "created_at": int(time.time()),
            "metadata": ask.get("metadata"),
            "status": "validating",
        }
        self.batches[batch["id"]] = batch
        task = asyncio.create_task(self._work(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await self._at("created")
        if self.faults.lost_answers:
            self.faults.lost_answers -= 1
            return failed(502, "bad gateway")
        return web.json_response(batch)

    async def listing(self, http: web.Request) -> web.Response:
        newest_first = list(reversed(self.batches.values()))
        ids = [batch["id"] for batch in newest_first]
        start = ids.index(http.query["after"]) + 1 if "after" in http.query else 0
        limit = min(self.page, int(http.query.get("limit", 20)))
        page = newest_first[start : start + limit]
        return web.json_response({"object": "list", "data": page, "has_more": start + limit < len(ids)})

    async def look(self, http: web.Request) -> web.Response:
        self.looks += 1
        await self._at("look")
        batch = self.batches.get(http.match_info["id"])
        return web.json_response(batch) if batch else missing("batch", http.match_info["id"])

    async def cancel(self, http: web.Request) -> web.Response:
        batch = self.batches[http.match_info["id"]]
        batch["status"] = "cancelling"
        return web.json_response(batch)

    # --- what a batch does --------------------------------------------------------------------------

    async def _work(self, batch: Json) -> None:
        lines = [orjson.loads(raw) for raw in self.files[batch["input_file_id"]].splitlines()]
        if refusal := self._refusal(batch, lines):
            code, message = refusal
            batch["errors"] = {"object": "list", "data": [{"code": code, "message": message, "line": None}]}
            batch["status"] = "failed"
            return
        batch["status"] = "in_progress"
        batch["request_counts"] = {"total": len(lines), "completed": 0, "failed": 0}
        most, status = len(lines), "completed"
        if self.faults.expire_after:
            most, status = self.faults.expire_after.pop(0), "expired"
        elif self.faults.cancel_after:
            most, status = self.faults.cancel_after.pop(0), "cancelled"
        await asyncio.sleep(self.faults.delay)
        good, bad = await self._computed(lines[:most])
        bad += [not_run(line["custom_id"], f"batch_{status}") for line in lines[most:]]
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}
        for name, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                batch[name] = f"{batch['id']}-{name}"
                self.files[batch[name]] = b"\n".join(orjson.dumps(row) for row in rows)
        batch["status"] = status

    def _refusal(self, batch: Json, lines: list[Json]) -> tuple[str, str] | None:
        enqueued = sum(
            other["request_counts"]["total"] for other in self.batches.values() if other["status"] == "in_progress"
        )
        if enqueued + len(lines) > self.faults.queue:
            return "token_limit_exceeded", "Enqueued token limit reached for m. Please try again later."
        if self.faults.refuse:
            return "invalid_json_line", self.faults.refuse.pop(0)
        if len({line["body"]["model"] for line in lines}) > 1:
            return "mismatched_model", "All requests of a batch must have one model."
        if len({line["custom_id"] for line in lines}) < len(lines):
            return "duplicate_custom_id", "A custom_id comes twice."
        if any(line["url"] != batch["endpoint"] for line in lines):
            return "mismatched_url", "A request's url is not the batch's endpoint."
        return None

    async def _computed(self, lines: Iterable[Json]) -> tuple[list[Json], list[Json]]:
        good, bad = [], []
        for line in lines:
            body = line["body"]
            key = hashlib.blake2b(orjson.dumps(body), digest_size=12).hexdigest()
            first, chance = not self._seen[key], int(key[:8], 16) / (1 << 32)
            self._seen[key] += 1
            self.custom_ids[line["custom_id"]] += 1
            if first and chance < self.faults.line_errors:
                bad.append(answered(line["custom_id"], 500, {"error": {"message": "line failed", "code": None}}))
                continue
            if first and chance < self.faults.line_errors + self.faults.lost_lines:
                continue
            CALL.set(Call(stage="batch", item=key, attempt=self._seen[key]))
            try:
                reply = reply_of(await self.engine.complete(request_of(body)))
            except lm15.LM15Error as error:
                text = {"error": {"message": error.message, "code": None}}
                bad.append(answered(line["custom_id"], error.status or 500, text))
                continue
            self.bought[key] += 1
            good.append(answered(line["custom_id"], 200, reply))
        return good[::-1], bad  # the order of an output file is not that of the input


def answered(id: str, status: int, body: Json) -> Json:
    response = {"status_code": status, "request_id": f"req_{id}", "body": body}
    return {"id": f"batch_req_{id}", "custom_id": id, "response": response, "error": None}


def not_run(id: str, code: str) -> Json:
    error = {"code": code, "message": "This request could not be executed."}
    return {"id": f"batch_req_{id}", "custom_id": id, "response": None, "error": error}


def missing(kind: str, id: str) -> web.Response:
    return failed(404, f"No such {kind}: {id}")


def failed(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


async def _forever(server: BatchServer, port: int) -> None:
    _, found = await serve(server, port)
    print(f"http://127.0.0.1:{found}/v1", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="rehearsal")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until a batch is done")
    parser.add_argument("--line-errors", type=float, default=0.0, help="share of lines that fail at first, 0..1")
    parser.add_argument("--queue", type=int, default=1 << 60, help="requests that may be enqueued at once")
    a = parser.parse_args()
    faults = Faults(delay=a.delay, line_errors=a.line_errors, queue=a.queue)
    asyncio.run(_forever(BatchServer(a.model, faults), a.port))


if __name__ == "__main__":
    main()
