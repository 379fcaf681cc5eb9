"""Words so common in one language, and so rare in others, that a few tell it: a quick look before a slow one."""

from __future__ import annotations

from glan_dspy.gates.prose import slices

_WORDS = {
    "en": "the of and is that with for this which from are was be as how what its their has have would they you your",
    "de": "der die das und ist nicht eine einer einem einen mit für auf dem den des sich wird werden sind von zu wie",
    "fr": "le les des est une dans pour avec sur qui cette ces sont aux du leur nous vous être plus",
    "es": "el los las del una y con en sus está este esta cómo más también son",
    "pt": "os do da dos das um uma não em é com ao na no são você como mais também",
    "it": "il gli di che è per della nel sono delle degli come anche più una",
    "nl": "het een van dat voor met niet zijn op wordt deze ook naar bij",
    "pl": "w się jest nie że oraz jak przez dla są od lub",
    "tr": "ve bir bu için ile olarak daha gibi olan her kadar",
    "id": "yang dan di untuk dengan dari ini adalah pada dalam atau tidak",
    "vi": "của và là một các được có trong cho với những không này đó",
    "ru": "что для как это или при из он его от по они если также",
    "uk": "що для як це або при із його від також якщо є та",
    "ar": "في من على أن إلى هذا هذه التي الذي عن ما أو مع",
    "hi": "के की में है और से का हैं एक यह लिए",
}

LITTLE = {code: frozenset(words.split()) for code, words in _WORDS.items()}


SHARE = 80
"""Characters that may come on one of these: English has one on about fifteen."""

LINE = 80
"""Most characters of each of the four places that are looked at."""


def told_by_little_words(text: str, code: str) -> bool:
    """Whether little words of the language stand all over a text: enough in all, and some in three places of four.

    >>> told_by_little_words("Find the length of the rod and of the wire.", "en"), told_by_little_words("la luz", "en")
    (True, False)
    """
    little = LITTLE.get(code)
    if little is None or len(text) < 4:
        return False
    size = min(LINE, (len(text) - 1) // 4)
    one, two, three, four = (place.lower().split() for place in slices(text, size))
    none = little.isdisjoint
    if none(one) + none(two) + none(three) + none(four) > 1:
        return False
    found = sum(map(little.__contains__, one + two + three + four))
    return found >= 2 and found * SHARE >= 4 * size
