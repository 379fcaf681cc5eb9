"""One small dspy.Module a stage: it words the inputs, asks, and returns typed records.

A module does not sample, loop over a tree or touch a file. It raises `BadReply` when the model answered
badly; whoever drives it decides whether to ask again. Every module has the same two faces as DSPy's own:
`await stage.acall(...)`, and `stage(...)` for those without a loop, which runs the very same coroutine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import dspy
from dspy.utils.exceptions import AdapterParseError

from glan_dspy.adapters import why
from glan_dspy.engines.background import run_sync
from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.journal import refusal_of, text_of
from glan_dspy.errors import BadReply
from glan_dspy.gates.abstention import abstains
from glan_dspy.predicting import is_watched, predict
from glan_dspy.records import MAX_LEVEL, MIN_LEVEL, ClassSession, Sample, Subject, Syllabus, digest
from glan_dspy.signatures import (
    AnswerQuestion,
    DesignSyllabus,
    DesignTaxonomy,
    DraftSubjects,
    DraftSyllabus,
    ExtractSubjects,
    ExtractSyllabus,
    FieldOutline,
    ListSubjects,
    SubjectOutline,
    WriteQuestion,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """How a stage samples from its model; they travel with each call, not in the LM."""

    temperature: float = 1.0
    top_p: float = 0.95
    max_tokens: int = 8192
    seed: int | None = None
    """The run's seed; what is sent differs from call to call. None sends none."""
    draft_first: bool = False

    def config(self, call: Call) -> dict[str, Any]:
        config: dict[str, Any] = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        if self.seed is not None and call.item:
            config["seed"] = int(digest(self.seed, call.key)[:7], 16)
        return config


class Stage(dspy.Module):
    """What the stages share: one way to ask, and the synchronous face."""

    name: str
    carries = False
    """Whether a subject or a discipline hangs on the reply: then one that was cut or refused is asked again, too."""
    aforward: Callable[..., Awaitable[dspy.Prediction]]

    def __init__(self, options: Options | None = None) -> None:
        super().__init__()
        self.options = options or Options()

    def forward(self, **inputs: Any) -> dspy.Prediction:
        return run_sync(self._as_coroutine(**inputs))

    async def acall(self, **inputs: Any) -> dspy.Prediction:
        # DSPy's own copies all settings at each call, to note whose history it belongs in.
        return await (super().acall(**inputs) if is_watched(self) else self.aforward(**inputs))

    async def _as_coroutine(self, **inputs: Any) -> dspy.Prediction:
        return await self.aforward(**inputs)

    async def ask(self, predictor: str, **inputs: Any) -> dspy.Prediction:
        """One reply of one predictor, parsed. Raises BadReply when it cannot be used."""
        outer = CALL.get() or Call(stage=self.name, item="")
        call = replace(outer, stage=f"{self.name}.{predictor}", response=None, recalled=False, id="")
        CALL.set(call)
        try:
            prediction = await predict(getattr(self, predictor), self.options.config(call), inputs)
        except AdapterParseError as error:
            raw = str(error.lm_response or "")
            check_ending(call, raw, self.carries)
            raise BadReply("unparseable" if raw.strip() else "empty", raw, why(error.__cause__ or error)) from error
        except RecursionError as error:  # DSPy's own adapters, on brackets within brackets
            check_ending(call, "", self.carries)
            raise BadReply("unparseable", text_of(call.response) if call.response else "", "too deep") from error
        finally:
            # What the caller holds tells of the last reply, also of one that could not be used.
            CALL.set(outer)
            outer.stage, outer.id, outer.attempt, outer.response = call.stage, call.id, call.attempt, call.response
            outer.recalled, outer.model = call.recalled, call.model
        check_ending(call, "", self.carries)
        return prediction


async def asked(
    make: Callable[[], Awaitable[T]],
    limit: int,
    new_call: Callable[[int], Call],
    useless: Callable[[Call], None] = lambda call: None,
    first: int = 0,
) -> tuple[T, Call]:
    """What `make` gives at the first ask whose reply can be used, and that ask's call.

    A reply that cannot be used is handed to `useless`. Raises the last BadReply after `limit` asks, or sooner
    where asking again would not change it. The asks are numbered from `first` on.
    """
    for ask in range(first, first + limit):
        call = new_call(ask)
        CALL.set(call)
        try:
            return await make(), call
        except BadReply as bad:
            useless(call)
            # A reply from the file that would not change was already the end of an earlier command: this one asks anew.
            if ask + 1 == first + limit or not (bad.again or call.recalled):
                raise
    raise ValueError(f"limit is {limit}; something is asked at least once")


def check_ending(call: Call, raw: str, again: bool = False) -> None:
    """Raises BadReply for a reply that did not come to its own end, whatever it looks like.

    With `again` it may be asked for once more: what was cut or refused once may well come the next time.

    This comes before the parsed value is believed: a JSON object cut in the middle can be repaired into
    a whole one that nobody wrote.
    """
    if call.response is None:
        return
    raw = text_of(call.response) or raw
    if refusal := refusal_of(call.response):
        raise BadReply("refusal", refusal, again=again)
    match call.response.finish_reason:
        case "stop" | "tool_call":
            return
        case "length":
            raise BadReply("truncated", raw, "the reply reached its token limit", again=again)
        case "content_filter":
            raise BadReply("content_filter", raw, again=again)
        case other:
            raise BadReply("unknown_finish", raw, f"the reply ended for an unknown reason ({other})")


def wrong_shape(detail: str) -> BadReply:
    """The outcome of a last reply that is well formed and cannot be used, with that reply as it came."""
    call = CALL.get()
    return BadReply("wrong_shape", text_of(call.response) if call and call.response else "", detail)


class Taxonomy(Stage):
    """§2.1: fields, their sub-fields, and the disciplines in them."""

    name = "taxonomy"
    carries = True

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.design = dspy.Predict(DesignTaxonomy)

    async def aforward(self, max_fields: int, language: str = "English") -> dspy.Prediction:
        """`.fields`: at most max_fields FieldOutlines, none without a discipline."""
        reply = await self.ask("design", language=language, max_fields=max_fields)
        fields: list[FieldOutline] = [
            field for field in reply.fields_of_knowledge if any(sub.disciplines for sub in field.sub_fields)
        ]
        if not fields:
            raise wrong_shape("the taxonomy is empty")
        return dspy.Prediction(fields=fields[:max_fields])


class Subjects(Stage):
    """§2.2: what a student of the discipline should learn. `options.draft_first` asks in the paper's two rounds."""

    name = "subjects"
    carries = True

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.list = dspy.Predict(ListSubjects)
        self.draft = dspy.Predict(DraftSubjects)
        self.extract = dspy.Predict(ExtractSubjects)

    async def aforward(
        self, discipline: str, max_subjects: int, max_subtopics: int, language: str = "English"
    ) -> dspy.Prediction:
        """`.subjects`: the SubjectOutlines of one reply, as they came, every level within 100-900."""
        inputs = {
            "discipline": discipline,
            "max_subjects": max_subjects,
            "max_subtopics": max_subtopics,
            "language": language,
        }
        if self.options.draft_first:
            draft = await self.ask("draft", **inputs)
            reply = await self.ask("extract", draft=draft.draft)
        else:
            reply = await self.ask("list", **inputs)
        subjects: list[SubjectOutline] = reply.subjects
        if not subjects:
            raise wrong_shape("the subject list is empty")
        if wrong := [s for s in subjects if not MIN_LEVEL <= s.level <= MAX_LEVEL]:
            raise wrong_shape(f"level {wrong[0].level} is outside {MIN_LEVEL}-{MAX_LEVEL}")
        return dspy.Prediction(subjects=subjects)


class SyllabusDesign(Stage):
    """§2.3: the subject's class sessions with their key concepts."""

    name = "syllabus"
    carries = True

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.design = dspy.Predict(DesignSyllabus)
        self.draft = dspy.Predict(DraftSyllabus)
        self.extract = dspy.Predict(ExtractSyllabus)

    async def aforward(self, subject: Subject, max_sessions: int, language: str = "English") -> dspy.Prediction:
        """`.introduction` and `.sessions`: ClassSessions in teaching order, as they came."""
        inputs = {
            "discipline": subject.discipline,
            "subject": subject.name,
            "level": subject.level,
            "subtopics": list(subject.subtopics),
            "max_sessions": max_sessions,
            "language": language,
        }
        if self.options.draft_first:
            draft = await self.ask("draft", **inputs)
            reply = await self.ask("extract", draft=draft.draft)
        else:
            reply = await self.ask("design", **inputs)
        sessions = [
            ClassSession(name=s.name, description=s.description, key_concepts=tuple(s.key_concepts))
            for s in reply.sessions
        ]
        if not any(session.key_concepts for session in sessions):
            raise wrong_shape("the syllabus has no class session with key concepts")
        return dspy.Prediction(introduction=reply.introduction, sessions=sessions)


class QuestionWriter(Stage):
    """§2.4: one question for one sample, shown with its whole syllabus."""

    name = "question"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.write = dspy.Predict(WriteQuestion)

    async def aforward(self, subject: Subject, syllabus: Syllabus, sample: Sample, language: str) -> dspy.Prediction:
        """`.question`: the text, stripped."""
        return await self.ask(
            "write",
            language=language,
            max_tokens=self.options.max_tokens,
            discipline=subject.discipline,
            subject=subject.name,
            level=subject.level,
            syllabus=outline(syllabus),
            sessions=[syllabus.sessions[index].name for index in sample.sessions],
            key_concepts=list(sample.key_concepts),
        )


class AnswerWriter(Stage):
    """§2.4: the answer to a question, from a call of its own."""

    name = "answer"

    def __init__(self, options: Options | None = None, sees: str = "subject") -> None:
        super().__init__(options)
        self.sees = sees
        self.write = dspy.Predict(AnswerQuestion)

    async def aforward(
        self, question: str, language: str | None = None, subject: str | None = None, level: int | str | None = None
    ) -> dspy.Prediction:
        """`.answer`: the text, stripped. An answer that abstains is a BadReply."""
        alone = self.sees == "question"
        reply = await self.ask(
            "write",
            question=question,
            language=None if alone else language or None,
            subject=None if alone else subject or None,
            level=None if alone else level or None,
        )
        if abstains(reply.answer):
            raise BadReply("abstained", reply.answer, "the model says that it does not know", again=False)
        return reply


@lru_cache(maxsize=256)
def outline(syllabus: Syllabus) -> str:
    """The syllabus as a question's prompt shows it: a line a session. All its questions begin with these words."""
    return "\n".join(
        f"{number}. {session.name}: {'; '.join(session.key_concepts)}"
        for number, session in enumerate(syllabus.sessions, 1)
    )
