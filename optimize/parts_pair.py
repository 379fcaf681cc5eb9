"""The parts of the metric that look at a question or an answer: each says how good it is, and in words what is wrong.

A part gives (1.0, "") where nothing is wrong, and None where it cannot be told.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from glan_dspy.gates.abstention import abstains
from glan_dspy.gates.cut import cut_short
from glan_dspy.gates.language import can_tell, scores, wrong_language
from glan_dspy.gates.languages import code_of, taken_for
from glan_dspy.gates.leak import leaks
from glan_dspy.gates.prose import letters
from glan_dspy.gates.refusal import refuses
from glan_dspy.optimize.parts_form import any_of
from glan_dspy.optimize.parts_words import Told, content, quote, repeated, rising, size, stems, term
from glan_dspy.records import Sample, Subject, Syllabus

__all__ = [
    "adds",
    "in_language",
    "learned_only",
    "long_enough",
    "own_words",
    "related",
    "said_once",
    "same_language",
    "self_contained",
    "tokens",
    "uses_concepts",
    "whole",
]

FINE: Told = (1.0, "")


def in_language(text: str, language: str, what: str = "It") -> Told | None:
    """0 for a text that is surely in another language, else 1; None for a language that cannot be told."""
    if not can_tell(language):
        return None
    if verdict := wrong_language(text, language):
        return 0.0, f"{what} is not in {language} ({verdict.detail}); write all of it in {language}."
    return FINE


def long_enough(text: str, least: int, enough: int, limit: int) -> Told:
    """Rising from `least` letters to `enough`, falling from `limit` tokens to one and a half times as many."""
    if (short := rising(size(text), least, enough)) < 1:
        return short, f"It is very short ({size(text)} letters); say all that is needed."
    if (long := rising(tokens(text), limit * 1.5, limit)) < 1:
        return long, f"It has about {tokens(text):,} tokens; at most {limit:,} are allowed."
    return FINE


def tokens(text: str) -> int:
    """Roughly how many tokens a text has: four bytes of UTF-8 each."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


def said_once(text: str) -> Told:
    """1 for up to a fifth of phrases said before, 0 from half of them on."""
    again = repeated(text)
    if (value := rising(again, 0.5, 0.2)) < 1:
        return value, f"{again:.0%} of its phrases are said again and again; say each thing once."
    return FINE


def self_contained(question: str, language: str) -> Told:
    """0 for a question that speaks of its prompt, of a lesson, or of a table, figure or text that is not there."""
    if (verdict := leaks(question, language)) and verdict.found["kind"] != "answer":
        return 0.0, f"It cannot be understood by itself: {verdict.detail}. Put all that is needed into the question."
    if found := _elsewhere().search(question.lower().replace("'", "’")):
        return 0.0, f'It leans on something outside itself ("{found[0]}"); put all that is needed into the question.'
    return FINE


@cache
def _elsewhere() -> re.Pattern[str]:
    return re.compile(any_of("elsewhere"))


# --- beside the curriculum ------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _curriculum(subject: Subject, syllabus: Syllabus) -> str:
    lines = [subject.name, *subject.subtopics]
    for session in syllabus.sessions:
        lines += [session.name, *session.key_concepts]
    return ". ".join(lines)


@lru_cache(maxsize=2048)
def same_language(subject: Subject, syllabus: Syllabus, language: str) -> bool:
    """Whether the curriculum is written in `language`, so that its words can be looked for in a question."""
    code = code_of(language)
    found = scores(letters(_curriculum(subject, syllabus)), 1)
    return bool(code and found and found[0][0] in taken_for(code))


def own_words(question: str, subject: Subject, syllabus: Syllabus) -> Told:
    """How much the question says that the curriculum does not: low for its lines pasted or its terms in a row."""
    said = content(question)
    own = said - content(_curriculum(subject, syllabus))
    value = min(rising(len(own), 4, 12), rising(len(own) / max(len(said), 1), 0.3, 0.5))
    if value < 1:
        return value, "It mostly repeats names and terms of the curriculum; write a task with facts of its own."
    return FINE


def uses_concepts(question: str, sample: Sample) -> Told:
    """The share of the sample's concepts that the question names, by words of the same language.

    At most 0.4 where one of two sessions is left out: "together" means across them.
    """
    said = set(stems(question))
    missing = [[c for c in group if not _names(said, c)] for group in sample.concepts]
    count = len(sample.key_concepts)
    lost = list(dict.fromkeys(concept for group in missing for concept in group))
    value = 1 - len(lost) / max(count, 1)
    if any(len(left) == len(group) for left, group in zip(missing, sample.concepts, strict=True)):
        value = min(value, 0.4)
    if lost:
        return round(value, 4), (
            f"It does not use {quote(lost)}; the task must make the student use {quote(sample.key_concepts)} together."
        )
    return FINE


def learned_only(question: str, sample: Sample, syllabus: Syllabus) -> Told:
    """Halved for every concept in the question that only a later session teaches.

    Concepts of one word are not looked for: "proportion" and "scope" are words of any question.
    """
    last = max(sample.sessions)
    known = set().union(*(term(c) for session in syllabus.sessions[: last + 1] for c in session.key_concepts))
    said = set(stems(question))
    later = [c for session in syllabus.sessions[last + 1 :] for c in session.key_concepts]
    beyond = [c for c in later if len(term(c)) > 1 and term(c) <= said and not term(c) <= known]
    if beyond:
        return 0.5 ** len(beyond), (
            f"It needs {quote(beyond)}, taught only later; keep to what is known after "
            f'"{syllabus.sessions[last].name}" and to the level.'
        )
    return FINE


def _names(said: set[str], concept: str) -> bool:
    """Whether at least half of the concept's words are there."""
    own = term(concept)
    return len(own & said) * 2 >= max(len(own), 1)


# --- the answer ----------------------------------------------------------------------------------


def whole(answer: str, limit: int) -> Told:
    """0 for an answer that refuses, abstains or stops before its end."""
    if abstains(answer):
        return 0.0, "It says that it does not know; work the question out and answer it."
    if verdict := refuses(answer):
        return 0.0, f"It does not answer ({verdict.detail}); work the question out and answer it."
    if verdict := cut_short(answer, at_limit=tokens(answer) >= 0.9 * limit):
        return 0.0, f"It is not whole ({verdict.detail}); finish the answer within the limit."
    return FINE


def related(question: str, answer: str) -> Told:
    """Whether the answer takes up what the question speaks of: four words in common, of which a number counts twice.

    Fewer do for a short question. An answer that is a formula or a program alone may have too few.
    """
    asked = content(question)
    needed = min(4, -(-len(asked) // 5))
    common = sum(2 if stem[0].isdigit() else 1 for stem in asked & content(answer))
    value = rising(common, needed * 0.75, needed) if needed else 1.0
    if value < 1:
        return value, "It hardly takes up what the question asks about; answer this very question."
    return FINE


def adds(question: str, answer: str) -> Told:
    """How much the answer says that the question does not: 0 for a copy or a restatement."""
    said = content(answer)
    new = said - content(question)
    value = min(rising(len(new), 3, 12), rising(len(new) / max(len(said), 1), 0.2, 0.4))
    if value < 1:
        return value, "It mostly says the question again; give the steps and the result."
    return FINE
