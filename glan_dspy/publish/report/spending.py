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
    """What one stage took."""

    calls: int = 0
    failed: int = 0
    """Attempts that brought no reply."""
    again: int = 0
    """Replies to something that was asked before, because the reply to it could not be used."""
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    cost: float = 0.0
    unpriced: int = 0
    """Calls whose price is not known."""
    seconds: float = 0.0


class Spending:
    """Sums over lines of calls.jsonl. Memory holds the stages, the ways to end and the bars of a timeline."""

    def __init__(self) -> None:
        self.stages: defaultdict[str, Stage] = defaultdict(Stage)
        self.endings: Counter[tuple[str, str]] = Counter()
        """Replies by stage and finish reason."""
        self.errors: Counter[tuple[str, str]] = Counter()
        """Failed attempts by stage and kind."""
        self.models: Counter[str] = Counter()
        self.time = Timeline()

    def add(self, line: Line) -> int | None:
        """Counts a call in; gives back the tokens of the text that came, if any is known of.

        Raises ValueError, and counts nothing, where the line was edited into something else.
        """
        get = line.get
        name, cost, seconds, at = get("stage"), get("cost_usd"), get("seconds") or 0, get("time") or 0
        prompt, completion = get("prompt_tokens") or 0, get("completion_tokens") or 0
        cached, reasoning = get("cached_tokens") or 0, get("reasoning_tokens") or 0
        charged = get("reserved_usd") or cost or 0
        try:
            # Fails for what is no number, or here no whole one; the sign bit of any of them is that of all.
            sound = prompt | completion | cached | reasoning >= 0 and min(charged, seconds, at, _LATEST - at) >= 0
        except TypeError:
            sound = False
        if not (sound and isinstance(name, str) and isinstance(get("id"), str)):
            raise ValueError("no call")
        name = name.partition(".")[0]
        stage = self.stages[name]
        stage.cost += charged
        if "error" in line:
            stage.failed += 1
            self.errors[name, str(line["error"])] += 1
            return None
        stage.calls += 1
        stage.again += bool(get("ask"))
        stage.prompt += prompt
        stage.cached += cached
        stage.completion += completion
        stage.reasoning += reasoning
        stage.unpriced += cost is None
        stage.seconds += seconds
        self.endings[name, str(get("finish_reason") or "not told")] += 1
        self.models[str(get("model") or "not told")] += 1
        if at:
            self.time.add(at, name, prompt + completion, charged)
        return max(0, completion - reasoning) or None

    def merge(self, other: Spending) -> None:
        """Counts in what another has counted, of other calls."""
        for name, stage in other.stages.items():
            self.stages[name] = _sum([self.stages[name], stage])
        for counter in ("endings", "errors", "models"):
            getattr(self, counter).update(getattr(other, counter))
        self.time.merge(other.time)

    @property
    def names(self) -> list[str]:
        """The stages that have calls, in the order of a run."""
        return sorted(self.stages, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))

    @property
    def whole(self) -> Stage:
        """All stages together."""
        return _sum(list(self.stages.values()))


def _sum(stages: list[Stage]) -> Stage:
    return Stage(*(sum(getattr(stage, field) for stage in stages) for field in Stage.__slots__))
