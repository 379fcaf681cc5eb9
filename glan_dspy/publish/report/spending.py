"""Calls, tokens and dollars of a run: by stage, by time, by how the calls ended."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
        self._alike = _Alike()
        self.time = Timeline()

    def add(self, line: Line) -> int:
        """Counts a call in; gives back the tokens of the text that came, 0 where none came or none were counted.

        Raises ValueError, and counts nothing, where the line was edited into something else.
        """
        get = line.get
        cost, seconds, at = get("cost_usd"), get("seconds") or 0, get("time") or 0
        prompt, completion = get("prompt_tokens") or 0, get("completion_tokens") or 0
        cached, reasoning = get("cached_tokens") or 0, get("reasoning_tokens") or 0
        charged = get("reserved_usd") or cost or 0
        try:
            # Fails for what is no number, or here no whole one; the sign bit of any of them is that of all.
            sound = prompt | completion | cached | reasoning >= 0 and charged >= 0 <= seconds and 0 <= at <= _LATEST
            stage, sums = self._alike[get("stage"), get("finish_reason"), get("error")]
        except TypeError:
            sound = False
        if not (sound and isinstance(get("id"), str)):
            raise ValueError("no call")
        sums.cost += charged
        if "error" in line:
            sums.failed += 1
            return 0
        sums.calls += 1
        sums.prompt += prompt
        sums.cached += cached
        sums.completion += completion
        sums.reasoning += reasoning
        sums.seconds += seconds
        if get("ask"):
            sums.again += 1
        if cost is None:
            sums.unpriced += 1
        if at:
            self.time.add(at, stage, prompt + completion, charged)
        return max(0, completion - reasoning)

    def merge(self, other: Spending) -> None:
        """Counts in what another has counted, of other calls."""
        for key, (_, sums) in other._alike.items():
            self._alike[key][1].add(sums)
        self.time.merge(other.time)

    @property
    def endings(self) -> Counter[tuple[str, str]]:
        """Replies by stage and finish reason."""
        return self._count(lambda sums: sums.calls, 1)

    @property
    def errors(self) -> Counter[tuple[str, str]]:
        """Failed attempts by stage and kind."""
        return self._count(lambda sums: sums.failed, 2)

    def _count(self, number: Callable[[Stage], int], at: int) -> Counter[tuple[str, str]]:
        counts = Counter[tuple[str, str]]()
        for key, (stage, sums) in self._alike.items():
            counts[stage, key[at] or "not told"] += number(sums)
        return +counts

    @property
    def stages(self) -> dict[str, Stage]:
        """In the order of a run."""
        found: defaultdict[str, Stage] = defaultdict(Stage)
        for stage, sums in self._alike.values():
            found[stage].add(sums)
        return {name: found[name] for name in sorted(found, key=_place) if found[name] != Stage()}

    @property
    def whole(self) -> Stage:
        """All stages together."""
        together = Stage()
        for stage in self.stages.values():
            together.add(stage)
        return together


class _Alike(dict[tuple[Any, Any, Any], tuple[str, Stage]]):
    """What calls took that have their stage, their finish reason and their error in common, each with the stage's name.

    The name is without the predictor: `syllabus` of `syllabus.draft`.
    """

    def __missing__(self, key: tuple[Any, Any, Any]) -> tuple[str, Stage]:
        stage, *ends = key
        if not isinstance(stage, str) or not all(end is None or isinstance(end, str) for end in ends):
            raise TypeError(key)
        found = self[key] = (stage.partition(".")[0], Stage())
        return found


def _place(stage: str) -> tuple[int, str]:
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), stage)
