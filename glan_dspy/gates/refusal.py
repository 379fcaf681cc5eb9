"""Whether an answer is a refusal written as prose: "I'm sorry, but I can't help with that".

Found are refusals at an answer's opening, and anywhere in a short answer where a sentence begins. An apology counts
only with what the model cannot do after it, so "Sorry for the confusion: the mass is 3 kg" is an answer; so is a text
about refusals, and a refusal in quotation marks with something behind them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from glan_dspy.gates.phrases import answer_labels, plain, spoken
from glan_dspy.gates.verdict import Verdict

__all__ = ["refuses"]

OPENING, SHORT = 240, 300
"""Characters that make an opening, and a short answer."""

_QUOTES = "\"“”„«»「」『』‘’'"
_MARKS = " \t\r\n*_#>-–—:.,!…()[]"
_SENTENCE = re.compile(r"[.!?。！？।؟\n]+\s*")


def refuses(answer: str) -> Verdict | None:
    """A verdict "refusal" for an answer that declines to answer, in any of the languages of phrases/, or None.

    >>> refuses("I'm sorry, but I can't help with that.").found["language"]
    'en'
    >>> refuses("Sorry for the confusion earlier. The mass is 3 kg.") is None
    True
    """
    opening = answer[:OPENING].strip()
    if opening[:1] in _QUOTES and not _all_quoted(answer):
        return None
    found = _refusal(_unlabelled(opening))
    if found is None and len(answer) <= SHORT:
        starts = [match.end() for match in _SENTENCE.finditer(answer)]
        found = next((said for start in starts if (said := _refusal(answer[start:]))), None)
    if found is None:
        return None
    language, phrase = found
    return Verdict("refusal", f"the answer declines: {phrase!r}", {"language": language, "phrase": phrase})


def _refusal(text: str) -> tuple[str, str] | None:
    """The language and the words of a refusal at the text's beginning."""
    text = text.lstrip(_MARKS + _QUOTES)
    letter = _letter(text[:1])
    openings = _openings().get(letter)
    if openings is None:
        return None
    said = plain(text[:OPENING])
    if not _any_opening(letter).match(said):
        return None  # as nearly always, and quicker to see
    for language, alone, sorry, cannot in openings:
        if alone and (match := alone.match(said)):
            return language, match[0]
        if sorry and sorry.match(said) and (match := cannot.search(said)):
            return language, match[0]
    return None


def _unlabelled(opening: str) -> str:
    """The opening without "Answer:" before it."""
    label, colon, rest = opening[:80].partition(":")
    return rest + opening[80:] if colon and plain(label.strip(_MARKS)) in answer_labels() else opening


def _all_quoted(answer: str) -> bool:
    """Whether the whole of a short answer stands in quotation marks."""
    bare = answer.strip()
    return len(bare) <= SHORT and bare[-1:] in _QUOTES and not any(mark in bare[1:-1] for mark in '"“”„«»「」『』')


def _letter(letter: str) -> str:
    return letter.lower() if letter.isascii() else unicodedata.normalize("NFKC", letter).lower()[:1]


Opening = tuple[str, re.Pattern[str] | None, re.Pattern[str] | None, re.Pattern[str]]


@cache
def _openings() -> dict[str, list[Opening]]:
    """By the letter that a refusal may begin with: of each language what refuses alone, what apologises, and how."""
    openings: dict[str, list[Opening]] = {}
    for language, said in spoken().items():
        phrases = {kind: list(map(_normal, patterns)) for kind, patterns in said["refusal"].items()}
        cannot = re.compile("|".join(phrases["cannot"] + phrases["alone"]))
        for letter in {pattern[0] for kind in ("sorry", "alone") for pattern in phrases[kind]}:
            alone, sorry = (_any_of(phrases[kind], letter) for kind in ("alone", "sorry"))
            openings.setdefault(letter, []).append((language, alone, sorry, cannot))
    return openings


@cache
def _any_opening(letter: str) -> re.Pattern[str]:
    """Whatever begins a refusal with this letter, in any language."""
    patterns = (p.pattern for _, alone, sorry, _ in _openings()[letter] for p in (alone, sorry) if p)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _any_of(patterns: list[str], letter: str) -> re.Pattern[str] | None:
    fitting = [pattern for pattern in patterns if pattern.startswith(letter)]
    return re.compile("|".join(fitting)) if fitting else None


def _normal(pattern: str) -> str:
    return unicodedata.normalize("NFKC", pattern)
