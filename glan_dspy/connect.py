"""From settings to language models: which engine serves a model's name, and what is wrapped around it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.settings import Settings

# DSPy would otherwise fetch a price list from the network at its first call.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

import dspy

from glan_dspy.engines.background import SyncFace
from glan_dspy.engines.base import AsyncEngine
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.journal import Journal
from glan_dspy.engines.meter import Meter, free, unknown_price
from glan_dspy.engines.rehearsal import RehearsalEngine, is_rehearsal
from glan_dspy.engines.retry import Pause, Retry


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
    settings: Settings, pause: Pause = asyncio.sleep, *, answers_only: bool = False, forms: Forms | None = None
) -> Models:
    """The models of a run; no request is sent yet. Raises UserError when a key is missing or a name is wrong.

    With `answers_only` the answer model stands for all of them: the others are not asked, and need no key.
    """
    made: dict[tuple[str, bool], tuple[dspy.LM, AsyncEngine]] = {}

    def lm(model: str, for_answer: bool) -> dspy.LM:
        elsewhere = for_answer and bool(settings.answer_base_url or settings.answer_api_key_env)
        if (model, elsewhere) not in made:
            engine = engine_for(model, settings, elsewhere)
            made[model, elsewhere] = (language_model(model, engine, settings.max_attempts, pause), engine)
        return made[model, elsewhere][0]

    answer = lm(settings.answer_model, True)
    others = [settings.curriculum_model, settings.question_model] if not answers_only else []
    curriculum, question = [lm(model, False) for model in others] or [answer, answer]
    return Models(curriculum, question, answer, tuple(engine for _, engine in made.values()))


def language_model(model: str, engine: AsyncEngine, max_attempts: int = 1, pause: Pause = asyncio.sleep) -> dspy.LM:
    """A dspy.LM over an engine, with our retry, meter and journal around it and DSPy's own cache and retry off."""
    price = free if is_rehearsal(model) else unknown_price
    wrapped = Journal(Retry(Meter(engine, price), max_attempts, pause))
    sync = SyncFace(wrapped)
    return dspy.LM(model, engine=sync, async_engine=AsyncFace(wrapped), cache=False, num_retries=0)


class AsyncFace(SyncFace):
    """What `dspy.LM` takes as `async_engine`: the same capabilities, awaited."""

    async def complete(self, request: Any) -> Any:
        return await self.engine.complete(request)


def engine_for(model: str, settings: Settings, for_answer: bool) -> AsyncEngine:
    if is_rehearsal(model):
        try:
            return RehearsalEngine(model)
        except ValueError as error:
            raise UserError(str(error)) from None
    endpoint = endpoint_of(settings)
    if for_answer:
        # An endpoint of its own gets a key of its own: the first one's key is not shown to a second server.
        endpoint = replace(
            endpoint,
            azure=endpoint.azure and not settings.answer_base_url,
            base_url=settings.answer_base_url or endpoint.base_url,
            key_variable=settings.answer_api_key_env or ("" if settings.answer_base_url else endpoint.key_variable),
        )
    require_key(endpoint, model)
    from glan_dspy.engines.openai import OpenAIEngine

    return OpenAIEngine(endpoint)


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
