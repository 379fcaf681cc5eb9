"""As much of the Hugging Face Hub as a push needs, on this machine, and a memory of what it was sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """One dataset repository; it exists from the first request that makes it."""

    def __init__(self, files: dict[str, bytes] | None = None, *, private: bool | None = None, refuses: int = 0) -> None:
        self.files, self.private, self.refuses = dict(files or {}), private, refuses
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        self.address = ""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if self.refuses:
            return self.refuses, {"error": "You don't have the rights\nto do this."}
        name = path.partition("?")[0].rstrip("/")
        if name == "/api/repos/create":
            return self._create(json.loads(body))
        if name == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in name:
            return 200, {"files": [self._mode(file["path"]) for file in json.loads(body)["files"]]}
        if "/tree/" in name:
            return 200, [{"type": "file", "path": file, "size": 1, "oid": "0" * 40} for file in self.files]
        if "/commit/" in name:
            return self._commit([json.loads(line) for line in body.splitlines()])
        siblings = [{"rfilename": file} for file in self.files]
        return 200, {"id": "anna/pairs", "private": self.private, "sha": "0" * 40, "siblings": siblings}

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.private is not None:
            return 409, {"error": "exists", "url": f"{self.address}/datasets/anna/pairs"}
        self.private = body.get("private", body.get("visibility") == "private")
        return 200, {"url": f"{self.address}/datasets/anna/pairs"}

    @staticmethod
    def _mode(path: str) -> dict[str, Any]:
        return {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None}

    def _commit(self, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del self.files[value["path"]]
        return 200, {"commitUrl": f"{self.address}/datasets/anna/pairs/commit/1", "commitOid": "1" * 40}


@contextmanager
def running(hub: Hub) -> Iterator[str]:
    """Its address while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.tokens.add(self.headers.get("Authorization", ""))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = hub.answer(self.command, self.path, body)
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            hub.address = f"http://127.0.0.1:{server.server_address[1]}"
            yield hub.address
        finally:
            server.shutdown()
            thread.join()
