"""One call of a dspy.Predict, by the short way where nobody is watching.

DSPy takes as long as the rest of the call here to look for callbacks, streams, traces, histories, tools and types
of its own, and to check the inputs against the signature. In a run there is none of that, so that what remains is to
word the request, to send it and to read the reply. Wherever anything of it is on, as in an optimizer, DSPy's own way
is taken.
"""

from __future__ import annotations

from typing import Any

import dspy
from dspy.lm15 import Request

from glan_dspy.adapters import CompactAdapter, Json
from glan_dspy.engines.direct import DirectLM


def is_watched(module: Any) -> bool:
    """Whether anybody wants to know of a module's calls: by callback, history or count of tokens."""
    settings = dspy.settings
    return bool(not settings.disable_history or settings.track_usage or settings.callbacks or module.callbacks)


async def predict(predictor: Any, config: Json, inputs: Json) -> dspy.Prediction:
    """What `predictor.acall(**inputs, config=config)` gives."""
    request = request_of(predictor, config, inputs)
    if request is None:
        return await predictor.acall(**inputs, config=config)
    text = await predictor.lm.text(request)
    fields = dspy.settings.adapter.parse(predictor.signature, text)
    return dspy.Prediction.from_completions([fields], signature=predictor.signature)


def request_of(predictor: Any, config: Json, inputs: Json) -> Request | None:
    """The request that DSPy would make, where it would do nothing but send it and read the reply; else None."""
    settings = dspy.settings
    adapter, lm = settings.adapter, predictor.lm
    if (
        type(lm) is not DirectLM
        or type(adapter) is not CompactAdapter
        or type(predictor) is not dspy.Predict
        or settings.trace is not None
        or settings.warn_on_type_mismatch
        or is_watched(predictor)
        or predictor.config
        or predictor.fields
    ):
        return None
    signature = predictor.signature
    plan = adapter.plan(signature)
    if not plan.plain or inputs.keys() != plan.labels.keys():
        return None
    messages = adapter.format(signature, predictor.demos, inputs)
    return lm.plain(messages, {**config, "response_format": plan.response_format})
