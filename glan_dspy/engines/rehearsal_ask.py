"""What a request wants, read once from its text: inputs, schema, output fields, kind, identity.

Prompts are either labelled lines (`Key concepts:` and then its lines) or DSPy's ChatAdapter form
(`[[ ## key_concepts ## ]]`). `inputs_of` reads both into the same names.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from dspy.lm15 import Request

Task = Literal["answer", "question", "draft", "chat"]

_LABEL = re.compile(r"([A-Z][a-z0-9]*(?: [a-z0-9]+){0,5}):(?:[ \t]+(.*))?\Z")
_HEADER = re.compile(r"^\[\[ ## (\w+) ## \]\][ \t]*", re.MULTILINE)
_REMINDER = re.compile(
    r"^Respond with (?:the corresponding output fields|a JSON object in the following order)", re.MULTILINE
)
_OUTPUT = re.compile(r"`(?:\[\[ ## )?(\w+)(?: ## \]\])?`(?: \(must be formatted as a valid Python ([^`]*)\))?")
_BULLET = re.compile(r"\s*(?:[-*•]|\d+[.)]|\[\d+\])\s+")
_QUOTES = "«»\"'“”"


@dataclass(frozen=True, slots=True)
class Output:
    """One field that a chat-form prompt asks for; `python_type` is '' for text."""

    name: str
    python_type: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as the rehearsal understands it."""

    digest: bytes
    """The identity of the request: what is said follows from these 16 bytes and the inputs alone."""
    system: str
    inputs: dict[str, str]
    schema: dict[str, Any] | None
    json_mode: bool
    outputs: tuple[Output, ...]
    """Fields named by the closing reminder of a chat-form prompt; empty for a plain prompt."""
    max_tokens: int | None
    input_bytes: int
    abstention_offered: bool
    """The prompt mentions DO NOT KNOW, so a model could use it."""

    @property
    def structured(self) -> bool:
        """Whether the reply is to be JSON."""
        return self.schema is not None or self.json_mode

    @property
    def task(self) -> Task:
        """What is to be written, in whatever form; 'chat' when nothing of GLAN's is recognised."""
        if "question" in self.inputs:
            return "answer"
        if "key_concepts" in self.inputs:
            return "question"
        return "draft" if self._wants_draft() else "chat"

    def _wants_draft(self) -> bool:
        limits = any(name.startswith("max_") and name != "max_tokens" for name in self.inputs)
        return limits or " draft" in self.system.lower()


def inputs_of(text: str) -> dict[str, str]:
    """The labelled inputs of a prompt by field name, for instance {'max_subjects': '2'}.

    A label inside a value (`Introduction:` in a syllabus) makes one more name and harms nobody; of two equal
    names the last one counts, because the sample stands behind the syllabus.
    """
    text = _without_reminder(text)
    return _chat_inputs(text) if "[[ ## " in text else _plain_inputs(text)


def items_of(value: str) -> list[str]:
    """The items of a list input: bulleted, numbered or quoted lines, a JSON list, or one line with semicolons."""
    if value.startswith("[") and value.endswith("]"):
        with suppress(orjson.JSONDecodeError):
            return [str(item) for item in orjson.loads(value)]
    lines = [_BULLET.sub("", line, count=1).strip().strip(_QUOTES) for line in value.split("\n")]
    items = [line for line in lines if line]
    if len(items) == 1 and ";" in items[0]:
        return [part.strip() for part in items[0].split(";") if part.strip()]
    return items


def read(request: Request) -> Ask:
    """The request's meaning; one pass over its big texts."""
    system = _text(request.system)
    texts = [(message.role, _text(message.parts)) for message in request.messages]
    last = next((text for role, text in reversed(texts) if role == "user"), texts[-1][1])
    form = request.config.response_format or {}
    schema = form.get("schema") or (form.get("json_schema") or {}).get("schema")
    return Ask(
        digest=_digest(request, system, texts),
        system=system,
        inputs=inputs_of(last),
        schema=schema,
        json_mode=form.get("type") == "json_object",
        outputs=_outputs(last),
        max_tokens=request.config.max_tokens,
        input_bytes=len(system.encode()) + sum(len(text.encode()) for _, text in texts),
        abstention_offered="DO NOT KNOW" in system or "DO NOT KNOW" in last,
    )


def _plain_inputs(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        label = _LABEL.match(line) if line[:1].isupper() else None
        # A draft is the last input and has labels of its own.
        if label is None or "draft" in found:
            lines.append(line)
            continue
        lines = found[label[1].lower().replace(" ", "_")] = [label[2] or ""]
    return {name: "\n".join(value).strip() for name, value in found.items()}


def _chat_inputs(text: str) -> dict[str, str]:
    parts = _HEADER.split(text)
    return {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}


def _without_reminder(text: str) -> str:
    found = _REMINDER.search(text) if "Respond with" in text else None
    return text[: found.start()] if found else text


def _outputs(text: str) -> tuple[Output, ...]:
    found = _REMINDER.search(text) if "Respond with" in text else None
    if not found:
        return ()
    pairs = _OUTPUT.findall(text[found.start() :])
    return tuple(Output(name, kind) for name, kind in pairs if name != "completed")


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(getattr(part, "text", None) or repr(part) for part in content)


def _digest(request: Request, system: str, texts: list[tuple[str, str]]) -> bytes:
    config = request.config
    seed = config.seed if config.seed is not None else (config.extensions or {}).get("seed")
    dials = (config.response_format, config.max_tokens, seed)
    hashed = hashlib.blake2b(orjson.dumps(dials, option=orjson.OPT_SORT_KEYS), digest_size=16)
    for role, text in (("system", system), *texts):
        # The length keeps two neighbouring texts from running into one another.
        hashed.update(f"{role} {len(text)}\n".encode())
        hashed.update(text.encode())
    return hashed.digest()
