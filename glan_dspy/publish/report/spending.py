"""Calls, tokens and dollars of a run: by stage, by time, by how the calls ended."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from glan_dspy.publish.report.timeline import Timeline
from glan_dspy.run.lines import Line

ORDER = ("taxonomy", "subjects", "syllabus", "question", "answer", "judge", "vote")
"""Of the stages, as a run walks them; others come after these."""

_LATEST = 1e10
"""Seconds since the epoch, in the year 2286."""


@dataclass(slots=True)
class Stage:
    """What calls of one kind took: of a stage, or of those of a stage that ended alike."""

    calls: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    again: int = 0
    """Replies to something that was asked before, because the reply to it could not be used."""
    unpriced: int = 0
    """Calls whose price is not known."""
    failed: int = 0
    """Attempts that brought no reply."""

    def add(self, other: Stage) -> None:
        for name in Stage.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Spending:
    """Sums over lines of calls.jsonl. Memory holds the stages, the ways to end and the bars of a timeline."""

    def __init__(self) -> None:
        self._alike: defaultdict[tuple[str, str], Stage] = defaultdict(Stage)
        """Replies by stage and finish reason."""
        self._failed: defaultdict[str, Stage] = defaultdict(Stage)
        """By stage, what attempts took that brought nothing."""
        self.errors: Counter[tuple[str, str]] = Counter()
        """Failed attempts by stage and kind."""
        self.time = Timeline()

    def add(self, line: Line) -> int:
        """Counts a call in; gives back the tokens of the text that came, 0 where none came or none were counted.

        Raises ValueError, and counts nothing, where the line was edited into something else.
        """
        get = line.get
        name, cost, seconds, at = get("stage"), get("cost_usd"), get("seconds") or 0, get("time") or 0
        prompt, completion = get("prompt_tokens") or 0, get("completion_tokens") or 0
        cached, reasoning = get("cached_tokens") or 0, get("reasoning_tokens") or 0
        charged = get("reserved_usd") or cost or 0
        try:
            # Fails for what is no number, or here no whole one; the sign bit of any of them is that of all.
            sound = prompt | completion | cached | reasoning >= 0 and charged >= 0 <= seconds and 0 <= at <= _LATEST
        except TypeError:
            sound = False
        if not (sound and isinstance(name, str) and isinstance(get("id"), str)):
            raise ValueError("no call")
        name = name.partition(".")[0]
        if "error" in line:
            self.errors[name, str(line["error"])] += 1
            self._failed[name].failed += 1
            self._failed[name].cost += charged
            return 0
        sums = self._alike[name, str(get("finish_reason") or "not told")]
        sums.calls += 1
        sums.prompt += prompt
        sums.cached += cached
        sums.completion += completion
        sums.reasoning += reasoning
        sums.cost += charged
        sums.seconds += seconds
        if get("ask"):
            sums.again += 1
        if cost is None:
            sums.unpriced += 1
        if at:
            self.time.add(at, name, prompt + completion, charged)
        return max(0, completion - reasoning)

    def merge(self, other: Spending) -> None:
        """Counts in what another has counted, of other calls."""
        for key, sums in other._alike.items():
            self._alike[key].add(sums)
        for name, sums in other._failed.items():
            self._failed[name].add(sums)
        self.errors.update(other.errors)
        self.time.merge(other.time)

    @property
    def endings(self) -> Counter[tuple[str, str]]:
        """Replies by stage and finish reason."""
        return Counter({key: sums.calls for key, sums in self._alike.items()})

    @property
    def stages(self) -> dict[str, Stage]:
        """In the order of a run."""
        found: defaultdict[str, Stage] = defaultdict(Stage)
        for (name, _), sums in self._alike.items():
            found[name].add(sums)
        for name, sums in self._failed.items():
            found[name].add(sums)
        return {name: found[name] for name in sorted(found, key=_place)}

    @property
    def whole(self) -> Stage:
        """All stages together."""
        together = Stage()
        for stage in self.stages.values():
            together.add(stage)
        return together


def _place(stage: str) -> tuple[int, str]:
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), stage)
