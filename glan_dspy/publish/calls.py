"""The calls that records came out of, as calls.jsonl has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from glan_dspy.records import Record
from glan_dspy.run import lines
from glan_dspy.run.store import Shelf


class Call(Record):
    """One request that was sent, and how it ended. A number that its line does not have is None."""

    id: str
    stage: str
    """With the predictor that was asked: `syllabus.draft`."""
    item: str
    """What was asked for: the question's id, the syllabus's, or `<discipline's id>.<number of the query>`."""
    ask: int = 0
    """0 for the first; a higher one asked anew, because the reply before could not be used."""
    attempt: int = 0
    """0 for the first; a higher one sent the same again, because nothing came."""
    model: str = ""
    time: float | None = None
    """Seconds since the epoch, when it was sent."""
    seconds: float | None = None
    """How long it took."""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the prompt that the endpoint had in its cache."""
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    """Those of the reply that nobody sees."""
    cost_usd: float | None = None
    """None where the price is not known, and of a call that brought nothing."""
    finish_reason: str | None = None
    error: str | None = None
    """What went wrong where nothing came, such as `ServerError`; None for a reply."""
    status: int | None = None
    """HTTP's, of such an error."""

    @property
    def about(self) -> str:
        """The stage without its predictor: `syllabus`."""
        return self.stage.partition(".")[0]


def read_calls(shelf: Shelf, wanted: Callable[[str], bool]) -> dict[str, tuple[Call, ...]]:
    """By item, the calls for the wanted ones in the order in which they ended."""
    found: defaultdict[str, list[Call]] = defaultdict(list)
    for line in lines.about(shelf.path / "calls.jsonl", wanted, "item"):
        try:
            call = Call.model_validate(line)
        except ValueError:
            continue  # edited by hand into something else
        found[call.item].append(call)
    return {item: tuple(calls) for item, calls in found.items()}
