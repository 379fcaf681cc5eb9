"""From settings to language models: which engine serves a model's name, and what is wrapped around it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from glan_dspy.errors import UserError
from glan_dspy.settings import Settings

# DSPy would otherwise fetch a price list from the network at its first call.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

import dspy

from glan_dspy.engines.background import SyncFace
from glan_dspy.engines.base import AsyncEngine
from glan_dspy.engines.budget import Budget
from glan_dspy.engines.direct import DirectLM
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.forms import Forms
from glan_dspy.engines.journal import Journal
from glan_dspy.engines.limit import Limit
from glan_dspy.engines.meter import Meter
from glan_dspy.engines.pace import Hard
from glan_dspy.engines.rehearsal import RehearsalEngine, is_rehearsal
from glan_dspy.engines.retry import Pause, Retry
from glan_dspy.engines.tariff import FREE, Tariff, for_model, listed

if TYPE_CHECKING:
    from glan_dspy.engines.batch_journal import BatchJournal
    from glan_dspy.engines.provider import Provider


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
    budget: Budget | None = None,
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
            care = Care(settings.max_attempts, pause, hard, tariff_of(model, priced, elsewhere), budget)
            made[model, elsewhere] = (language_model(name, engine, care), engine)
        return made[model, elsewhere][0]

    answer = lm(settings.answer_model, True)
    others = [settings.curriculum_model, settings.question_model] if not answers_only else []
    curriculum, question = [lm(model, False) for model in others] or [answer, answer]
    return Models(curriculum, question, answer, tuple(engine for _, engine in made.values()))


BATCH_SHARE = 0.5
"""What a token costs in a batch, as a share of its price online."""


@dataclass(frozen=True)
class Care:
    """What is wrapped around an engine: how often a call is sent, how fast, and what it may cost."""

    max_attempts: int = 1
    pause: Pause = asyncio.sleep
    hard: Hard | None = None
    tariff: Tariff = FREE
    budget: Budget | None = None


def language_model(model: str, engine: AsyncEngine, care: Care | None = None) -> dspy.LM:
    """A dspy.LM over an engine, with our journal, retry, pace and meter around it and DSPy's cache and retry off."""
    care = care or Care()
    metered: AsyncEngine = Meter(engine, care.tariff, care.budget)
    paced = Limit(metered, care.hard) if care.hard else metered
    wrapped = Journal(Retry(paced, care.max_attempts, care.pause))
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


def bare_name(model: str, settings: Settings, for_answer: bool) -> str:
    """`openai/gpt-4o`, as DSPy and LiteLLM write it, without its prefix; a server of one's own gets names unchanged."""
    endpoint = endpoint_for(settings, for_answer)
    if endpoint.azure:
        return model.removeprefix("azure/")
    return model if endpoint.base_url else model.removeprefix("openai/")


def stage_tariffs(settings: Settings, *, answers_only: bool = False) -> dict[str, Tariff]:
    """The price of each model that the settings name."""
    own = [] if answers_only else [settings.curriculum_model, settings.question_model]
    return {model: tariff_of(model, settings, False) for model in own} | {
        settings.answer_model: tariff_of(settings.answer_model, settings, True)
    }


def tariff_of(model: str, settings: Settings, for_answer: bool) -> Tariff:
    """What the model costs, by the user's word or by the list; a server of one's own has no list price."""
    if is_rehearsal(model):
        return FREE
    endpoint = endpoint_for(settings, for_answer)
    own = {
        kind: for_model(entries, model)
        for kind, entries in (
            ("input", settings.price_in),
            ("cached", settings.price_cached),
            ("output", settings.price_out),
        )
    }
    limits = [settings.extra_body.get(name) for name in ("max_tokens", "max_completion_tokens")]
    tariff = _listed(model, endpoint) or Tariff()
    given = {kind: price for kind, price in own.items() if price is not None}
    return replace(
        tariff,
        **given,
        source=f"your prices{f' over {tariff.source}' if tariff.source else ''}" if given else tariff.source,
        headroom=endpoint.headroom(model),
        least=max((limit for limit in limits if isinstance(limit, int)), default=0),
        cached_apart=model.startswith("anthropic/"),
        reasoning_apart=model.startswith(("gemini/", "google/", "vertex/", "xai/")),
        share=BATCH_SHARE if settings.batch else 1.0,
    )


def _listed(model: str, endpoint: Endpoint) -> Tariff | None:
    from urllib.parse import urlsplit

    if endpoint.azure:
        return listed("azure", model.removeprefix("azure/"))
    if endpoint.base_url is None or urlsplit(endpoint.base_url).hostname == "api.openai.com":
        provider, slash, name = model.partition("/")
        return listed(provider, name) if slash and provider != "openai" else listed("openai", name or model)
    return None


def endpoint_for(settings: Settings, for_answer: bool) -> Endpoint:
    endpoint = endpoint_of(settings)
    if not for_answer:
        return endpoint
    # An endpoint of its own gets a key of its own: the first one's key is not shown to a second server.
    return replace(
        endpoint,
        azure=endpoint.azure and not settings.answer_base_url,
        base_url=settings.answer_base_url or endpoint.base_url,
        key_variable=settings.answer_api_key_env or ("" if settings.answer_base_url else endpoint.key_variable),
    )


def endpoint_of(settings: Settings) -> Endpoint:
    azure = bool(os.environ.get("AZURE_OPENAI_ENDPOINT")) and not settings.base_url
    return Endpoint(
        base_url=settings.base_url or os.environ.get("OPENAI_BASE_URL") or None,
        key_variable="AZURE_OPENAI_API_KEY" if azure else "OPENAI_API_KEY",
        azure=azure,
        extra_body=settings.extra_body,
        extra_headers=dict(_header(line) for line in settings.extra_header),
        timeout=settings.timeout,
        connections=settings.concurrency + 8,
        reasoning_effort=settings.reasoning_effort,
        reasoning_headroom=settings.reasoning_headroom,
        structured=settings.structured,
    )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def require_key(endpoint: Endpoint, model: str) -> None:
    if endpoint.key() or (endpoint.base_url and not endpoint.azure):
        return
    raise UserError(
        f"model {model!r} needs a key: set {endpoint.key_variable}, or --base-url for a server of your own; "
        "--model-name rehearsal needs neither"
    )


def require_provider_key(provider: Provider, model: str, endpoint: Endpoint) -> None:
    if endpoint.extra_headers:
        raise UserError(f"--extra-header goes to OpenAI-compatible endpoints only, not to {provider.id} ({model!r})")
    key, named = endpoint.key(), endpoint.key_variable
    if missing := f"set {named}" if named and not key else provider.missing(key):
        raise UserError(
            f"model {model!r} needs a key: {missing}; or give --base-url for a server of your own that has this model"
        )
