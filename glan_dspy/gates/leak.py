"""Whether a question gives its answer away, talks about the prompt, or needs what is not there.

    "...\\nAnswer: 42", "(Answer: 42)"          a labelled part with something in it
    "based on the given syllabus"              words of the prompt; a question about syllabus design is innocent
    "the table above", and there is no table   the same for figures, passages and code

What is looked for stands in phrases/. Most texts hold none of its key words, and that is all that is asked of them.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import compress, islice
from operator import attrgetter
from typing import NamedTuple

from glan_dspy.gates.attached import holds
from glan_dspy.gates.languages import code_of
from glan_dspy.gates.phrases import answer_labels, plain, spoken
from glan_dspy.gates.prose import has_fence
from glan_dspy.gates.verdict import Verdict

__all__ = ["leaks"]

AROUND = 80
"""Characters before and behind its word in which a phrase lies."""

_COLON = re.compile("[:：]")
_LABEL_STARTS = re.compile(r"[\n(\[（【]")
_MARKS = " \t*_#>])】）"
_BLANK_FORM = re.compile(r"\W*(?:$|_{2,}|\.{3}|…|<|\[|\{)")
_HEADING = re.compile(r"^[ \t]{0,3}(?:#{1,6}[ \t]+([^\n:：]{1,40}?)|\*\*([^\n*:：]{1,40})\*\*)[ \t]*$", re.MULTILINE)
_FENCED = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)


class _Phrase(NamedTuple):
    word: str
    """Stands in whatever the pattern matches."""
    pattern: re.Pattern[str]
    kind: str
    language: str


def leaks(question: str, language: str = "") -> Verdict | None:
    """A verdict "leak" for a question with its answer, with words of its prompt, or without what it needs; or None.

    `language` by its English name: it and English are looked for, without it all that are known.

    >>> leaks("What is 6 x 7?\\n\\n**Answer:** 42").detail
    'the question holds its answer, labelled "Answer"'
    >>> leaks("Find the mean of the table above.").detail
    'the question needs a table that is not there: "table above"'
    >>> leaks("Design a syllabus for a course on optics.") is None
    True
    """
    return _labelled(question) or _mentioned(question, language)


def _labelled(question: str) -> Verdict | None:
    """The part of a question that is headed as its answer."""
    if has_fence(question):
        question = _FENCED.sub("```", question)
    colons = _COLON.finditer(question) if ":" in question or "：" in question else ()
    for colon in islice(colons, 500):
        label = _LABEL_STARTS.split(question[max(0, colon.start() - 48) : colon.start()])[-1]
        if not label.endswith("*"):  # **Answer:** is a label in the middle of a line too, "the **answer**:" is none
            label = label.rpartition("**")[2]
        if _announces(label, question, colon.end()):
            return _verdict_of(label)
    if "#" in question or "**" in question:
        for heading in _HEADING.finditer(question):
            if _announces(label := heading[1] or heading[2], question, heading.end()):
                return _verdict_of(label)
    return None


def _announces(label: str, question: str, end: int) -> bool:
    """Whether a label is one of an answer and something follows it; the label of a form to fill in is none."""
    two_meanings = answer_labels().get(plain(label.strip(_MARKS)))
    if two_meanings is None or _BLANK_FORM.match(question, end, end + 200):
        return False
    return not two_meanings or all(question.find(mark, end) < 0 for mark in "?？؟")


def _verdict_of(label: str) -> Verdict:
    label = label.strip(_MARKS)
    return Verdict("leak", f'the question holds its answer, labelled "{label}"', {"kind": "answer", "phrase": label})


def _mentioned(question: str, language: str) -> Verdict | None:
    """What a question mentions of its prompt, or of a thing that it does not hold."""
    phrases, words = _phrases(code_of(language) or "")
    low = question.lower().replace("'", "’")
    if not (candidates := list(compress(phrases, map(low.__contains__, words)))):
        return None  # as nearly always, and quicker to see
    said = plain(question)
    for phrase in candidates:
        if (match := _found(phrase, said)) and not holds(phrase.kind, said, match.span()):
            if phrase.kind == "mentions":
                detail = f'the question speaks of its prompt: "{match[0]}"'
            else:
                detail = f'the question needs a {phrase.kind} that is not there: "{match[0]}"'
            return Verdict("leak", detail, {"kind": phrase.kind, "phrase": match[0], "language": phrase.language})
    return None


def _found(phrase: _Phrase, said: str) -> re.Match[str] | None:
    """The first place of the phrase; looked for around its word only, where nothing else has to be read."""
    at = said.find(phrase.word)
    while at >= 0:
        if match := phrase.pattern.search(said, max(0, at - AROUND), at + AROUND):
            return match
        at = said.find(phrase.word, at + AROUND // 2)
    return None


@cache
def _phrases(code: str) -> tuple[tuple[_Phrase, ...], tuple[str, ...]]:
    """Those of the language and of English, in which models think, or of all where there are none; and their words."""
    languages = {code, "en"} if code in spoken() else spoken().keys()
    found = (
        _Phrase(plain(word), re.compile(pattern.replace("'", "’")), kind, language)
        for language in languages
        for kind in ("mentions", "table", "figure", "passage", "code")
        for word, pattern in spoken()[language]["leak"].get(kind, {}).items()
    )
    phrases = tuple(sorted(found, key=attrgetter("language", "kind", "word")))
    return phrases, tuple(phrase.word for phrase in phrases)
