"""Whether a question is one question and nothing else, and an answer is only an answer.

What announces a question or labels it is looked for in the languages of phrases.toml; in others only the form itself
is seen: JSON, or a code fence around everything.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources

import orjson

from glan_dspy.gates.leak import leaks
from glan_dspy.optimize.parts_words import Told

__all__ = ["answer_form", "any_of", "question_form"]

_FENCED = re.compile(r"```(?:markdown|md|text|json|plaintext)?[ \t]*\n(?:(?!```).)*```", re.DOTALL)
"""Prose in a code block. A program alone in one is a fair answer, and names its language."""

_MARKS = r"[ \t#*_>\-\"“「【\[(]*"


@cache
def any_of(kind: str) -> str:
    """All languages' phrases of a kind, as the inside of a pattern; the longer ones are tried first."""
    text = resources.files(__package__).joinpath("phrases.toml").read_text("utf-8")
    return "|".join(sorted({one for said in tomllib.loads(text).values() for one in said[kind]}, key=len, reverse=True))


@cache
def _label(names: str) -> re.Pattern[str]:
    """A label at the beginning of a line: "**Question 2:**", "Homework question:", "## Question"."""
    mark = r"(?:[:：][*_]*|[*_]+[ \t]*$|(?<=[】\]])|$)"
    return re.compile(rf"^{_MARKS}(?:\w+ )?(?:{any_of(names)})[ \t]*\d{{0,3}}[*_\]】)」]*[ \t]*{mark}", re.MULTILINE)


@cache
def _preamble(names: str) -> re.Pattern[str]:
    """Words to the reader: "Sure!", or a line that ends in a colon and says that here is the question."""
    here, noun = any_of("here_is"), any_of(names)
    announced = rf"(?:{here})[^\n]{{0,120}}?(?:{noun})|(?:{noun})[^\n]{{0,20}}?(?:{here})"
    return re.compile(
        rf"^{_MARKS}(?:(?:{any_of('sure')})\s*[!！,，、。.:：]|(?:{announced})[^\n]{{0,80}}?[:：。]\W*?(?:\n|$))"
    )


@cache
def _goodbye() -> re.Pattern[str]:
    return re.compile(any_of("goodbye"))


def question_form(question: str, language: str) -> Told:
    """0 for JSON or a question with its answer, 0.2 for several of them, 0.5 for words around it, else 1."""
    if told := _wrapped(question, "question"):
        return told
    if (leak := leaks(question, language)) and leak.found["kind"] == "answer":
        return 0.0, f"It gives its answer away ({leak.detail}); write the question only, without answer or solution."
    low = _plain(question)
    if len(_label("question").findall(low)) > 1:
        return 0.2, "It holds several questions; write a single one."
    return _around(low, "question")


def answer_form(answer: str) -> Told:
    """0 for JSON, or where the question is written out again under a label, 0.5 for words around it, else 1."""
    if told := _wrapped(answer, "answer"):
        return told
    low = _plain(answer)
    if _label("question").match(low):
        return 0.0, "It repeats the question under a label; begin with the answer itself."
    return _around(low, "answer")


def _around(low: str, what: str) -> Told:
    """What stands before and behind the text that was asked for."""
    opening = low[:240]
    if _preamble(what).match(opening):
        return 0.5, f"It opens with words to the reader before the {what}; begin with the {what} itself."
    if _label(what).match(opening):
        return 0.5, f"It opens with a label or a heading; write the bare {what}."
    if _goodbye().search(low[-200:]):
        return 0.5, f"It ends with words to the reader that are no part of the {what}; stop where the {what} ends."
    return 1.0, ""


def _wrapped(text: str, what: str) -> Told | None:
    bare = text.strip()
    if _FENCED.fullmatch(bare):
        return 0.0, f"All of it stands in a code block; write the {what} as plain text."
    if bare[:1] in ("{", "[") and _is_json(bare):
        return 0.0, f"It is JSON; write the {what} as plain text."
    return None


def _is_json(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict | list)
    except ValueError:
        return bool(re.match(r"\{\s*[\"'][\w ]{1,30}[\"']\s*:", text))


def _plain(text: str) -> str:
    """The text in the form that the phrases are written in."""
    return text.strip().lower().replace("'", "’")
