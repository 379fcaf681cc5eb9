"""Structured values: a walk over a JSON schema, with words chosen by property names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from glan_dspy.engines.rehearsal_prose import names_pool, phrases, sentence
from glan_dspy.engines.rehearsal_words import Words

_NAMES = {"name", "title", "label", "heading"}
_SENTENCES = {
    "description", "introduction", "summary", "overview", "rationale", "reason", "comment", "explanation",
    "feedback", "outcome", "outline", "text", "reasoning", "justification", "abstract", "why",
}  # fmt: skip
_FIELDS = {"field", "discipline", "subfield", "area", "domain"}
_HIGH_MARKS = {"score", "rating", "quality", "grade", "mark", "usefulness", "confidence"}
_MARKS = (1, 1, 2, 8, 12)
"""How often a judge gives each of 1 to 5."""
_FAULTS = {
    "refusal",
    "refused",
    "duplicate",
    "contaminated",
    "error",
    "broken",
    "wrong",
    "harmful",
    "unsafe",
    "rejected",
}
_ENTRY = re.compile(r"^\s*\d+[.)]\s+(.+)$", re.MULTILINE)
_LEVELLED = re.compile(r"(.+?)\s*[(（]\D*([1-9]00)\D*[)）]")
_SENTENCE_END = re.compile(r"[.。।](?:\s|$)|。")
_ENTRY_ITEMS = re.compile(r"[:：]\s*([^:：]*[;；、][^:：]*?)[.。।]?\s*$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One numbered line of a draft."""

    name: str
    level: int | None = None
    items: tuple[str, ...] = ()


@dataclass(slots=True)
class Walk:
    """One structured reply in the making."""

    words: Words
    rng: Random
    topic: str
    limits: dict[str, int]
    """How many of what were asked for: {'subjects': 2} from the input 'Max subjects: 2'."""
    entries: list[Entry]
    definitions: dict[str, Any]
    prose: Callable[[], str] | None = None
    """Writes what stands in a field named question, answer or draft."""
    taken: set[str] = field(default_factory=set)

    def value(self, schema: dict[str, Any], name: str = "", owner: str = "", entry: Entry | None = None) -> Any:
        """A value that the schema allows; `owner` is the name of the list around it."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            return entry.level if entry and entry.level in options else self._option(options)
        match schema.get("type") or ("object" if "properties" in schema else "string"):
            case "object":
                return self._object(schema, owner or name, entry)
            case "array":
                return self._array(schema, name, entry)
            case "integer" | "number" as kind:
                return self._number(schema, name, kind, entry)
            case "boolean":
                return _stem(name) not in _FAULTS
            case "null":
                return None
            case _:
                return self._string(schema, name, owner, entry)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if reference := schema.get("$ref"):
            return self._resolved(self.definitions[reference.rsplit("/", 1)[-1]])
        for choice in ("anyOf", "oneOf", "allOf"):
            if options := schema.get(choice):
                return self._resolved(next((o for o in options if o.get("type") != "null"), options[0]))
        if isinstance(kinds := schema.get("type"), list):
            return schema | {"type": next((kind for kind in kinds if kind != "null"), "null")}
        return schema

    def _object(self, schema: dict[str, Any], owner: str, entry: Entry | None) -> dict[str, Any]:
        if properties := schema.get("properties"):
            return {name: self.value(part, name, owner, entry) for name, part in properties.items()}
        if isinstance(rest := schema.get("additionalProperties"), dict):
            return {key: self.value(rest, owner) for key in phrases(self.words, self.rng, 3, self.taken)}
        return {}

    def _array(self, schema: dict[str, Any], name: str, entry: Entry | None) -> list[Any]:
        parts = self._resolved(schema.get("items") or {"type": "string"})
        kind = part_kind(name)
        is_list_of_objects = parts.get("type") == "object" or "properties" in parts
        if self.entries and is_list_of_objects:
            entries, self.entries = self.entries, []
            count = self._count(schema, name, kind, most=len(entries))
            return [self.value(parts, "", name, one) for one in entries[:count]]
        listed = len(entry.items) if entry and entry.items else None
        names = self._names(kind, self._count(schema, name, kind, most=listed), entry, name)
        if is_list_of_objects:
            return [self.value(parts, "", name, Entry(one)) for one in names]
        if parts.get("type", "string") == "string" and not parts.get("enum"):
            if kind == "sentence":
                return [sentence(self.words, self.rng, self.topic) for _ in names]
            return names
        if options := parts.get("enum"):
            return list(self.rng.sample(options, min(len(names), len(options))))
        return [self.value(parts, _stem(name)) for _ in names]

    def _count(self, schema: dict[str, Any], name: str, kind: str, most: int | None = None) -> int:
        least, upper = schema.get("minItems", 0), schema.get("maxItems", 10_000)
        if most is not None:
            wanted = most
        elif limit := self.limit(name):
            wanted = limit if limit <= 5 else self.rng.randint(-(-limit * 4 // 5), limit)
        else:
            wanted = self.rng.randint(4, 6) if kind == "concept" else self.rng.randint(3, 5)
        return int(max(least, min(wanted, upper, self.limit(name) or wanted)))

    def limit(self, name: str) -> int | None:
        """How many of a list the request allows, by the list's name or its last word."""
        if (limit := self.limits.get(name)) is not None:
            return limit
        if name.startswith("sub_"):
            # A limit on fields is none on what each is divided into.
            return None
        stem = _stem(name)
        return next((n for what, n in self.limits.items() if stem in map(_singular, what.split("_"))), None)

    def _names(self, kind: str, count: int, entry: Entry | None, name: str = "") -> list[str]:
        """Distinct names of one kind: those of the draft, of the usual taxonomy, or of the topic's pool."""
        if entry and entry.items:
            return list(entry.items[:count])
        if kind in ("subject", "session"):
            pool = names_pool(self.words, kind, self.topic, max(6, count * 8 // 5 + 2))
            return self.rng.sample(pool, min(count, len(pool)))
        if kind == "field":
            return self._fields(name, count, entry)
        return phrases(self.words, self.rng, count, self.taken)

    def _fields(self, name: str, count: int, entry: Entry | None) -> list[str]:
        fields = self.words.fields
        if entry is None:
            own = tuple(fields) if name != "disciplines" else tuple(one for many in fields.values() for one in many)
        else:
            # What stands below a field is on its list; what stands below that is a part of it.
            own = fields.get(entry.name) or names_pool(self.words, "subject", entry.name, count + 6)
        spare = names_pool(self.words, "field", self.topic, count + len(self.taken) + 8)
        free = [one for one in own if one not in self.taken]
        self.rng.shuffle(free)
        found = (free + [one for one in spare if one not in self.taken])[:count]
        self.taken.update(found)
        return found

    def _option(self, options: list[Any]) -> Any:
        """One of them; of marks mostly a high one, as _number gives."""
        return self.rng.choices(options, _MARKS)[0] if options == [1, 2, 3, 4, 5] else self.rng.choice(options)

    def _number(self, schema: dict[str, Any], name: str, kind: str, entry: Entry | None) -> int | float:
        if _stem(name) == "level" and "maximum" not in schema:
            return entry.level if entry and entry.level else self.rng.randrange(1, 10) * 100
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 11) - ("exclusiveMaximum" in schema))
        if _stem(name) == "level":
            return _hundreds(self.rng, low, high)
        # A judge in a rehearsal is content, so that a rehearsed run comes through its gates.
        share = 0.75 + self.rng.random() / 4 if _stem(name) in _HIGH_MARKS else self.rng.random()
        if kind == "number":
            return round(float(low + (high - low) * share), 3)
        step = schema.get("multipleOf", 1)
        return int(low + round((high - low) * share) // step * step)

    def _string(self, schema: dict[str, Any], name: str, owner: str, entry: Entry | None) -> str:
        text = self._said(name, owner, entry)
        text = text.ljust(schema.get("minLength", 0), ".")
        return text[: schema.get("maxLength", len(text))]

    def _said(self, name: str, owner: str, entry: Entry | None) -> str:
        kind = part_kind(name)
        if kind == "prose" and self.prose:
            return self.prose()
        if kind == "level":
            return str(entry.level if entry and entry.level else self.rng.randrange(1, 10) * 100)
        if kind == "sentence":
            return sentence(self.words, self.rng, self.topic)
        if entry and (kind == "name" or kind == part_kind(owner)):
            return entry.name
        return self._names(part_kind(owner) if kind == "name" else kind, 1, None)[0]


def part_kind(name: str) -> str:
    """What a property holds: subject, session, field, concept, name, level, prose, sentence or phrase."""
    words = [_singular(word) for word in name.lower().partition("_of_")[0].split("_") if word]
    last = words[-1] if words else ""
    if last in _NAMES:
        last = words[-2] if len(words) > 1 else "name"
    if last in _FIELDS:
        return "field"
    if last in _SENTENCES:
        return "sentence"
    if last in ("question", "answer", "draft"):
        return "prose"
    return last if last in ("subject", "session", "concept", "level", "name") else "phrase"


def entries_of(draft: str) -> list[Entry]:
    """The numbered lines of a draft: name, level and listed parts as far as they can be read."""
    return [_entry(line) for line in _ENTRY.findall(draft)]


def _entry(line: str) -> Entry:
    line = line.replace("**", "").strip()
    levelled = _LEVELLED.match(line)
    name = levelled[1] if levelled else _SENTENCE_END.split(line, maxsplit=1)[0]
    # "Interference: how waves meet" is a name and its description, "Optics: boundary flow" is a name.
    name = name if len(name) <= 60 else name.partition(":")[0]
    items = _ENTRY_ITEMS.search(line)
    parts = re.split(r"\s*[;；、]\s*", items[1]) if items else []
    level = int(levelled[2]) if levelled else None
    return Entry(name.strip(), level, tuple(dict.fromkeys(part for part in parts if part)))


def _hundreds(rng: Random, low: int, high: int) -> int:
    choices = [level for level in range(100, 1000, 100) if low <= level <= high]
    return rng.choice(choices) if choices else int(low)


def _stem(name: str) -> str:
    """The last word in the singular: 'field' of 'sub_fields' and of 'fields_of_knowledge'."""
    return _singular(name.lower().partition("_of_")[0].rsplit("_", 1)[-1])


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
