"""Whether an answer says, in the words it was offered, that the model does not know."""

from __future__ import annotations

import re
import unicodedata

_LABELS = (
    "answer|final answer|the answer|the final answer|답변|답|정답|回答|答案|答え|解答|respuesta|réponse|antwort"
    "|resposta|ответ|उत्तर|الإجابة|الجواب|trả lời|câu trả lời"
)
_OPENING = re.compile(
    rf"\W*(?:(?:i['’]?m |i am )?(?:sorry|afraid|apologies)\W+(?:but\W+)?)?(?:(?:{_LABELS})\W+)?(?:i\W+)?"
    r"(?P<phrase>do(?: not|n['’]?t) know)\b(?P<rest>.*)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\s*(?:whether|if|how|what|why|where|when|who|which|that|about|the|your|it|is|are|means?)\b", re.IGNORECASE
)
_THE_ANSWER = re.compile(r"\s*(?:(?:the|an|any) (?:\w+ )?(?:answer|solution)|how to (?:answer|solve))\b", re.IGNORECASE)


def abstains(answer: str) -> bool:
    """True for "DO NOT KNOW" alone or as the opening, in any case, spacing or mark-up.

    >>> abstains("**I do not know.**"), abstains("DO NOT KNOW, since no data is given")
    (True, True)
    >>> abstains("Do not know your enemy? Then know yourself."), abstains("NOT")
    (False, False)
    """
    opening = unicodedata.normalize("NFKC", answer[:1000])
    if "know" not in opening.lower():
        return False  # as nearly always, and quicker to see
    match = _OPENING.match(_bare(opening))
    if match is None:
        return False
    if match["phrase"] == "DO NOT KNOW":
        return True  # the phrase from the prompt, whatever follows
    return not _GOES_ON.match(match["rest"]) or _THE_ANSWER.match(match["rest"]) is not None


def _bare(text: str) -> str:
    """The text on one line without mark-up: LaTeX commands, emphasis, and dashes or underscores for spaces."""
    text = re.sub(r"\\[a-zA-Z]+|[{}$*_]|(?<=\w)-(?=\w)", " ", text)
    return " ".join(text.split())
