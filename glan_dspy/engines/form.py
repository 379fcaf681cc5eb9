"""The form in which an endpoint takes requests: how structured output is asked for, which parameters are left out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, get_args

import orjson

from glan_dspy.engines.endpoint import Structured

Json = dict[str, Any]

LADDER: tuple[Structured, ...] = get_args(Structured)
"""Ways to ask for a JSON object, best first. The lower ones are for servers that know less:

    json_schema          as OpenAI has it
    json_object_schema   {"type": "json_object", "schema": …}: llama-cpp-python
    json_object          JSON, of any shape; the prompt shows which
    prompt               nothing but the prompt
"""

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two spellings of the token limit, each with the other."""

OPTIONAL = ("seed", "top_p", "reasoning_effort", "temperature")
"""What a request can do without, in the order in which it is given up where an error names several."""


@dataclass(frozen=True)
class Form:
    """How requests to one model at one endpoint are put."""

    structured: Structured = "json_schema"
    without: frozenset[str] = frozenset()
    """Parameters of OPTIONAL that are not sent."""
    limit: str | None = None
    """How the token limit is spelled; None: as the model's name suggests."""

    def without_what(self, name: str) -> Form | None:
        """The next form for an endpoint that refuses the parameter; None where there is no other way to put it."""
        if name == "response_format":
            return self.lower()
        if name in LIMITS:  # never without any limit: the reply could run on, and be paid for, without end
            return replace(self, limit=LIMITS[name]) if self.limit is None else None
        return replace(self, without=self.without | {name}) if name not in self.without else None

    def lower(self) -> Form | None:
        place = LADDER.index(self.structured) + 1
        return replace(self, structured=LADDER[place]) if place < len(LADDER) else None

    def merged(self, other: Form, *, structured: bool) -> Form:
        """This form with what the other leaves out as well; with `structured`, the lower way of the two."""
        way = max(self.structured, other.structured, key=LADDER.index) if structured else self.structured
        return Form(way, self.without | other.without, other.limit or self.limit)

    def fitted(self, body: Json, fixed: Collection[str] = ()) -> Json:
        """The body of a Chat Completions request in this form. What the user fixed by --extra-body stays as it is."""
        for name in self.without:
            if name not in fixed:
                body.pop(name, None)
        if self.limit and (other := LIMITS[self.limit]) in body and other not in fixed:
            body[self.limit] = body.pop(other)
        if self.structured != "json_schema" and "response_format" in body and "response_format" not in fixed:
            _put_lower(body, self.structured)
        return body


def _put_lower(body: Json, way: Structured) -> None:
    asked = body.pop("response_format")
    schema = (asked.get("json_schema") or {}).get("schema")
    if way == "json_object_schema" and schema:
        body["response_format"] = {"type": "json_object", "schema": schema}
        return
    if way != "prompt":
        body["response_format"] = {"type": "json_object"}
    messages: list[Json] = body["messages"]
    if schema and not shows_shape("\n".join(str(message["content"]) for message in messages), schema):
        system = messages[0]["content"] if messages and messages[0]["role"] == "system" else None
        first = {"role": "system", "content": with_schema(system, schema)}
        body["messages"] = [first, *messages[1 if system is not None else 0 :]]


def shows_shape(text: str, schema: Json) -> bool:
    """Whether a prompt already says what object is wanted: each of its keys stands there in quotes."""
    return all(f'"{name}"' in text for name in schema.get("properties", {}))


def with_schema(system: str | None, schema: Json) -> str:
    """A system message that says what the request's form does not."""
    words = f"Reply with one JSON object that fits this schema:\n{orjson.dumps(schema).decode()}"
    return f"{system}\n\n{words}" if system else words
