"""Texts that hold a benchmark's item, or a held-out question: the index that finds them.

What counts as a hit, in words as `contamination_words` has them (case, spacing and punctuation play no part):

- exact: the whole item stands in the text. An item under 13 words must say something to count inside a longer text
  (5 words, two of them not the stock of questions; 12 characters in Chinese and the like); others only count as the
  whole text. "What is the value of x?" is a benchmark's item and a part of a thousand innocent questions.
- 13-gram: 13 words of the item in a row, the measure that GPT-3's report made usual.
- 8-gram: no 13 in a row, but runs of 7 words or more, one of them of 8, cover 80 % of the item. One changed word in
  20 leaves 13 words on one side of it, or covers 95 %; a template with other numbers in it covers 38 to 71 %.

The last two also need 4 words of content of their own in what is shared: neither stock ("which of the following
statements is true about the structure of the human" has 13 words and 2 of content) nor part of a gram that more than 5
items share, which is a template of the benchmark.

Scripts without spaces count characters, as many as say the same: 13 words are 20 Chinese characters, about 30 Japanese
and 55 Thai ones. Korean counts its words, each of which says more than an English one, so it is judged more mildly.

On the hand-made corpora of tests/gates (50 items, 78 innocent texts, 8 languages): all items found verbatim, in other
case and spacing and inside longer texts; 99.4 % of 1,043 texts with one word changed in an item of 20 words or more;
no innocent text. With half the own words, or with a cover of 70 %, innocent ones fall.

With 20,000 items of 50 words (CPU time, median of 5, on a busy machine): 54 to 70 microseconds for a question of 60
words and an answer of 300 together, 17 of them for taking them apart; 55 to add an item; 2.6 KB an item, so 2.5 GB
for a million. A text on a template of 20,000 items takes 1 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glan_dspy.gates.contamination_files import read_benchmarks
from glan_dspy.gates.contamination_grams import STEP, Hit, Index
from glan_dspy.gates.contamination_match import LONG, Kind, Match, Text, judge, near, spelled
from glan_dspy.gates.contamination_words import characters_a_word, content, unspaced, words_of
from glan_dspy.gates.verdict import Verdict

__all__ = ["Overlap", "read_benchmarks"]

WORDS, SHORT, CHARACTERS = 5, 3, 8
"""Runs of so many words lead to an item; to one of few words; to one in a script without spaces."""

LEAST_WORDS, LEAST_CHARACTERS = 5, 12
"""Shorter items are only found as a whole text."""

LEAST_CONTENT = 2
"""Words of content that an item under LONG words needs to be found in a text: "What is the value of x?" has none."""

_SEEN = 10
"""Every run of so many words that an item and a text share is seen, wherever it stands in either."""

_RANK: dict[Kind, int] = {"exact": 2, "13-gram": 1, "8-gram": 0}


class Overlap:
    """An index of texts that must not stand in a dataset: benchmarks' items, or a discipline's held-out questions.

    `least`: the share of an item, 0 to 1, that a text must hold to fall, however long the run that it holds. Benchmarks
    are strangers, and 13 words in a row are a sign; questions of one model about one discipline share its phrases.

    >>> overlap = Overlap()
    >>> overlap.add("riddles", "7", "Which animal walks on four feet in the morning and on two at noon?")
    >>> overlap.find("Riddle: which animal walks on FOUR feet in the morning, and on two at noon? Explain.").detail
    'holds riddles 7 word for word: "which animal walks on four feet in the morning and on two at noon"'
    """

    def __init__(self, least: float = 0.0) -> None:
        self.least = least
        self._texts = list[str]()
        self._sources = list[tuple[str, str]]()
        self._numbers = dict[str, int]()
        self._added = 0
        self._longest_whole = 0
        self._words = Index(WORDS)
        self._short = Index(SHORT)
        self._characters = Index(CHARACTERS)

    def __len__(self) -> int:
        """How many items were added, equal ones and empty ones too."""
        return self._added

    def __reduce__(self) -> tuple[Callable[..., Overlap], tuple[Any, ...]]:
        # Hashes of words differ between processes, so a copy makes its own.
        return _rebuilt, (self._sources, self._texts, self._added, self.least)

    def add(self, benchmark: str, item: str, text: str) -> None:
        """One more item; one whose words equal an earlier item's stays known by the earlier one's name."""
        self._added += 1
        self._add(benchmark, item, words_of(text))

    def find(self, text: str) -> Verdict | None:
        """The item that is most plainly in the text, or None.

        `found` has `benchmark`, `item`, `kind` ("exact", "13-gram" or "8-gram"), `span` (the longest shared run of
        words, normalised) and `coverage` (the share of the item's words in shared runs, 0 to 1).
        """
        words = words_of(text)
        if 0 < len(words) <= self._longest_whole and (number := self._numbers.get(spelled(words))) is not None:
            return self._verdict(number, Match("exact", 1.0, " ".join(words)))
        hits = self._words.look_up(words) + self._short.look_up(words)
        if unspaced(text):
            hits += self._characters.look_up(words)
        return self._best(Text(words), hits) if hits else None

    def _add(self, benchmark: str, item: str, words: list[str]) -> None:
        spelling = spelled(words)
        if not words or spelling in self._numbers:
            return
        number = self._numbers[spelling] = len(self._texts)
        self._texts.append(spelling)
        self._sources.append((benchmark, item))
        per_word = characters_a_word(words)
        dense = per_word >= 1.3
        if len(words) < (LEAST_CHARACTERS if dense else LEAST_WORDS) or (
            len(words) < LONG * per_word and len(content(words)) < LEAST_CONTENT
        ):
            self._longest_whole = max(self._longest_whole, len(words))
            return
        index = self._characters if dense else self._words if len(words) >= WORDS + STEP - 1 else self._short
        index.add(number, words, round(_SEEN * per_word))

    def _best(self, text: Text, hits: list[Hit]) -> Verdict | None:
        texts = self._texts
        whole = [item for item in {hit.item: None for hit in hits} if texts[item] in text.joined]
        if whole:
            number = max(whole, key=lambda number: (len(texts[number]), -number))
            return self._verdict(number, Match("exact", 1.0, texts[number].strip()))
        return self._partly(text, hits)

    def _partly(self, text: Text, hits: list[Hit]) -> Verdict | None:
        candidates = dict[int, None]()
        for hit in hits:
            if hit.item not in candidates and not hit.whole_only and self._is_near(text, hit):
                candidates[hit.item] = None
        best: tuple[int, Match] | None = None
        for number in sorted(candidates):
            others = [self._texts[other] for other in candidates if other != number]
            match = judge(self._texts[number], text, others)
            if match and match.coverage >= self.least and (best is None or _order(match) > _order(best[1])):
                best = number, match
        return self._verdict(*best) if best else None

    def _is_near(self, text: Text, hit: Hit) -> bool:
        spelling = self._texts[hit.item]
        per_word = 1.0 if spelling.isascii() else characters_a_word(spelling.split())
        if spelling.count(" ") - 1 < round(LONG * per_word):
            return False  # a short item is found whole or not at all
        return near(spelling, text, hit.at, per_word)

    def _verdict(self, number: int, match: Match) -> Verdict:
        benchmark, item = self._sources[number]
        how = "word for word" if match.kind == "exact" else f"for {match.coverage:.0%} of its words"
        found = {"benchmark": benchmark, "item": item, "span": match.span, "kind": match.kind}
        return Verdict(
            "contaminated",
            f'holds {benchmark} {item} {how}: "{_shortened(match.span)}"',
            found | {"coverage": round(match.coverage, 3)},
        )


def _order(match: Match) -> tuple[int, float]:
    return _RANK[match.kind], match.coverage


def _shortened(span: str) -> str:
    return span if len(span) <= 120 else span[:119] + "…"


def _rebuilt(sources: list[tuple[str, str]], texts: list[str], added: int, least: float) -> Overlap:
    overlap = Overlap(least)
    for (benchmark, item), text in zip(sources, texts, strict=True):
        overlap._add(benchmark, item, text.split())
    overlap._added = added
    return overlap
