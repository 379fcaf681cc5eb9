r"""The number or the choice that an answer ends in, so that two answers to one question can be compared.

    final_answer("… so that \boxed{\frac{1}{2}}")     "1/2"
    final_answer("… 따라서 정답은 1,234입니다.")         "1234"
    final_answer("Answer: (B), since it floats.")      "B"
    final_answer("… which explains the war.")          None

Three places are looked at: the last \boxed{}, the last line that says it is the answer, and the end of the text. A
comma before three digits parts thousands, any other comma is a decimal one.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

TAIL = 2000
"""Characters at the end that are looked at."""

UNIT = 24
"""Characters that may follow a number at the end of a text: its unit, a mark."""

_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_^.,])[-+]?\d{1,30}(?:[.,]\d{1,30})*(?:\s*/\s*\d{1,30})?(?:[eE][-+]?\d{1,3}(?!\d))?"
    r"(?:\s*(?:×|\*|·|\\times|\\cdot)\s*10\s*\^\s*\{?\s*([-+]?\d{1,3})\}?)?"
)
_LABEL = re.compile(
    r"(?:answer|option|choice|respuesta|resposta|réponse|antwort|đáp án|ответ|उत्तर|الجواب|الإجابة"
    r"|答案|答え|正解|정답|답)"
    r"[^\S\n]*(?:[:：=]|\b(?:is|es|é|est|ist|là|है)\b|是|は|은|는|هو|هي)[^\S\n]*[:：=]?[^\S\n]*(?=\S)([^\n]*)",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"(?:option|choice)?\s*[(\[]?([A-E])(?=\s*(?:$|[])).:,;。、，]))")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(\d{1,30})\s*\}\s*\{\s*(\d{1,30})\s*\}")
_RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_PLAIN = str.maketrans({"−": "-", "٫": ".", "٬": ",", "＝": "=", "．": ".", "\N{NO-BREAK SPACE}": " ", "＋": "+"})
_MARKUP = re.compile(r"\*\*|__|\$|\\[()\[\]!,;:]|\\(?:mathbf|mathrm|text|textbf)(?=\{)")


def final_answer(text: str) -> str | None:
    """A number without thousands' marks ("-3.5", "1/2", "1.5e8") or a letter A-E; None where the text ends in neither.

    It looks at the last 2,000 characters. "100" and "100 m" are equal to it: units are not read.
    """
    tail = _plain(text[-TAIL:])
    if boxed := _BOXED.findall(tail):
        return _choice(boxed[-1]) or _number(boxed[-1])
    if labelled := _LABEL.findall(tail):
        return _choice(labelled[-1]) or _number(labelled[-1])
    last = tail.strip().rpartition("\n")[2].strip()
    return (_choice(last) if len(last) <= 4 else None) or _number(last, at_end=True)


def agree(one: str, other: str | None) -> bool:
    """Whether two final answers say the same. Numbers may differ by the rounding of the coarser: 3.14 and 3.1416."""
    if other is None or one.isalpha() or other.isalpha():
        return one == other
    return abs(_value(one) - _value(other)) <= max(_step(one), _step(other)) / 2


def _plain(text: str) -> str:
    """Digits of any script as ASCII, raised ones behind a ^, without bold and dollar signs."""
    text = _RAISED.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text).translate(_PLAIN)
    return _FRACTION.sub(r" \1/\2", _MARKUP.sub("", text))


def _choice(text: str) -> str | None:
    found = _CHOICE.match(text.strip(" {}"))
    return found[1] if found else None


def _number(text: str, *, at_end: bool = False) -> str | None:
    """The first number behind the last equals sign; with `at_end` the last one, where no more than a unit follows."""
    if not at_end:
        text = re.split("[=≈]", text)[-1]
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    number = found[-1] if at_end else found[0]
    if at_end and (len(rest := text[number.end() :]) > UNIT or len(rest.split()) > 3):
        return None
    return _written(number[0], number[1])


def _written(number: str, power: str | None) -> str | None:
    """As Fraction reads it; None for a division by zero."""
    number = "".join(re.split(r"\s*(?:×|\*|·|\\times|\\cdot)", number)[0].split())
    top, slash, bottom = number.partition("/")
    if slash:
        top, bottom = _western(top), _western(bottom)
        return f"{top}/{bottom}" if top.lstrip("+-").isdecimal() and bottom.isdecimal() and int(bottom) else None
    digits, _, exponent = number.lower().partition("e")
    exponent = power or exponent
    return _western(digits) + (f"e{int(exponent)}" if exponent else "")


def _western(digits: str) -> str:
    """1,234.5 and 1.234,5 as 1234.5; 3,14 as 3.14; 1,00,000 as 100000."""
    marks = [c for c in digits if c in ".,"]
    if not marks:
        return digits.removeprefix("+")
    last = marks[-1]
    whole, _, part = digits.rpartition(last)
    grouped = last in marks[:-1] or (
        last == "," and re.fullmatch(r"[-+]?\d{1,3}(?:,\d{2,3})*", whole) and len(part) == 3
    )
    if grouped:
        whole, part = whole + part, ""
    whole = whole.replace(",", "").replace(".", "").removeprefix("+")
    return f"{whole}.{part}" if part else whole


def _value(number: str) -> Fraction:
    return Fraction(number)


def _step(number: str) -> Fraction:
    """What the last written digit stands for; nothing for a fraction, which is exact."""
    if "/" in number:
        return Fraction(0)
    digits, _, exponent = number.partition("e")
    return Fraction(10) ** (int(exponent or 0) - len(digits.partition(".")[2]))
