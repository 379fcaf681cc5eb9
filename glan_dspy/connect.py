"""From settings to language models: which engine serves a model's name, and what is wrapped around it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from glan_dspy.addresses import bare_name, endpoint_for, require_key, require_provider_key
from glan_dspy.errors import UserError
from glan_dspy.pricing import tariff_of
from glan_dspy.settings import Settings

# DSPy would otherwise fetch a price list from the network at its first call.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

import dspy

from glan_dspy.engines.background import SyncFace
from glan_dspy.engines.base import AsyncEngine
from glan_dspy.engines.budget import Purse
from glan_dspy.engines.direct import DirectLM
from glan_dspy.engines.forms import Forms
from glan_dspy.engines.journal import Journal
from glan_dspy.engines.limit import Limit, OnStop, never
from glan_dspy.engines.meter import Meter
from glan_dspy.engines.pace import Hard, Pace, Pacer
from glan_dspy.engines.rehearsal import RehearsalEngine, is_rehearsal
from glan_dspy.engines.retry import Pause, Retry
from glan_dspy.engines.tariff import FREE, Tariff

if TYPE_CHECKING:
    from glan_dspy.engines.batch_journal import BatchJournal


Pacers = Callable[[str], Callable[[Hard], Pacer]]
"""For a model at its endpoint, by a name of it: what makes its pace."""


@dataclass(frozen=True)
class Models:
    """A language model for each stage; two stages of one model and endpoint share it."""

    curriculum: dspy.LM
    question: dspy.LM
    answer: dspy.LM
    engines: tuple[Any, ...] = ()

    async def aclose(self) -> None:
        """Closes the running loop's connections."""
        for engine in self.engines:
            if hasattr(engine, "aclose"):
                await engine.aclose()


def connect(
    settings: Settings,
    pause: Pause = asyncio.sleep,
    *,
    answers_only: bool = False,
    forms: Forms | None = None,
    batch_journal: BatchJournal | None = None,
    budget: Purse | None = None,
    on_stop: OnStop = never,
    pacer: Pacers = lambda name: Pace,
) -> Models:
    """The models of a run; no request is sent yet. Raises UserError when a key is missing or a name is wrong.

    With `answers_only` the answer model stands for all of them: the others are not asked, and need no key.
    Batches need the journal: without one, requests go out one by one, also where the settings say `batch`.
    """
    forms = forms or Forms()
    # Without a journal there are no batches, and no half price.
    priced = settings if batch_journal else settings.model_copy(update={"batch": False})
    # A batch is paced by its own engine: all its calls wait there together.
    hard = None if priced.batch else Hard(settings.concurrency, settings.rpm, settings.tpm)
    made: dict[tuple[str, bool], tuple[dspy.LM, AsyncEngine]] = {}

    def lm(model: str, for_answer: bool) -> dspy.LM:
        elsewhere = for_answer and bool(settings.answer_base_url or settings.answer_api_key_env)
        if (model, elsewhere) not in made:
            engine = engine_for(model, settings, elsewhere, forms, batch_journal)
            name = bare_name(model, settings, elsewhere)
            tariff = tariff_of(model, priced, elsewhere)
            care = Care(
                settings.max_attempts,
                pause,
                hard,
                tariff,
                budget,
                priced.batch,
                on_stop,
                pacer(f"{model}|{elsewhere:d}"),
            )
            made[model, elsewhere] = (language_model(name, engine, care), engine)
        return made[model, elsewhere][0]

    answer = lm(settings.answer_model, True)
    others = [settings.curriculum_model, settings.question_model] if not answers_only else []
    curriculum, question = [lm(model, False) for model in others] or [answer, answer]
    return Models(curriculum, question, answer, tuple(engine for _, engine in made.values()))


@dataclass(frozen=True)
class Care:
    """What is wrapped around an engine: how often a call is sent, how fast, and what it may cost."""

    max_attempts: int = 1
    pause: Pause = asyncio.sleep
    hard: Hard | None = None
    tariff: Tariff = FREE
    budget: Purse | None = None
    lasting: bool = False
    """Whether calls outlive the process: those in a batch."""
    on_stop: OnStop = never
    pacer: Callable[[Hard], Pacer] = Pace
    around: Callable[[AsyncEngine], AsyncEngine] = lambda engine: engine
    """Puts one more engine outside all others: it may know the reply already."""


def language_model(model: str, engine: AsyncEngine, care: Care | None = None) -> dspy.LM:
    """A dspy.LM over an engine, with our journal, retry, pace and meter around it and DSPy's cache and retry off."""
    care = care or Care()
    metered: AsyncEngine = Meter(engine, care.tariff, care.budget, lasting=care.lasting)
    paced = Limit(metered, care.hard, care.on_stop, care.pacer) if care.hard else metered
    wrapped = care.around(Journal(Retry(paced, care.max_attempts, care.pause)))
    sync = SyncFace(wrapped)
    return DirectLM(model, engine=sync, async_engine=AsyncFace(wrapped), cache=False, num_retries=0)


class AsyncFace(SyncFace):
    """What `dspy.LM` takes as `async_engine`: the same capabilities, awaited."""

    async def complete(self, request: Any) -> Any:
        return await self.engine.complete(request)


def engine_for(
    model: str,
    settings: Settings,
    for_answer: bool,
    forms: Forms | None = None,
    batch_journal: BatchJournal | None = None,
) -> AsyncEngine:
    """The engine that serves the model's name: simulated, a provider's that DSPy knows, or an OpenAI-compatible one."""
    if is_rehearsal(model):
        if settings.batch:
            raise UserError(no_batch(model))
        try:
            return RehearsalEngine(model)
        except ValueError as error:
            raise UserError(str(error)) from None
    endpoint = endpoint_for(settings, for_answer)
    if "/" in model and not endpoint.base_url:
        from glan_dspy.engines.provider import ProviderEngine, provider_of

        if provider := provider_of(model):
            # OpenAI's key is not another provider's: without a variable of its own, DSPy knows where to look.
            variable = (for_answer and settings.answer_api_key_env) or provider.key_variable
            if settings.batch:
                raise UserError(no_batch(model))
            own = replace(endpoint, azure=False, key_variable=variable)
            require_provider_key(provider, model, own)
            return ProviderEngine(provider, own, forms)
    require_key(endpoint, model)
    if settings.batch and batch_journal is not None:
        from glan_dspy.engines.batch import BatchEngine

        return BatchEngine(endpoint, batch_journal, forms)
    from glan_dspy.engines.openai import OpenAIEngine

    return OpenAIEngine(endpoint, forms)


def no_batch(model: str) -> str:
    return (
        f"--batch is for models of OpenAI, Azure and servers with their Batch API; {model!r} has none: "
        "leave --batch out (or say --no-batch)"
    )
