"""What the rehearsal says to a request: a structured value or prose, under the request's token limit."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import orjson

from glan_dspy.engines import rehearsal_prose as prose
from glan_dspy.engines.rehearsal_ask import Ask, Output, items_of
from glan_dspy.engines.rehearsal_values import Walk, entries_of, part_kind
from glan_dspy.engines.rehearsal_words import Words, guess_language, language_code, words_of

GREETING = "Hello! The rehearsal model is here and ready; everything I say is made up on this machine."
_SCHEMA_NOTE = "must adhere to the JSON schema: "

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Said:
    """A reply's text and whether the token limit cut it."""

    text: str
    finish: Finish = "stop"


def reply(ask: Ask, words: Words, rng: Random) -> Said:
    """What a faultless model says; a pure function of its arguments."""
    if ask.structured:
        return _cut(_json(_structured(ask, words, rng)), ask.max_tokens)
    if ask.outputs:
        return _chat_form(ask, words, rng)
    return _under_limit(_pieces(ask, words, rng), _glue(ask, words), ask.max_tokens)


def language_of(ask: Ask) -> Words:
    """The language to reply in: as told, else as the question is written, else English."""
    # DSPy's own adapters write an input that was left out as None.
    if (told := ask.inputs.get("language")) and told != "None":
        return words_of(language_code(told) or "en")
    return words_of(guess_language(ask.inputs.get("question") or ask.inputs.get("draft", "")))


def duplicate(ask: Ask, words: Words, bucket: int, copy: int) -> Said:
    """One of a few questions that many items of a discipline get; a copy may differ in its first figure."""
    # A text seed: equal for every item of the bucket, whatever its concepts are.
    rng = Random(f"bucket {bucket} of {ask.inputs.get('discipline', '')}")
    pieces = prose.question(words, rng, [], words.lists["something"][0].literals[0])
    text = re.sub(r"\d+", lambda figure: str(int(figure[0]) + copy), words.marks["space"].join(pieces), count=1)
    return _wrapped(ask, _cut(text, ask.max_tokens))


def plain(ask: Ask, text: str) -> Said:
    """A given text as the reply, in the form the prompt asks for."""
    return _wrapped(ask, _cut(text, ask.max_tokens))


def estimate(text: str) -> int:
    """Roughly how many tokens a text has: four bytes of UTF-8 each, at least one."""
    return tokens_in(len(text.encode()))


def tokens_in(size: int) -> int:
    return max(1, -(-size // 4))


def _pieces(ask: Ask, words: Words, rng: Random) -> list[str]:
    concepts = items_of(ask.inputs.get("key_concepts", ""))
    match ask.task:
        case "answer":
            return prose.answer(words, rng, ask.inputs["question"], concepts)
        case "question":
            return prose.question(words, rng, concepts, _topic(ask, words))
        case "draft":
            return _draft(ask, words, rng)
        case _:
            return [GREETING]


def _draft(ask: Ask, words: Words, rng: Random) -> list[str]:
    kind, part = ("session", "key_concepts") if _is_about_a_subject(ask) else ("subject", "subtopics")
    if not _is_about_a_subject(ask) and "discipline" not in ask.inputs and any("field" in n for n in ask.inputs):
        kind = "field"
    walk = _walk(ask, words, rng)
    names = walk.value({"type": "array", "items": {"type": "string"}}, f"{kind}s")
    return prose.draft(words, rng, names, walk.topic, part, walk.limit(part) or 5)


def _structured(ask: Ask, words: Words, rng: Random) -> Any:
    walk = _walk(ask, words, rng)
    if ask.schema is not None:
        walk.definitions = ask.schema.get("$defs") or ask.schema.get("definitions") or {}
        return walk.value(ask.schema)
    return {output.name: _field_value(ask, walk, output) for output in ask.outputs}


def _field_value(ask: Ask, walk: Walk, output: Output) -> Any:
    """One field of a prompt in DSPy's own form, whose schema, if any, stands in the system text."""
    if not output.python_type:
        return walk.value({"type": "string"}, output.name)
    for header in (f"[[ ## {output.name} ## ]]\n", f'"{output.name}": '):
        place = ask.system.find(header + "{" + output.name + "}")
        place = place if place >= 0 else ask.system.find(f'{header}"{{{output.name}}}')
        line = ask.system[place + len(header) :].split("\n", 1)[0] if place >= 0 else ""
        if _SCHEMA_NOTE in line:
            return walk.value(_noted_schema(walk, line), output.name)
    if output.python_type.startswith("Literal["):
        return walk.value({"enum": ast.literal_eval(output.python_type.removeprefix("Literal"))}, output.name)
    simple = {"int": "integer", "float": "number", "bool": "boolean"}.get(output.python_type)
    if simple is None and output.python_type.startswith("list"):
        return walk.value({"type": "array"}, output.name)
    return walk.value({"type": simple or "string"}, output.name)


def _noted_schema(walk: Walk, line: str) -> dict[str, Any]:
    noted = line.split(_SCHEMA_NOTE, 1)[1]
    # JSONAdapter shows the note inside a JSON string, so its quotes come escaped.
    noted = noted.replace('\\"', '"') if noted.startswith('{\\"') else noted
    schema: dict[str, Any] = json.JSONDecoder().raw_decode(noted)[0]
    walk.definitions = schema.get("$defs") or {}
    return schema


def _chat_form(ask: Ask, words: Words, rng: Random) -> Said:
    """Every output field under its header, as ChatAdapter reads them."""
    walk = _walk(ask, words, rng)
    main = next((one.name for one in ask.outputs if part_kind(one.name) == "prose"), ask.outputs[-1].name)
    finish: Finish = "stop"
    sections = []
    for output in ask.outputs:
        if output.name == main and not output.python_type:
            said = _under_limit(_pieces(ask, words, rng), _glue(ask, words), ask.max_tokens)
            found, finish = said.text, said.finish
        else:
            found = _field_value(ask, walk, output)
        value = found if isinstance(found, str) else _json(found)
        sections.append(f"[[ ## {output.name} ## ]]\n{value}")
    return Said("\n\n".join([*sections, "[[ ## completed ## ]]"]), finish)


def _wrapped(ask: Ask, said: Said) -> Said:
    if not ask.outputs or ask.structured or not said.text:
        return said
    return Said(f"[[ ## {ask.outputs[-1].name} ## ]]\n{said.text}\n\n[[ ## completed ## ]]", said.finish)


def _walk(ask: Ask, words: Words, rng: Random) -> Walk:
    limits = {
        name.removeprefix("max_").removeprefix("number_of_"): int(value)
        for name, value in ask.inputs.items()
        if name.startswith("max_") and value.isdecimal()
    }

    def body() -> str:
        return _glue(ask, words).join(_pieces(ask, words, rng))

    return Walk(
        words=words,
        rng=rng,
        topic=_topic(ask, words),
        limits=limits,
        entries=entries_of(ask.inputs.get("draft", "")),
        definitions={},
        prose=None if ask.task == "chat" else body,
    )


def _topic(ask: Ask, words: Words) -> str:
    """What the names are about, kept short so that names of names do not grow."""
    subject, discipline = (
        _first_of(ask, "subject", "subject_name"),
        _first_of(ask, "discipline", "field", "topic"),
    )
    if subject and (len(subject) <= 24 or not discipline):
        return subject
    return discipline or subject or words.lists["something"][0].literals[0]


def _first_of(ask: Ask, *names: str) -> str:
    return next((value for name in names if (value := ask.inputs.get(name, "").split("\n", 1)[0])), "")


def _is_about_a_subject(ask: Ask) -> bool:
    return bool(_first_of(ask, "subject", "subject_name")) or any("session" in name for name in ask.inputs)


def _glue(ask: Ask, words: Words) -> str:
    return {"answer": "\n\n", "draft": "\n"}.get(ask.task, words.marks["space"])


def _under_limit(pieces: list[str], glue: str, limit: int | None) -> Said:
    """The pieces joined; the last but one is dropped until the text fits, for the last one completes it."""
    text = glue.join(pieces)
    while limit is not None and len(pieces) > 1 and estimate(text) > limit:
        pieces = [*pieces[:-2], pieces[-1]]
        text = glue.join(pieces)
    return _cut(text, limit)


def _cut(text: str, limit: int | None) -> Said:
    if limit is None or estimate(text) <= limit:
        return Said(text)
    return Said(text.encode()[: limit * 4].decode(errors="ignore"), "length")


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
