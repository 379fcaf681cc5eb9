"""The languages the rehearsal speaks: word lists, templates and how a template is filled.

One JSON file a language in words/. A template names slots in braces, `{actor} in {city}`: a slot is drawn
from the list of that name, a number after the name (`{actor2}`) asks for another draw, a capital first letter
(`{Actor}`) capitalises what is drawn, `{n}`, `{p}` and `{digit}` are numbers. Languages with case and gender
keep whole phrases in their slots, so that every filling is grammatical.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random

WORD = re.compile(r"[^\W\d_]+")
_SLOT = re.compile(r"\{(\w+)\}")
_NAMES = {
    "en": "english en",
    "ko": "korean 한국어 한국말 ko kor",
    "ja": "japanese 日本語 ja jpn",
    "zh": "chinese mandarin 中文 汉语 漢語 普通话 简体中文 zh zho cmn",
    "es": "spanish español espanol castellano es spa",
    "hi": "hindi हिन्दी हिंदी hi hin",
    "ar": "arabic العربية عربي ar ara",
    "fr": "french français francais fr fra",
    "de": "german deutsch de deu",
    "pt": "portuguese português portugues pt por",
    "ru": "russian русский ru rus",
    "vi": "vietnamese việt vi vie",
}
_CODES = {name: code for code, names in _NAMES.items() for name in names.split()}
_SCRIPTS = {
    "ko": re.compile("[\uac00-\ud7a3]"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "ru": re.compile("[\u0400-\u04ff]"),
}
_LATIN = ("en", "es", "fr", "de", "pt", "vi")


@dataclass(frozen=True, slots=True)
class Template:
    """Text with slots: literals[0] slot[0] literals[1] slot[1] ... literals[-1]."""

    literals: tuple[str, ...]
    slots: tuple[tuple[str, str, bool], ...]
    """Each slot as written, the list it is drawn from, and whether to capitalise it."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language, loaded and its templates cut up."""

    code: str
    lists: dict[str, tuple[Template, ...]]
    """Every list of the file: slots, sentence roles, name patterns."""
    marks: dict[str, str]
    """Small strings: how sentences, lists and concepts are joined and quoted, labels of an outline."""
    fields: dict[str, tuple[str, ...]]
    """The usual fields, each with its disciplines."""
    common: frozenset[str]
    """The commonest words, to recognise the language by; empty where the script tells."""
    own: frozenset[str]
    """Every word of its sentences; what else stands in a question came from outside: its concepts."""

    @property
    def latin(self) -> bool:
        return self.code in _LATIN


def language_code(name: str) -> str | None:
    """The code of a language given by its English name, its own name or a code; None for one not spoken."""
    lowered = name.strip().lower()
    if code := _CODES.get(lowered):
        return code
    return next((_CODES[word] for word in re.findall(r"\w+", lowered) if word in _CODES), None)


def guess_language(text: str) -> str:
    """The language of a text by its script, Latin letters by the commonest words; 'en' when in doubt."""
    head = text[:400]
    if not head.isascii():
        counts = {code: len(script.findall(head)) for code, script in _SCRIPTS.items()}
        # Japanese prose mixes in more Han than kana; any real share of kana decides.
        if counts["ja"] * 5 > counts["zh"] > 0:
            return "ja"
        code, most = max(counts.items(), key=lambda pair: pair[1])
        if most * 4 > len(head):
            return code
    found = set(WORD.findall(head.lower()))
    return max(_LATIN, key=lambda code: len(found & words_of(code).common))


@cache
def words_of(code: str) -> Words:
    """The word lists of a language, read once a process."""
    raw = json.loads(resources.files(__package__).joinpath("words", f"{code}.json").read_text("utf-8"))
    return Words(
        code=code,
        lists={name: tuple(_compile(text) for text in texts) for name, texts in raw["lists"].items()},
        marks=raw["marks"],
        fields={name: tuple(disciplines) for name, disciplines in raw["fields"].items()},
        common=frozenset(raw["common"].split()),
        own=frozenset(
            word
            for name, texts in raw["lists"].items()
            if name not in ("adj", "noun")
            for text in texts
            for word in WORD.findall(_SLOT.sub(" ", text).lower())
        ),
    )


class Speech:
    """One reply in the making: fills templates from one stream of chance and avoids repeating a phrase."""

    def __init__(self, words: Words, rng: Random, known: dict[str, str] | None = None) -> None:
        self.words = words
        self.rng = rng
        self.known = known or {}
        self._said: set[str | int] = set()

    def say(self, role: str) -> str:
        """One sentence of a role, a name of a pattern, or one word of a list."""
        template = self._draw(self.words.lists[role])
        for _ in range(4):
            if id(template) not in self._said:
                break
            template = self._draw(self.words.lists[role])
        self._said.add(id(template))
        return self._fill(template)

    def number(self, least: int, most: int) -> int:
        return least + int(self.rng.random() * (most - least + 1))

    def _draw(self, templates: tuple[Template, ...]) -> Template:
        return templates[int(self.rng.random() * len(templates))]

    def _fill(self, template: Template) -> str:
        if not template.slots:
            return template.literals[0]
        pieces = [template.literals[0]]
        for (slot, base, capital), literal in zip(template.slots, template.literals[1:], strict=True):
            value = self._slot(slot, base)
            pieces += (value[:1].upper() + value[1:] if capital else value, literal)
        return "".join(pieces)

    def _slot(self, slot: str, base: str) -> str:
        if (value := self.known.get(slot)) is not None:
            return value
        if base == "n":
            return str(self.number(12, 980))
        if base == "p":
            return str(self.number(2, 49))
        if base == "digit":
            return str(self.number(3, 9))
        value = self._fill(self._draw(self.words.lists[base]))
        if value in self._said:
            value = self._fill(self._draw(self.words.lists[base]))
        self._said.add(value)
        return value


def _compile(text: str) -> Template:
    parts = _SLOT.split(text)
    slots = tuple((name.lower(), name.lower().rstrip("0123456789"), name[0].isupper()) for name in parts[1::2])
    return Template(tuple(parts[::2]), slots)


def joined(words: Words, items: list[str]) -> str:
    """The items as a spoken list, 'a, b and c', each quoted as the language does."""
    quoted = [words.marks["quote"].replace("*", item) for item in items]
    if len(quoted) < 2:
        return "".join(quoted)
    return words.marks["comma"].join(quoted[:-1]) + words.marks["and"] + quoted[-1]
