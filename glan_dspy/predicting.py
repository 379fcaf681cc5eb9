"""One call of a dspy.Predict, by the short way where nobody is watching.

`dspy.Predict.acall` takes 0.1 ms to look for callbacks, streams, traces, histories and decisions, and to
check its inputs against the signature. In a run there is none of that, so that what remains is the adapter's
call, the same one. Wherever anything of it is on, as in an optimizer, DSPy's own way is taken.
"""

from __future__ import annotations

from typing import Any

import dspy

from glan_dspy.adapters import CompactAdapter, Json
from glan_dspy.engines.direct import DirectLM


def is_watched(module: Any) -> bool:
    """Whether anybody wants to know of a module's calls: by callback, history or count of tokens."""
    settings = dspy.settings
    return bool(not settings.disable_history or settings.track_usage or settings.callbacks or module.callbacks)


async def predict(predictor: Any, config: Json, inputs: Json) -> dspy.Prediction:
    """What `predictor.acall(**inputs, config=config)` gives."""
    settings = dspy.settings
    adapter, lm, signature = settings.adapter, predictor.lm, predictor.signature
    if (
        type(lm) is not DirectLM
        or type(adapter) is not CompactAdapter
        or type(predictor) is not dspy.Predict
        or settings.trace is not None
        or settings.warn_on_type_mismatch
        or settings.send_stream
        or is_watched(predictor)
        or predictor.config
        or predictor.fields
        or inputs.keys() != adapter.plan(signature).labels.keys()
        or not adapter.plan(signature).plain
    ):
        return await predictor.acall(**inputs, config=config)
    replies = await adapter.acall(lm, lm_kwargs=config, signature=signature, demos=predictor.demos, inputs=inputs)
    return dspy.Prediction.from_completions(replies, signature=signature)
