"""A record as a page: what is said of it, and its texts. `painted.py` draws it; here it is plain text for pipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from glan_dspy.records import Instruction, Question, Rejected
from glan_dspy.visible import one_line, visible

Fact = tuple[str, str]
"""A name and a value, such as ("level", "300")."""

LONG_THOUGHTS = 400
"""Characters of a model's thoughts that are shown on every page; of longer ones only how long they are."""


class Section(NamedTuple):
    """A part of a page: facts, one a line, and a text."""

    title: str = ""
    facts: tuple[Fact, ...] = ()
    text: str = ""
    markdown: bool = False
    """Whether the text is read as Markdown, or shown as it is."""


class Page(NamedTuple):
    id: str
    state: str
    """`accepted`, `rejected` and so on; empty where all pages have the same."""
    sections: tuple[Section, ...]


def record_page(record: Question | Rejected, score: float | None = None, state: str = "", whole: bool = False) -> Page:
    """The record's page; `whole`: with everything that is long and seldom wanted."""
    if isinstance(record, Rejected):
        return Page(record.id, state, tuple(_rejected(record)))
    return Page(record.id, state, tuple(_asked(record, score, whole)))


def _asked(record: Question, score: float | None, whole: bool) -> Iterator[Section]:
    thoughts = getattr(record, "reasoning", "")
    hidden = len(thoughts) > LONG_THOUGHTS and not whole
    more = [("score", f"{score:.2f}")] if score is not None else []
    more += [("thoughts", f"{len(thoughts):,} characters; shown with its ID alone")] if hidden else []
    yield Section(facts=(*_facts(record), *more))
    yield Section("Question", text=record.question, markdown=True)
    if isinstance(record, Instruction):
        if thoughts and not hidden:
            yield Section("Thoughts", text=thoughts, markdown=True)
        yield Section("Answer", text=record.answer, markdown=True)


def _facts(record: Question) -> Iterator[Fact]:
    yield "discipline", record.discipline
    yield "subject", f"{record.subject}, level {record.level}" if record.level != "" else record.subject
    yield "sessions", "; ".join(record.sessions)
    yield "concepts", ", ".join(record.key_concepts)
    models = [record.question_model, getattr(record, "answer_model", "")]
    told = [name for name in dict.fromkeys(models) if name]
    kind = [record.strategy, record.language, *(["simulated"] if record.simulated else [])]
    yield "written by", "; ".join([", answered by ".join(told), *filter(None, kind)])


def _rejected(item: Rejected) -> Iterator[Section]:
    why = f"{item.stage}: {item.reason}" + (f", {item.detail}" if item.detail else "")
    facts = [("rejected", why), *((f"found {name}", _told(value)) for name, value in item.found.items())]
    question = _valid(item)
    if question is None:
        facts += [(name, _told(value)) for name, value in item.item.items() if name != "id"]
        yield Section(facts=tuple(facts))
    else:
        yield Section(facts=(*facts, *_facts(question)))
        yield Section("Question", text=question.question, markdown=True)
        if isinstance(question, Instruction):
            yield Section("Answer", text=question.answer, markdown=True)
    if item.raw and (question is None or item.raw != question.question):
        yield Section("Reply, as it came", text=item.raw)


def _valid(item: Rejected) -> Question | None:
    """The question, or the pair, that was dropped; None for a subject list, a syllabus, and what was edited by hand."""
    for kind in (Instruction, Question):
        try:
            return kind.model_validate({"question": "", **item.item})
        except ValueError:
            continue
    return None


def _told(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


# --- as plain text ------------------------------------------------------------------------------------------------


def as_text(page: Page, shown: Callable[[str], str] = visible) -> str:
    """The page for a pipe: every text with the lines it has, and nothing wrapped. `shown` makes its texts safe."""
    parts = [f"── {one_line(page.id)}{page.state and f' · {one_line(page.state)}'} ──"]
    for section in page.sections:
        facts = [fact for fact in section.facts if fact[1]]
        width = max((len(name) for name, _ in facts), default=0)
        parts += [f"\n{one_line(section.title)}"] if section.title else []
        parts += [f"{visible(name):<{width}}  {' '.join(shown(value).split())}" for name, value in facts]
        parts += [f"\n{shown(section.text)}"] if section.text else []
    return "\n".join(parts) + "\n\n"
