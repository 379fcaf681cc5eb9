"""What a run of these settings takes, before anything is sent: calls, tokens, dollars, hours and disk.

The counts are the most there can be. Tokens come from priors, rough figures for English with a wide range, or
from a pilot run of the same settings (`plan --from RUN`), which knows the models, the language and the rejects.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from glan_dspy.engines.endpoint import KNOWN_HEADROOM, thinks_first
from glan_dspy.pricing import part_of, tariffs_of
from glan_dspy.run.course import test_allowance
from glan_dspy.settings import Settings


class Range(NamedTuple):
    """From a low guess to a high one."""

    low: float
    high: float

    def __mul__(self, factor: float) -> Range:  # type: ignore[override]
        return Range(self.low * factor, self.high * factor)

    def plus(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def at_least(self, other: Range) -> Range:
        """Both ends as far as the other's: tuples compare by their first alone."""
        return Range(max(self.low, other.low), max(self.high, other.high))


NOTHING = Range(0.0, 0.0)


class Use(NamedTuple):
    """Of one call of a stage: tokens in and out, and the seconds it takes."""

    prompt: Range
    reply: Range
    seconds: Range


class Planned(NamedTuple):
    stage: str
    calls: int
    model: str
    token_limit: int
    """Most tokens of one reply."""
    prompt_tokens: Range
    """Of all its calls together, as reply_tokens and dollars."""
    reply_tokens: Range
    dollars: Range | None
    """None where the model's price is not known."""


def counts(settings: Settings, disciplines: int) -> dict[str, int]:
    """The most calls of each stage: fewer where a model lists fewer subjects or a syllabus has few combinations.

    With --num-pairs the questions are the candidate budget. Retries, asking again after a reply that cannot be used,
    and answers in the place of those that fall come on top.
    """
    s = settings
    rounds = 2 if s.draft_first else 1
    subjects = disciplines * s.max_number_of_subjects
    questions = subjects * s.samples_per_syllabus
    if s.num_pairs:
        subjects, questions = min(subjects, s.num_pairs), s.num_pairs
    answers = questions + disciplines * s.holdout
    candidates = math.floor(questions * s.candidate_budget) if s.num_pairs else questions
    candidates += disciplines * test_allowance(s) if s.holdout else 0
    taxonomy = {"taxonomy": s.num_taxonomy_queries} if s.generate_disciplines else {}
    return {
        **taxonomy,
        "subjects": disciplines * s.num_subject_queries * rounds,
        "syllabus": subjects * rounds,
        "question": candidates,
        "answer": 0 if s.generate_question_only else answers,
    }


def plan(settings: Settings, disciplines: int, uses: dict[str, Use] | None = None) -> tuple[Planned, ...]:
    """A row a stage, in the order of the method; `uses` from a pilot go before the priors."""
    known = {**priors(settings), **(uses or {})}
    return tuple(
        _planned(settings, stage, calls, known[stage]) for stage, calls in counts(settings, disciplines).items()
    )


def _planned(s: Settings, stage: str, calls: int, use: Use) -> Planned:
    model, limit = {
        "question": (s.question_model, s.question_max_tokens),
        "answer": (s.answer_model, s.answer_max_tokens),
    }.get(stage, (s.curriculum_model, s.curriculum_max_tokens))
    tariff = tariffs_of(s)[part_of(stage)]
    dollars = None
    if tariff.input is not None and tariff.output is not None:
        dollars = Range(
            *(
                calls * (prompt * tariff.input + reply * tariff.output) / 1_000_000 * tariff.share
                for prompt, reply in zip(use.prompt, use.reply, strict=True)
            )
        )
    return Planned(stage, calls, model, limit, use.prompt * calls, use.reply * calls, dollars)


def total_dollars(rows: tuple[Planned, ...]) -> Range | None:
    """Of all stages together; None where one price is missing."""
    total = NOTHING
    for row in rows:
        if row.dollars is None:
            return None
        total = total.plus(row.dollars)
    return total


def hours(settings: Settings, rows: tuple[Planned, ...], uses: dict[str, Use] | None = None) -> Range:
    """At the settings' pace: by --rpm where it is given, else by the calls in flight and how long one takes."""
    known = {**priors(settings), **(uses or {})}
    s = settings
    at_once = {"question": s.question_batch_size, "answer": s.answer_batch_size}
    slowest = NOTHING
    for row in rows:
        seconds = known[row.stage].seconds * (row.calls / min(at_once.get(row.stage, s.concurrency), s.concurrency))
        slowest = slowest.at_least(seconds)
    if s.rpm:
        by_rate = sum(row.calls for row in rows) / s.rpm * 60
        slowest = slowest.at_least(Range(by_rate, by_rate))
    return slowest * (1 / 3600)


BYTES_A_PAIR = Range(4_500.0, 11_000.0)
"""On disk, with its question's own line, its lineage and two lines of calls.jsonl."""


def priors(settings: Settings) -> dict[str, Use]:
    """Rough figures a call, for a model that is neither terse nor verbose.

    Other languages than English take up to twice the tokens, which the high ends allow for.
    """
    s = settings
    concepts = Range(14.0, 22.0)  # tokens a class session takes with its five concepts, as the question prompt has it
    outline = Range(25.0, 60.0) * s.max_number_of_session_name
    syllabus = Range(70.0, 150.0) * s.max_number_of_session_name
    subjects = Range(12.0, 30.0).plus(Range(4.0, 9.0) * s.max_number_of_subtopics) * s.max_number_of_subjects
    thoughts = NOTHING
    uses = {
        "taxonomy": Use(Range(150, 250), Range(200, 900) * s.max_number_of_fields, Range(10, 90)),
        "subjects": Use(Range(180, 300), subjects, Range(2, 60)),
        "syllabus": Use(Range(230, 400).plus(concepts), syllabus.plus(Range(40, 150)), Range(3, 90)),
        "question": Use(Range(280, 420).plus(outline), Range(90, 350), Range(2, 12)),
        "answer": Use(Range(200, 500), Range(250, 1200), Range(4, 40)),
    }
    limits = {"question": s.question_max_tokens, "answer": s.answer_max_tokens}
    models = {"question": s.question_model, "answer": s.answer_model}
    for stage, use in uses.items():
        if thinks_first(models.get(stage, s.curriculum_model)):
            thoughts = Range(200, KNOWN_HEADROOM / 2)
        limit = limits.get(stage, s.curriculum_max_tokens)
        reply = Range(min(use.reply.low, limit), min(use.reply.high, limit)).plus(thoughts)
        uses[stage] = use._replace(reply=reply)
        thoughts = NOTHING
    return uses
