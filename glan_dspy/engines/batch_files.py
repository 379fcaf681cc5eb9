"""The lines of a batch: what a request becomes in its input file, and what a line of its output means."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import openai
import orjson
from dspy import lm15
from dspy.lm15 import Response

from glan_dspy.engines.base import Call
from glan_dspy.engines.openai import decode, failure, from_wire, hide_in

Json = dict[str, Any]

NOT_RUN = ("batch_expired", "batch_cancelled")
"""Error codes of requests that the endpoint never began: nothing was paid for them."""


def question_id(call: Call | None, body: Json) -> str:
    """The custom_id of a question: the same in every process that asks it, and in words that are the same.

    The attempt is no part of it. After a restart attempts count from 0 again, and the reply to the third must
    be found by what is now the first. That a retry does not find its failed predecessor is seen to by the
    counter: a line that failed answers nobody a second time. A call that nobody named is a question of its own.
    """
    name = call.key if call and call.item else secrets.token_hex(12)
    return hashlib.blake2b(name.encode() + b"\0" + orjson.dumps(body), digest_size=12).hexdigest()


def input_line(id: str, body: Json, url: str) -> bytes:
    line = {"custom_id": id, "method": "POST", "url": url, "body": body}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class Reply(NamedTuple):
    """One line of an output or error file, and where it lies."""

    id: str
    line: Json
    start: int
    size: int

    @property
    def good(self) -> bool:
        """Whether there is a paid reply in it."""
        return not self.line.get("error") and (self.line.get("response") or {}).get("status_code") == 200

    @property
    def not_run(self) -> bool:
        return (self.line.get("error") or {}).get("code") in NOT_RUN


def replies(path: Path) -> Iterator[Reply]:
    """The lines of a downloaded file, one at a time; what is no reply is passed over, and so counts as missing."""
    start = 0
    with path.open("rb") as file:
        for raw in file:
            line = _object(raw)
            if line and isinstance(line.get("custom_id"), str):
                yield Reply(line["custom_id"], line, start, len(raw))
            start += len(raw)


def _object(raw: bytes) -> Json | None:
    try:
        return decode(raw)
    except lm15.TransportError:
        return None


def line_at(path: Path, start: int, size: int) -> Json:
    with path.open("rb") as file:
        file.seek(start)
        return decode(file.read(size))


def response_of(line: Json, model: str, known: Iterable[str] = ()) -> Response:
    """The Response of a line. Raises the typed error of a line that failed, as the same failure online would."""
    error, response = line.get("error") or {}, line.get("response") or {}
    body = response.get("body")
    status = response.get("status_code")
    if not error and status == 200 and isinstance(body, dict):
        try:
            return from_wire(body, model)
        except lm15.TransportError as broken:
            hide_in(broken, known)
            raise
    if not isinstance(status, int) or status < 400:
        status = 408 if error.get("code") == "request_timeout" else 500
    detail = body.get("error") if isinstance(body, dict) else None
    raise line_failure(status, detail if isinstance(detail, dict) else error, known)


def line_failure(status: int, detail: Json, known: Iterable[str]) -> lm15.LM15Error:
    """What `failure` makes of the same status and error object in a reply over HTTP."""
    reply = httpx2.Response(status, request=httpx2.Request("POST", "http://batch"))
    message = f"a request of the batch failed with {status}: {detail.get('message') or detail.get('code') or detail}"
    return failure(openai.APIStatusError(message, response=reply, body=detail), known)
