"""What each stage's calls cost: the user's prices, else the list's; a server of one's own has no list price."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from urllib.parse import urlsplit

from glan_dspy.addresses import bare_name, endpoint_for
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.rehearsal import is_rehearsal
from glan_dspy.engines.tariff import FREE, Tariff, for_model, listed
from glan_dspy.settings import Settings

BATCH_SHARE = 0.5
"""What a token costs in a batch, as a share of its price online."""

THOUGHTS = {"none": 0, "minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576}
MOST_THOUGHTS = 32_768
"""Tokens that DSPy lets an Anthropic model think for its effort, on top of the reply's limit."""

Part = Literal["curriculum", "question", "answer"]


def part_of(stage: str) -> Part:
    """Which of a run's models a stage asks: `subjects.draft`, say, is asked of the curriculum's."""
    head = stage.partition(".")[0]
    return "question" if head == "question" else "answer" if head in ("answer", "judge", "vote") else "curriculum"


def models_of(settings: Settings, *, answers_only: bool = False) -> dict[Part, str]:
    """The model that each part of a run asks."""
    answer: dict[Part, str] = {"answer": settings.answer_model}
    if answers_only:
        return answer
    return {"curriculum": settings.curriculum_model, "question": settings.question_model, **answer}


def tariffs_of(settings: Settings, *, answers_only: bool = False) -> dict[Part, Tariff]:
    """The price of each part: one model name at two endpoints may have two prices."""
    return {
        part: tariff_of(model, settings, part == "answer")
        for part, model in models_of(settings, answers_only=answers_only).items()
    }


def tariff_of(model: str, settings: Settings, for_answer: bool) -> Tariff:
    """What the model costs where it is asked. Unknown where neither the user nor the list says."""
    if is_rehearsal(model):
        return FREE
    endpoint = endpoint_for(settings, for_answer)
    given = given_prices(model, settings, for_answer)
    # A dearer or cheaper tier has other prices than the list's.
    tariff = (None if "service_tier" in settings.extra_body else _listed(model, endpoint)) or Tariff()
    return replace(
        tariff,
        **given,
        source=f"your prices{f' over {tariff.source}' if tariff.source else ''}" if given else tariff.source,
        headroom=endpoint.headroom(model) + _thoughts(model, settings),
        least=_least(settings),
        # These count otherwise than OpenAI, where DSPy asks them itself; through another's API they count as that does.
        cached_apart=not endpoint.base_url and model.startswith("anthropic/"),
        reasoning_apart=not endpoint.base_url and model.startswith(("gemini/", "google/", "vertex/", "xai/")),
        share=BATCH_SHARE if settings.batch else 1.0,
    )


def given_prices(model: str, settings: Settings, for_answer: bool) -> dict[str, float]:
    """By --price-in, --price-cached and --price-out; `openai/x` and `x` name one model where they are one."""
    names = {model, bare_name(model, settings, for_answer)}
    kinds = {"input": settings.price_in, "cached": settings.price_cached, "output": settings.price_out}
    found = {kind: for_model(entries, names) for kind, entries in kinds.items()}
    return {kind: price for kind, price in found.items() if price is not None}


def _thoughts(model: str, settings: Settings) -> int:
    """What an Anthropic model may think on top of a reply's limit."""
    if not model.startswith("anthropic/"):
        return 0
    thinking = settings.extra_body.get("thinking")
    asked = thinking.get("budget_tokens", 0) if isinstance(thinking, dict) else 0
    effort = settings.reasoning_effort
    own = THOUGHTS.get(effort, MOST_THOUGHTS) if effort else 0
    return max(own, asked if isinstance(asked, int) else 0)


def _least(settings: Settings) -> int:
    limits = [settings.extra_body.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return max((limit for limit in limits if isinstance(limit, int)), default=0)


def _listed(model: str, endpoint: Endpoint) -> Tariff | None:
    if endpoint.azure:
        return listed("azure", model.removeprefix("azure/"))
    if endpoint.base_url is None or urlsplit(endpoint.base_url).hostname == "api.openai.com":
        provider, slash, name = model.partition("/")
        return listed(provider, name) if slash and provider != "openai" else listed("openai", name or model)
    return None
