"""Text as the words that contamination is judged by, and how much each of them says.

Equal words mean equal text to a reader: NFKC, casefold, without punctuation, white space, invisible characters and
LaTeX's spacing; digits part from letters (`3x` is `3 x`). Scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer,
Burmese) give one word a character; a mixed text is both, run by run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

_LOWER = bytes(ord(chr(c).lower()) if c < 128 and chr(c).isalnum() else 32 for c in range(256))
_CLASS = bytes(32 if c > 127 or not chr(c).isalnum() else 48 if chr(c).isdigit() else 97 for c in range(256))

# Marks that are taken out before anything else: without them most English is ASCII, which is quick to part, and NFKC
# takes 30 times as long on a text with one of the wide ones.
_MARKS = "\u00a0‘’“”–—…•°×−→，。、？！：；（）"
_INVISIBLE = re.compile(r"[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_LATEX_SPACING = re.compile(
    r"\\(?:[,;:!> ]|(?:q?quad|left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|thinspace)(?![a-zA-Z]))"
)

_HAN, _KANA, _SOUTH_EAST = 1.5, 3.0, 4.2
"""Characters that say as much as one English word: the first article of the Universal Declaration of Human Rights has
30 words, 39 Chinese characters, 78 Japanese (two thirds of them kana) and 126 Thai ones."""

_BLOCKS = (
    (0x0E00, 0x0EFF, _SOUTH_EAST),  # Thai, Lao
    (0x1000, 0x109F, _SOUTH_EAST),  # Burmese
    (0x1780, 0x17FF, _SOUTH_EAST),  # Khmer
    (0x3005, 0x3007, _HAN),
    (0x3041, 0x30FF, _KANA),
    (0x3105, 0x312F, _KANA),  # bopomofo
    (0x31F0, 0x31FF, _KANA),
    (0x3400, 0x9FFF, _HAN),
    (0xA9E0, 0xA9FF, _SOUTH_EAST),
    (0xAA60, 0xAA7F, _SOUTH_EAST),
    (0xF900, 0xFAFF, _HAN),
    (0x20000, 0x3FFFF, _HAN),
)

# What questions of every topic are made of. A match of these words only is no match.
_STOCK = frozenset(
    """a an and any are as at be been best by can choose complete consider correct could describe described describes
    determine did do does each else every example explain false find following for from give given gives had has have
    how i if in incorrect into is it its let likely listed main many may mean meant means more most much must name no
    not of on one only or option options other our out please question questions read reason same say select should
    show so some solve statement statements such than that the their them then there these they this those to true
    two type types under up use used using value values was way we were what when where which who whom whose why will
    with would write you your answer answers called compute calculate evaluate simplify definition term thing things
    about above below between
    import numpy np pandas pd matplotlib pyplot plt sklearn typing def return self int str float bool none
    다음 중 가장 것은 것을 것이 대한 설명으로 설명 관한 관련 내용으로 옳은 옳지 않은 않는 맞는 틀린 알맞은 적절한 올바른
    무엇인가 무엇인가요 무엇입니까 고르시오 고르면 해당하는 해당하지 아닌 어느 어떤 및 와 과 를 을 이 가 은 는 의 에서
    하시오 구하시오 설명하시오
    cuál cual cuáles de del el la las los siguiente siguientes es son una un que qué en y o por para con correcta
    afirmaciones afirmación
    quel quelle quels quelles le les des est sont et du une dans pour par parmi suivantes suivants affirmation
    welche welcher welches der die das ist sind ein eine und oder von den dem folgenden aussage aussagen richtig
    falsch""".split()
)
_STOCK_PHRASES = re.compile(
    "以下|下列|下面|哪一?[项項个個种種]|哪些|什么|什麼|说法|說法|选项|選項|叙述|敘述|描述|陈述|正确|正確|错误|錯誤|不正|关于|關於|属于|屬於|应该|"
    "是多少|的是|[的是中有了和与與最一不]|"
    "次の|うち|正しい|誤って|適切な|もの|記述|選択肢|選びなさい|どれ|です|ます|ですか|でしょう|いる|ある|ついて|何|"
    "ข้อใด|ต่อไปนี้|ถูกต้อง|ไม่|คือ|เป็น|อะไร|ที่สุด|ของ|และ|ที่|ใน"
)


def words_of(text: str) -> list[str]:
    """The text's words, normalised.

    >>> words_of("What is 3x + 2, if  X = 5?")
    ['what', 'is', '3', 'x', '2', 'if', 'x', '5']
    >>> words_of("GPU 在哪里？")
    ['gpu', '在', '哪', '里']
    """
    if "\\" in text:
        text = _LATEX_SPACING.sub(" ", text)
    if not text.isascii():
        for mark in _MARKS:
            text = text.replace(mark, " ")
        if not text.isascii():
            return _words_of_any_script(text)
    lowered = text.encode().translate(_LOWER)
    kinds = lowered.translate(_CLASS)
    if b"0" in kinds and (b"a0" in kinds or b"0a" in kinds):
        return re.findall("[a-z]+|[0-9]+", lowered.decode())
    return lowered.decode().split()


def _words_of_any_script(text: str) -> list[str]:
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).casefold())
    runs: list[str] = _token().findall(text)
    if not unspaced(text):
        return runs
    words = list[str]()
    for run in runs:
        if _is_unspaced(run[0]):
            words.extend(run)
        else:
            words.append(run)
    return words


def unspaced(text: str) -> bool:
    """Whether any of it is in a script whose characters are its words."""
    return not text.isascii() and _unspaced_characters().search(text) is not None


def characters_a_word(words: list[str]) -> float:
    """How many of these make up as much text as one English word: 1 for words, 1.5 for Chinese, 4.2 for Thai."""
    return len(words) / sum(map(_share, words)) if words else 1.0


def content(words: Iterable[str]) -> set[str]:
    """The words that say what a text is about, numbers too: no stock of questions, no single letters.

    >>> sorted(content("which of the following is true about mitosis".split()))
    ['mitosis']
    """
    spaced, dense = set[str](), list[str]()
    for word in words:
        if not word.isascii() and _share(word) < 1:
            dense.append(word)
        elif word not in _STOCK and (len(word) > 1 or word.isdigit() or not word.isascii()):
            spaced.add(word)
    left = _STOCK_PHRASES.sub("", "".join(dense))
    # Two characters or more say about as much as a word of content.
    return spaced | {left[at : at + 2] for at in range(0, len(left) - 1, 2)}


@cache
def _share(word: str) -> float:
    """How much of an English word this one says."""
    point = ord(word[0])
    if point < 0x0E00:
        return 1.0
    return next((1 / size for low, high, size in _BLOCKS if low <= point <= high), 1.0)


@cache
def _is_unspaced(character: str) -> bool:
    return _unspaced_characters().match(character) is not None


@cache
def _token() -> re.Pattern[str]:
    """A run of characters of scripts without spaces, or a run of digits, or a run of letters and the marks upon them.

    `\\w` leaves out the vowel signs of Hindi and its sisters, so the class is made of Unicode's categories.
    """
    dense, letters = list[int](), list[int]()
    for point in range(0x10000):
        if unicodedata.category(chr(point)) in _WORD_CATEGORIES:
            (dense if _unspaced_characters().match(chr(point)) else letters).append(point)
    return re.compile(rf"[{_ranges(dense)}\U00020000-\U0003ffff]+|\d+|[{_ranges(letters)}\U00010000-\U0001efff]+")


_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nl", "No"})


@cache
def _unspaced_characters() -> re.Pattern[str]:
    return re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high, _ in _BLOCKS) + "]")


def _ranges(points: list[int]) -> str:
    """A regular expression's class of these ascending code points."""
    starts = [point for at, point in enumerate(points) if at == 0 or points[at - 1] != point - 1]
    ends = [point for at, point in enumerate(points) if at + 1 == len(points) or points[at + 1] != point + 1]
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in zip(starts, ends, strict=True))
