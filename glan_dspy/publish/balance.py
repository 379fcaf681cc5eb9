"""As many pairs of each discipline as the smallest has, chosen by id: which ones does not depend on their order."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from glan_dspy.publish.split import place
from glan_dspy.records import Question


class Balance(NamedTuple):
    """`each` pairs of every discipline that has any."""

    each: int
    ends: dict[str, int]
    """Of each discipline, the last place that is kept."""

    def of(self, pairs: Iterable[Question]) -> Iterator[Question]:
        """Those that are kept, in their order; never more than `each`, also while the run still grows."""
        given: Counter[str] = Counter()
        for pair in pairs:
            name = pair.discipline
            if given[name] < self.each and place(pair.id, "balance") <= self.ends.get(name, -1):
                given[name] += 1
                yield pair


def balance(pairs: Iterable[Question]) -> Balance:
    """Reads the pairs once; memory holds eight bytes for each."""
    places: dict[str, array[int]] = defaultdict(lambda: array("Q"))
    for pair in pairs:
        places[pair.discipline].append(place(pair.id, "balance"))
    each = min(map(len, places.values()), default=0)
    return Balance(each, {name: sorted(places.pop(name))[each - 1] for name in list(places)})
