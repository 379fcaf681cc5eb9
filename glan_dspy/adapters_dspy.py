"""DSPy's own prompts, for models that do better with them: its ChatAdapter and JSONAdapter, made quick.

The prompts are DSPy's to the letter, 250-450 tokens longer a call than ours. What they say of a signature is
rendered once and kept: DSPy makes every JSON schema anew for each call, a millisecond each time. A reply that
does not fit raises AdapterParseError and nothing more; DSPy's ChatAdapter would send, and bill, a second request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel

from glan_dspy.adapters import CompactAdapter, Json, strict

T = TypeVar("T")

AdapterName = Literal["compact", "chat", "json"]


def adapter_named(name: AdapterName) -> dspy.Adapter:
    """A new adapter by the name that `--adapter` takes."""
    match name:
        case "chat":
            return ChatAdapter(use_json_adapter_fallback=False)
        case "json":
            return JSONAdapter()
    return CompactAdapter()


class Kept:
    """What was rendered of each signature and its instructions, which optimizers may set on the class in place."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def __call__(self, what: str, signature: Any, make: Callable[[], T]) -> T:
        key = (what, signature, signature.instructions)
        if key not in self._kept:
            if len(self._kept) >= 512:
                self._kept.clear()
            self._kept[key] = make()
        found: T = self._kept[key]
        return found


class ChatAdapter(dspy.ChatAdapter):
    """`[[ ## field ## ]]` before every field, in the prompt and in the reply."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._kept = Kept()

    def format_system_message(self, signature: Any) -> str:
        return self._kept("system", signature, lambda: str(dspy.ChatAdapter.format_system_message(self, signature)))

    def user_message_output_requirements(self, signature: Any) -> str:
        return self._kept(
            "reminder", signature, lambda: str(dspy.ChatAdapter.user_message_output_requirements(self, signature))
        )

    def parse(self, signature: Any, completion: str) -> Json:
        return parsed(lambda: dspy.ChatAdapter.parse(self, signature, completion))


class JSONAdapter(dspy.JSONAdapter):
    """Every reply is one JSON object. LaTeX in it is as the model escaped it: for prose, `chat` is the safer one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._kept = Kept()

    def format_system_message(self, signature: Any) -> str:
        return self._kept("system", signature, lambda: str(dspy.JSONAdapter.format_system_message(self, signature)))

    def user_message_output_requirements(self, signature: Any) -> str:
        return self._kept(
            "reminder", signature, lambda: str(dspy.JSONAdapter.user_message_output_requirements(self, signature))
        )

    def _prepare_response_format(self, lm: Any, lm_kwargs: Json, signature: Any) -> None:
        def make() -> Json | None:
            chosen: Json = {}
            dspy.JSONAdapter._prepare_response_format(self, lm, chosen, signature)
            return on_the_wire(chosen.get("response_format"))

        # What the model can take is part of it: one adapter may serve several.
        can = f"format {lm.supports_response_schema} {'response_format' in lm.supported_params}"
        if (form := self._kept(can, signature, make)) is not None:
            lm_kwargs["response_format"] = form

    def parse(self, signature: Any, completion: str) -> Json:
        return parsed(lambda: dspy.JSONAdapter.parse(self, signature, completion))


def on_the_wire(form: Any) -> Json | None:
    """The response format as it is sent, where DSPy has made a pydantic class."""
    if isinstance(form, type) and issubclass(form, BaseModel):
        name, schema = form.__name__, strict(form.model_json_schema())
        return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
    return dict(form) if form else None


def parsed(parse: Callable[[], Json]) -> Json:
    """What DSPy's parser makes of a reply. A failure holds no half of it: GEPA's tracing would crash (dspy 3.4.1)."""
    try:
        return parse()
    except AdapterParseError as error:
        error.parsed_result = None
        raise
