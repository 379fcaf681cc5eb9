"""Questions, answers and drafts in the words of one language.

A text is made as a list of pieces (sentences of a question, paragraphs of an answer), so that a token limit
can take whole pieces away before it has to cut one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

from glan_dspy.engines.rehearsal_words import WORD, Speech, Words, joined, words_of

_NUMBER = re.compile(r"\d{1,9}(?:[.,]\d{1,4})?", re.ASCII)
_QUOTED = re.compile(r"[«„“‘「《]\s?([^«»„“”‘’「」《》\n]{2,60}?)\s?[»“”’」》]")
_FORMULAS = (
    r"$\frac{%s}{%s}\,\theta = \alpha\,\beta$",
    r"$x_{n+1} = \frac{x_n}{%s} + \tau^{%s}$",
    r"$\sqrt{%s + \nu^2} \approx \frac{\pi}{%s}$",
    r"$\sum_{k=1}^{%s} \frac{\rho_k}{k} \leq \theta_{%s}$",
    r"$f(t) = %s\,e^{-t/%s}\,\cos(\nu t)$",
    r"$\bar{x} = \frac{1}{%s}\int_0^{%s} \beta(t)\,\mathrm{d}t$",
)
_SNIPPETS = (
    "```python\nbase = %s\nfactor = %s\nvalue = base * (1 - factor / 100)\nprint(round(value, 2))\n```",
    '```python\nvalues = [%s, %s]\nmean = sum(values) / len(values)\nprint(f"{mean:.1f}")\n```',
    "```python\nlow, high = sorted((%s, %s))\nfor step in range(3):\n    print(low + step * (high - low) / 2)\n```",
)
_FOREIGN_LETTERS = 56
"""At most this many letters of another script go into the list of concepts, half as many in a dense script."""


def question(words: Words, rng: Random, concepts: list[str], topic: str) -> list[str]:
    """The sentences of a self-contained question about some concepts; the last one is the task."""
    told, foreign = _fitting(words, concepts)
    if not told:
        told = phrases(words, rng, 2, set())
    speech = Speech(words, rng, {"concepts": joined(words, told), "c1": joined(words, [min(told, key=len)])})
    speech.known["topic"] = topic
    roles = ["setting", "data", "concept", "twist", "task"]
    # Foreign words need local prose around them; otherwise every third question is a sentence shorter.
    if not foreign and rng.random() < 0.33:
        roles.remove("twist" if rng.random() < 0.8 else "data")
    return [speech.say(role) for role in roles]


def answer(words: Words, rng: Random, asked: str, concepts: list[str]) -> list[str]:
    """The paragraphs of a complete answer that takes up the question's figures and ideas."""
    speech = Speech(words, rng, _taken_up(words, rng, asked, concepts))
    dice = int(rng.random() * 12)
    paragraphs = [speech.say("opening")]
    if _is_foreign(words, speech.known["c1"]):
        # Said once; after that the language's own words, or a language check would find too much English.
        speech.known |= {name: _own_idea(words, index) for index, name in enumerate(("c1", "c2"))}
    for index in range(speech.number(2, 4)):
        speech.known["ordinal"] = words.lists["ordinal"][index].literals[0]
        paragraphs.append(speech.say("step"))
    if dice % 4 == 0:
        speech.known["formula"] = rng.choice(_FORMULAS) % (speech.number(2, 40), speech.number(2, 9))
        paragraphs.append(speech.say("formula"))
    if dice % 6 == 1:
        figures = (speech.known["n1"].replace(",", "."), speech.number(2, 40))
        paragraphs.append(f"{speech.say('code')}\n{rng.choice(_SNIPPETS) % figures}")
    paragraphs.append(speech.say("closing"))
    return paragraphs


def draft(words: Words, rng: Random, names: list[str], topic: str, part: str, count: int) -> list[str]:
    """A numbered outline, an entry a name, each listing `count` subtopics or key_concepts: the `part`."""
    return [f"{number}. {_entry(words, rng, name, topic, part, count)}" for number, name in enumerate(names, 1)]


def names_pool(words: Words, kind: str, topic: str, size: int) -> tuple[str, ...]:
    """Distinct names for parts of a topic, the same for every request about it."""
    return _pool(words.code, kind, topic, size)


def sentence(words: Words, rng: Random, topic: str) -> str:
    """One sentence of introduction or description."""
    return Speech(words, rng, {"topic": topic}).say("sentence")


def phrases(words: Words, rng: Random, count: int, taken: set[str]) -> list[str]:
    """Short noun phrases, none of them in `taken`, where they are added."""
    found: list[str] = []
    speech = Speech(words, rng)
    for _ in range(count * 20):
        phrase = speech.say("phrase")
        if phrase not in taken:
            taken.add(phrase)
            found.append(phrase)
        if len(found) == count:
            break
    return found


@lru_cache(maxsize=512)
def _pool(code: str, kind: str, topic: str, size: int) -> tuple[str, ...]:
    rng = Random(f"{code}/{kind}/{topic}")
    speech = Speech(words_of(code), rng, {"topic": topic})
    role = f"{kind}_name" if kind in ("subject", "session", "field") else "phrase"
    names = dict.fromkeys(speech.say(role) for _ in range(size * 3))
    return tuple(names)[:size]


def _entry(words: Words, rng: Random, name: str, topic: str, part: str, count: int) -> str:
    marks = words.marks
    level = f" ({marks['level']} {rng.randrange(1, 10) * 100})" if part == "subtopics" else ""
    items = marks["separator"].join(phrases(words, rng, count, set()))
    about = sentence(words, rng, topic)
    listed = f"{marks[part]}{marks['colon']}{items}{marks['end']}"
    return marks["space"].join((f"{name}{level}{marks['end']}", about, listed))


def _fitting(words: Words, concepts: list[str]) -> tuple[list[str], bool]:
    """The concepts to mention, and whether they are written in another script than the language."""
    foreign = any(_is_foreign(words, concept) for concept in concepts)
    if not foreign:
        return concepts[:5], False
    told: list[str] = []
    room = _FOREIGN_LETTERS if words.marks["space"] else _FOREIGN_LETTERS // 2
    for concept in sorted(concepts, key=len):
        room -= len(concept)
        if room < 0 and told:
            break
        told.append(concept)
    return told, True


def _is_foreign(words: Words, text: str) -> bool:
    """Whether Latin letters stand in a language that is not written with them."""
    return not words.latin and re.search("[A-Za-z]", text) is not None


def _own_idea(words: Words, index: int) -> str:
    return joined(words, [words.lists["something"][index].literals[0]])


def _taken_up(words: Words, rng: Random, asked: str, concepts: list[str]) -> dict[str, str]:
    """What an answer repeats from its question: two figures, two ideas, and results computed from them."""
    numbers = [number for number in _NUMBER.findall(asked) if len(number) > 1][:8]
    numbers = numbers or [str(rng.randrange(12, 400))]
    first, second = numbers[0], numbers[-1] if len(numbers) > 1 else str(rng.randrange(12, 400))
    ideas = (concepts or _ideas(words, asked))[:4]
    rng.shuffle(ideas)
    ideas.append(words.lists["something"][1].literals[0])
    base = float(first.replace(",", "."))
    low = max(1, round(base * (0.55 + rng.random() * 0.4)))
    return {
        "n1": first,
        "n2": second,
        "c1": joined(words, [ideas[0]]),
        "c2": joined(words, [ideas[1]]),
        "r1": str(low),
        "r2": str(low + 1 + int(rng.random() * 60)),
    }


def _ideas(words: Words, asked: str) -> list[str]:
    """What a bare question seems to be about: its quoted terms, else the words that are not ours."""
    quoted = dict.fromkeys(_QUOTED.findall(asked))
    # Quotes of our own, a project's title, are no idea. Other scripts have none, and combining vowels part their words.
    if ideas := [term for term in quoted if not (words.latin and words.own.issuperset(WORD.findall(term.lower())))]:
        return ideas
    if words.latin:
        runs = (" ".join(run[:4]) for run in _foreign_runs(words, asked))
        if ideas := list(dict.fromkeys(run for run in runs if len(run) > 4)):
            return ideas
    return [words.lists["something"][-1].literals[0]]


def _foreign_runs(words: Words, text: str) -> list[list[str]]:
    """The longest stretches of a text without a word that our own sentences have."""
    runs: list[list[str]] = [[]]
    for word in text.split():
        bare = word.strip(".,;:?!()\"'")
        if not bare.isalpha() or bare.lower() in words.own:
            runs.append([])
            continue
        runs[-1].append(bare)
        if bare != word:
            runs.append([])
    return [run for run in runs if run]
