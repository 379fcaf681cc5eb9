"""What a page says of how its record came about: discipline > subject > sessions > concepts > calls > prompts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from glan_dspy.cli.page import Fact, Section
from glan_dspy.publish.calls import Call
from glan_dspy.publish.lineage import SHARED, Decision, Judgement, Lineage
from glan_dspy.records import Rejected

if TYPE_CHECKING:
    from glan_dspy.publish.prompts import Prompt

ASKED = "▸"
"""Before the class sessions that the question is about."""


def lineage_sections(lineage: Lineage, prompts: Iterable[Prompt], caveat: str) -> Iterator[Section]:
    yield Section("Where it comes from", tuple(_descent(lineage)))
    if since := tuple(_since(lineage)):
        yield Section("What was said of it", since)
    if lineage.calls:
        yield Section("Calls", tuple(_calls(lineage)))
    for number, prompt in enumerate(prompts):
        facts = [("sent with", ", ".join(f"{name} {value}" for name, value in prompt.options.items()))]
        facts += [("but", caveat)] if caveat and not number else []
        text = "\n\n".join(f"{role}:\n{said}" for role, said in prompt.messages)
        yield Section(f"Prompt of {prompt.stage}", tuple(facts), text)
    if caveat and not prompts:
        yield Section("Prompts", (("none", caveat),))


def _descent(lineage: Lineage) -> Iterator[Fact]:
    home, subject, syllabus = lineage.discipline, lineage.subject, lineage.syllabus
    yield "discipline", home.name + (f", in {home.field}" if home.field else "")
    if subject:
        yield "subject", f"{subject.name}, level {subject.level}"
        yield "subtopics", ", ".join(subject.subtopics)
    elif lineage.record:
        yield "subject", f"{lineage.record.subject}: its question came from a file"
    if syllabus:
        yield "syllabus", syllabus.introduction or f"{len(syllabus.sessions)} class sessions"
    asked = {session.name for session in lineage.sessions}
    concepts = set(lineage.record.key_concepts if lineage.record else ())
    for number, session in enumerate(syllabus.sessions if syllabus else lineage.sessions, 1):
        mark = ASKED if session.name in asked else " "
        yield f"{mark} session {number}", session.name + (f": {session.description}" if session.description else "")
        if session.name in asked:
            used = [one for one in session.key_concepts if one in concepts]
            others = [one for one in session.key_concepts if one not in concepts]
            yield "  concepts", ", ".join(used) + (f" (not asked about: {', '.join(others)})" if others else "")


def _since(lineage: Lineage) -> Iterator[Fact]:
    for fall in lineage.rejects[:-1] if lineage.state == "rejected" else lineage.rejects:
        yield "fell before", _fall(fall)
    for judgement in lineage.judgements:
        yield "judged", _judged(judgement)
    for decision in lineage.decisions:
        yield "curate", _decided(decision)


def _fall(item: Rejected) -> str:
    return f"{item.stage}: {item.reason}" + (f", {item.detail}" if item.detail else "")


def _judged(said: Judgement) -> str:
    if said.scores is None or said.score is None:
        return f"by {said.model}: no usable reply ({said.why})"
    scores = ", ".join(f"{name.replace('_', ' ')} {score}" for name, score in said.scores.items())
    votes = said.votes or {}
    agreed = f"; {votes.get('agree')} of {votes.get('asked')} votes agree on {votes.get('own')}" if votes else ""
    return f"{said.score:.2f} by {said.model} ({scores}): {said.why}{agreed}"


def _decided(decision: Decision) -> str:
    parts = (decision.decision, decision.reason, decision.detail, moment(decision.time))
    return ", ".join(part for part in parts if part)


# --- calls --------------------------------------------------------------------------------------------------------


def _calls(lineage: Lineage) -> Iterator[Fact]:
    for calls in lineage.calls.values():
        yield from ((call.stage, _call(call)) for call in calls)
    shared = [call for stage in SHARED for call in lineage.calls.get(stage, ())]
    yield (
        "cost",
        money(lineage.cost)
        + " for this record"
        + (f"; {money(_sum(shared))} for its subjects and syllabus, which serve others too" if shared else ""),
    )


def _sum(calls: Iterable[Call]) -> float | None:
    costs = [call.cost_usd for call in calls if not call.error]
    return None if None in costs else sum(cost or 0.0 for cost in costs)


def _call(call: Call) -> str:
    parts = [
        call.model,
        *([f"ask {call.ask + 1}"] if call.ask else []),
        *([f"attempt {call.attempt + 1}"] if call.attempt else []),
        *(_failure(call) if call.error else _reply(call)),
        *([f"{call.seconds:,.1f} s"] if call.seconds is not None else []),
        moment(call.time),
        call.id,
    ]
    return " · ".join(part for part in parts if part)


def _failure(call: Call) -> list[str]:
    return [f"{call.error}{f' {call.status}' if call.status else ''}"]


def _reply(call: Call) -> list[str]:
    into, out = _count(call.prompt_tokens), _count(call.completion_tokens)
    cached = f" ({call.cached_tokens:,} cached)" if call.cached_tokens else ""
    thought = f" ({call.reasoning_tokens:,} thought)" if call.reasoning_tokens else ""
    return [f"{into} in{cached}, {out} out{thought}", money(call.cost_usd), call.finish_reason or ""]


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def money(dollars: float | None) -> str:
    if dollars is None:
        return "price unknown"
    return f"${dollars:,.2f}" if not dollars or dollars >= 1 else f"${dollars:.2g}"


def moment(seconds: float | None) -> str:
    """In UTC; empty for what is no time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds)) if seconds is not None else ""
    except (OverflowError, OSError, ValueError):
        return ""
