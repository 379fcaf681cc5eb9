"""An OpenAI-compatible server that fails in every way there is, and remembers what it did to whom.

What it says follows from what it was asked alone: the questions from their sample, the answers from their
question. So whoever holds a record can tell whether it is the right one.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Protocol

import orjson
from aiohttp import web

from glan_dspy.engines.rehearsal_ask import inputs_of, items_of
from tests.serving import hosted

Json = dict[str, Any]
Who = tuple[str, str]
"""A stage and what it was asked about: the discipline, the subject, the sample, the question."""

TRANSPORT = ("rate_limit", "server_error", "html", "html_502", "half_a_body", "reset", "no_choices")
"""No reply at all: sent again until there is one."""

REASONS = {
    "content_filter": "content_filter",
    "length": "truncated",
    "refusal": "refusal",
    "unknown_finish": "unknown_finish",
    "invalid_json": "unparseable",
    "wrong_shape": "unparseable",
    "empty": "empty",
}
"""Replies that cannot be used, with the reason under which such an item is to be rejected."""

HARMLESS = ("usage_missing", "usage_nonsense")
GOOD = ("well", *HARMLESS)

STRUCTURED_ONLY = ("invalid_json", "wrong_shape")
KINDS = (*TRANSPORT, *REASONS, *HARMLESS)


def question_about(subject: str, sessions: list[str], concepts: list[str]) -> str:
    return f"How do {' and '.join(concepts)} work together in {' and '.join(sessions)} of {subject}?"


def answer_to(question: str) -> str:
    mark = hashlib.sha256(question.encode()).hexdigest()[:16]
    return f"The steps lead to result {mark}, by $\\theta = \\frac{{1}}{{2}}$."


class BadServer:
    """The share of faults, and the memory of all that was done."""

    def __init__(self, share: float = 0.2, cursed: float = 0.03) -> None:
        self.share, self.cursed = share, cursed
        self.requests: Counter[str] = Counter()
        self.done: dict[Who, list[str]] = defaultdict(list)
        """To whom, in order: a kind of fault, or "well"."""
        self.said: dict[Who, str] = {}
        """The text of the last reply to each."""
        self.in_flight = 0

    def app(self) -> web.Application:
        return Completions(self).app()

    @property
    def paid(self) -> Counter[str]:
        """How often each was answered, well or not."""
        return Counter({repr(who): sum(kind not in TRANSPORT for kind in kinds) for who, kinds in self.done.items()})

    @property
    def paid_again(self) -> int:
        """Replies to those that had a good one already."""
        after = 0
        for kinds in self.done.values():
            good = next((place for place, kind in enumerate(kinds) if kind in GOOD), len(kinds))
            after += sum(kind not in TRANSPORT for kind in kinds[good + 1 :])
        return after

    @property
    def kinds(self) -> Counter[str]:
        return Counter(kind for kinds in self.done.values() for kind in kinds)

    async def complete(self, http: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        try:
            return await self._complete(http)
        finally:
            self.in_flight -= 1

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        raw = await http.read()
        body = orjson.loads(raw)
        who, text = reply_to(inputs_of(body["messages"][-1]["content"]))
        kind = self._kind(who, raw)
        self.done[who].append(kind)
        if kind in TRANSPORT:
            return await fail(kind, http)
        reply = spoilt(kind, text)
        self.said[who] = reply["choices"][0]["message"]["content"] or ""
        return web.json_response(reply)

    def _kind(self, who: Who, raw: bytes) -> str:
        """Drawn from the request and how often it came, so that sending it again can heal it.

        A few questions and answers are cursed: asked anew they get the same useless reply again.
        """
        structured = who[0] in ("subjects", "syllabus")
        kinds = [*TRANSPORT, *HARMLESS, *(kind for kind in REASONS if (kind in STRUCTURED_ONLY) <= structured)]
        fate = Random(repr(who))
        if who[0] != "subjects" and fate.random() < self.cursed:
            return fate.choice([kind for kind in kinds if kind in REASONS])
        key = hashlib.sha256(raw).hexdigest()
        self.requests[key] += 1
        chance = Random(f"{key}{self.requests[key]}")
        if chance.random() >= self.share * (2 if structured else 1):
            return "well"
        # The structured requests are few: more of them fail, so that they meet the faults that only they have.
        return chance.choice([*kinds, *STRUCTURED_ONLY * 2] if structured else kinds)


def reply_to(inputs: dict[str, str]) -> tuple[Who, str]:
    """Who is asked about, and the good reply."""
    if "question" in inputs:
        return ("answer", inputs["question"]), answer_to(inputs["question"])
    if "key_concepts" in inputs:
        sessions, concepts = items_of(inputs["sessions"]), items_of(inputs["key_concepts"])
        question = question_about(inputs["subject"], sessions, concepts)
        return ("question", question), question
    if "subject" in inputs:
        name = inputs["subject"]
        sessions_of = [
            {
                "name": f"Session {number} of {name}",
                "description": "What is taught.",
                "key_concepts": [f"concept {number}.{letter} of {name}" for letter in "abcde"],
            }
            for number in range(1, int(inputs["max_sessions"]) + 1)
        ]
        return ("syllabus", name), orjson.dumps({"introduction": "Hello.", "sessions": sessions_of}).decode()
    name = inputs["discipline"]
    subjects = [
        {"name": f"Part {number} of {name}", "level": 100 * number, "subtopics": ["one", "two"]}
        for number in range(1, int(inputs["max_subjects"]) + 1)
    ]
    return ("subjects", name), orjson.dumps({"subjects": subjects}).decode()


async def fail(kind: str, http: web.Request) -> web.StreamResponse:
    match kind:
        case "rate_limit":
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"retry-after": "0.01"})
        case "server_error":
            return web.json_response({"error": {"message": "boom"}}, status=500)
        case "html" | "html_502":
            page = "<html><h1>Bad gateway</h1></html>"
            return web.Response(text=page, content_type="text/html", status=200 if kind == "html" else 502)
        case "no_choices":
            return web.json_response({"id": "x", "choices": []})
    assert http.transport is not None
    if kind == "half_a_body":
        response = web.StreamResponse(headers={"content-length": "5000", "content-type": "application/json"})
        await response.prepare(http)
        await response.write(b'{"choices": [{"message": {"content": "Ha')
        http.transport.close()
        return response
    http.transport.abort()
    return web.Response()


def spoilt(kind: str, text: str) -> Json:
    """A reply with its fault, or without one."""
    finish = {"content_filter": "content_filter", "length": "length", "unknown_finish": "banana"}.get(kind, "stop")
    match kind:
        case "length":
            text = text[: len(text) * 2 // 3]
        case "invalid_json":
            text = f"Sure! {text[1:-9]}"
        case "wrong_shape":
            text = '{"subjects": "none", "sessions": [{"title": "x"}]}'
        case "empty":
            text = ""
    refusal = "I cannot help with that." if kind == "refusal" else None
    message: Json = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
    reply: Json = {"id": "x", "model": "m", "choices": [{"index": 0, "finish_reason": finish, "message": message}]}
    if kind == "usage_nonsense":
        reply["usage"] = {"prompt_tokens": "many", "completion_tokens": -3}
    elif kind != "usage_missing":
        reply["usage"] = {"prompt_tokens": 100, "completion_tokens": len(text) // 4}
    return reply


class Server(Protocol):
    async def complete(self, http: web.Request) -> web.StreamResponse: ...


@contextmanager
def running(server: Server) -> Iterator[str]:
    """The base URL while the context lasts; the server has a thread of its own."""
    with hosted(Completions(server)) as host:
        yield host.base_url


class Completions:
    """A server of this one address."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.server.complete)
        return app
