"""A loopback server with canned replies, fast enough that it is not what a measurement shows.

    python -m benchmarks.fast_server --latency 1.0

Over 5,000 chat completions a second on one core (`benchmarks.speed` measures it in passing): an
asyncio.Protocol that looks at nothing but the length of a request, on uvloop where that is installed.
The first part of the path names the reply, so that the base URL of a client decides what it gets:

    /text/v1        prose of ~1 KB                       /json/v1        a syllabus of ~3 KB as JSON
    /chat-text/v1   the same as DSPy's ChatAdapter reads it        /chat-json/v1
    /run/v1         what a whole run asks for: a subject list or a syllabus of ~3 KB, or else prose

`--latency S` answers after a time drawn from a lognormal distribution with median S and sigma 0.5, by a
timer of the loop: no thread sleeps. GET /times gives back when each answer was sent, in seconds, and forgets it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import itertools
import json
import math
import random
import re
import time
from collections.abc import Callable
from typing import cast

SIGMA = 0.5
PLACE = "#######"
"""Stands for the number of the reply."""

PROSE = (
    "Consider a thin film of refractive index $n = \\frac{4}{3}$ on a glass plate, lit at the angle \\theta. "
    'State every assumption, "as in the lecture", and show each step.\n'
)


def prose(size: int = 1000) -> str:
    return (PROSE * (size // len(PROSE) + 1))[:size]


def syllabus() -> dict[str, object]:
    """An object that DesignSyllabus validates, ~3 KB as JSON: ten sessions of five concepts."""
    sessions = [
        {
            "name": f"Session {number}: interference of the order {number}",
            "description": f"How waves of order {number} add up, from Huygens' construction to the measured pattern.",
            "key_concepts": [f"concept {number}.{index} of coherence" for index in range(1, 6)],
        }
        for number in range(1, 11)
    ]
    return {"introduction": prose(300), "sessions": sessions}


def subjects() -> dict[str, object]:
    """An object that ListSubjects validates, ~3 KB as JSON: fifteen subjects, named anew in each reply."""
    names = [f"Wave Optics {PLACE}, Part {number}" for number in range(1, 16)]
    topics = [f"subtopic {index} with its laboratory" for index in range(1, 5)]
    return {"subjects": [{"name": name, "level": 300, "subtopics": topics} for name in names]}


def as_chat(fields: dict[str, object]) -> str:
    """The fields as DSPy's ChatAdapter asks for them."""
    text = ((name, value if isinstance(value, str) else json.dumps(value)) for name, value in fields.items())
    return "".join(f"[[ ## {name} ## ]]\n{value}\n\n" for name, value in text) + "[[ ## completed ## ]]"


def http_reply(content: str) -> bytes:
    """A whole HTTP answer with a chat completion of this content."""
    body = json.dumps(
        {
            "id": "chatcmpl-0123456789abcdef0123456789",
            "object": "chat.completion",
            "created": 1767225600,
            "model": "x",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 700,
                "completion_tokens": len(content) // 4,
                "total_tokens": 700 + len(content) // 4,
                "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "system_fingerprint": "fp_0123456789",
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return (head + "x-request-id: req_0123456789abcdef\r\nx-ratelimit-remaining-requests: 9999\r\n\r\n").encode() + body


REPLIES = {
    b"text": http_reply(prose()),
    b"json": http_reply(json.dumps(syllabus())),
    b"chat-text": http_reply(as_chat({"answer": prose()})),
    b"chat-json": http_reply(as_chat(syllabus())),
}
SUBJECTS = http_reply(json.dumps(subjects()))
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


_NUMBERS = itertools.count()


def reply_to(path: bytes, body: bytes) -> bytes:
    if path != b"run":
        return REPLIES[path]
    if b'"response_format"' not in body:
        return REPLIES[b"text"]
    if b"ListSubjects" not in body:
        return REPLIES[b"json"]
    return SUBJECTS.replace(PLACE.encode(), b"%07d" % next(_NUMBERS))


class Answers:
    """What the connections share: how long an answer takes, and when each was sent."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.sent: list[float] = []

    def seconds(self) -> float:
        return random.lognormvariate(math.log(self.latency), SIGMA) if self.latency else 0.0

    def times(self) -> bytes:
        body, self.sent = json.dumps(self.sent).encode(), []
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


class Connection(asyncio.Protocol):
    """One request after the other; the next one comes when the last one was answered."""

    transport: asyncio.Transport

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        self.buffer = data = self.buffer + data if self.buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(data, 0, end)
        if len(data) < end + 4 + (int(found[1]) if found else 0):
            return
        self.buffer = b""
        if data.startswith(b"GET"):
            self.transport.write(self.answers.times())
            return
        path = data[: data.index(b"\r\n")].split(b" ", 2)[1].split(b"/", 2)[1]
        reply = reply_to(path, data[end + 4 :])
        if seconds := self.answers.seconds():
            asyncio.get_running_loop().call_later(seconds, self.answer, reply)
        else:
            self.answer(reply)

    def answer(self, reply: bytes) -> None:
        if not self.transport.is_closing():
            self.answers.sent.append(time.monotonic())
            self.transport.write(reply)


async def serve(latency: float, port: int = 0) -> None:
    answers = Answers(latency)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(answers), "127.0.0.1", port, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where that package is installed."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, which is printed")
    parser.add_argument("--latency", type=float, default=0.0, help="median seconds until an answer")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(serve(arguments.latency, arguments.port))


if __name__ == "__main__":
    main()
