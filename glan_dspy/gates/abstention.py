"""Whether an answer says, in the words it was offered, that the model does not know."""

from __future__ import annotations

import re
import unicodedata

_OPENING = re.compile(r"\W*(?:(?:answer|i)\W+)?do(?: not|n['’]?t) know\b(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_GOES_ON = re.compile(
    r"\s*(?:whether|if|how|what|why|where|when|who|which|that|about|the|your|it|is|are|means?)\b", re.IGNORECASE
)


def abstains(answer: str) -> bool:
    """True for "DO NOT KNOW" alone or as the opening, in any case, spacing or mark-up.

    >>> abstains("**I do not know.**"), abstains("DO NOT KNOW, since no data is given")
    (True, True)
    >>> abstains("Do not know your enemy? Then know yourself."), abstains("NOT")
    (False, False)
    """
    text = " ".join(unicodedata.normalize("NFKC", answer).split())
    match = _OPENING.match(text)
    if match is None:
        return False
    # In capitals it is the phrase from the prompt whatever follows; in prose it may be the start of a sentence.
    return "DO NOT KNOW" in text[: match.start("rest")] or not _GOES_ON.match(match["rest"])
