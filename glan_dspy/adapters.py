"""How a signature becomes a prompt and a reply becomes fields: few tokens, no second bill.

`CompactAdapter` sends the instruction as the system message and the inputs, labelled, as the user message:

    Subject: Wave Optics
    Key concepts:
    - thin films
    - coherence

Prose stays text: where a signature has one `str` output the whole reply is that field, so LaTeX and code
arrive byte for byte (inside JSON a model's `\\theta` is a tab and "heta"). Everything else is one JSON object,
asked for with `response_format: json_schema` and validated as a whole by one pydantic model.

A reply that does not fit raises `AdapterParseError` and nothing more: DSPy's own adapters would send, and bill,
a second request.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import dspy
import orjson
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

Json = dict[str, Any]
Messages = list[dict[str, str]]


class Plan(NamedTuple):
    """What is fixed for one signature: made once, used by every call."""

    text_field: str | None
    """The one output that is the whole reply, or None for a JSON object."""
    model: type[BaseModel]
    system: str
    response_format: Json | None
    labels: dict[str, str]
    outputs: tuple[str, ...]
    plain: bool
    """No output is one of DSPy's own types, which it reads from elsewhere in the reply."""


class CompactAdapter(dspy.Adapter):
    """The project's own adapter; works with DSPy's demos, traces, optimizers and DummyLM."""

    def __init__(self) -> None:
        super().__init__()
        self._plans: dict[Any, Plan] = {}

    def plan(self, signature: Any) -> Plan:
        # The instructions are part of the key: optimizers may set them on the class in place. They are kept in
        # the docstring; `signature.instructions` takes its indentation out at each look.
        key = (signature, signature.__doc__)
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= 256:
                self._plans.clear()
            found = self._plans[key] = make_plan(signature)
        return found

    def _call_preprocess(self, lm: Any, lm_kwargs: Json, signature: Any, inputs: Json) -> Any:
        response_format = self.plan(signature).response_format
        if response_format is not None:
            lm_kwargs["response_format"] = response_format
        return signature

    def format(self, signature: Any, demos: list[Any], inputs: Json) -> Messages:
        messages = [{"role": "system", "content": self.plan(signature).system}]
        if demos:
            messages += self.format_demos(signature, demos)
        return [*messages, {"role": "user", "content": self.format_user_message_content(signature, inputs)}]

    def format_demos(self, signature: Any, demos: list[Any]) -> Messages:
        """Each demo as the request it would be and its reply, in order; one without an output is left out."""
        messages: Messages = []
        for demo in demos:
            if any(demo.get(name) is not None for name in signature.output_fields):
                messages.append({"role": "user", "content": self.format_user_message_content(signature, demo)})
                said = self.format_assistant_message_content(signature, demo)
                messages.append({"role": "assistant", "content": said})
        return messages

    def format_user_message_content(
        self, signature: Any, inputs: Json, prefix: str = "", suffix: str = "", main_request: bool = False
    ) -> str:
        labels = self.plan(signature).labels
        lines = [_labelled(labels[name], inputs[name]) for name in labels if inputs.get(name) is not None]
        return "\n".join(part for part in (prefix, *lines, suffix) if part)

    def format_assistant_message_content(
        self, signature: Any, outputs: Json, missing_field_message: str | None = None
    ) -> str:
        plan = self.plan(signature)
        if plan.text_field:
            return str(outputs.get(plan.text_field, missing_field_message))
        return _json({name: outputs.get(name, missing_field_message) for name in signature.output_fields})

    def format_field_with_value(self, fields_with_values: dict[Any, Any], role: str = "user") -> str:
        """A reply of these fields as this adapter reads it: what DSPy's DummyLM asks for."""
        values = {field.name: value for field, value in fields_with_values.items()}
        only = next(iter(values.values())) if len(values) == 1 else None
        return only if isinstance(only, str) else _json(values)

    def parse(self, signature: Any, completion: str) -> Json:
        """The output fields of a reply. Raises AdapterParseError with the reply's whole text."""
        plan = self.plan(signature)
        text = without_thinking(completion)
        try:
            if plan.text_field:
                return {plan.text_field: _prose(text, plan.text_field)}
            reply = read_json(text, plan.model)
        except ValueError as error:
            # parsed_result stays None: with a partial one GEPA's tracing of failures crashes (dspy 3.4.1).
            raise AdapterParseError(
                adapter_name="CompactAdapter",
                signature=signature,
                lm_response=completion,
                message=why(error),
                parsed_result=None,
            ) from error
        return {name: getattr(reply, name) for name in plan.outputs}


def make_plan(signature: Any) -> Plan:
    """Everything about a signature that does not depend on the inputs."""
    outputs: dict[str, FieldInfo] = signature.output_fields
    text_field = next(iter(outputs)) if len(outputs) == 1 and _only(outputs).annotation is str else None
    model = create_model(
        f"{signature.__name__}Reply",
        __config__=ConfigDict(extra="ignore"),
        **{name: (field.annotation, _plain(field)) for name, field in outputs.items()},
    )  # type: ignore[call-overload]
    instruction = " ".join(str(signature.instructions).split()) if _is_wrapped(signature) else signature.instructions
    plain = not any(_is_dspys(field.annotation) for field in outputs.values())
    labels = {name: name.replace("_", " ").capitalize() for name in signature.input_fields}
    if text_field:
        return Plan(text_field, model, instruction, None, labels, tuple(outputs), plain)
    schema = model.model_json_schema()
    system = f"{instruction}\n\nReply with one JSON object only:\n{shape(schema)}"
    wire = {"type": "json_schema", "json_schema": {"name": model.__name__, "strict": True, "schema": strict(schema)}}
    return Plan(None, model, system, wire, labels, tuple(outputs), plain)


def _is_wrapped(signature: Any) -> bool:
    """Whether the instruction is a docstring broken at the margin, and not written as paragraphs or a list."""
    return not re.search(r"\n\s*(\n|[-*#]|\d+[.)])", signature.instructions)


def _only(fields: dict[str, FieldInfo]) -> FieldInfo:
    return next(iter(fields.values()))


def _is_dspys(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, dspy.Type)


def _plain(field: FieldInfo) -> Any:
    """The pydantic side of a DSPy field: its default and constraints, without DSPy's own annotations."""
    copy = FieldInfo.merge_field_infos(field)
    copy.json_schema_extra = None
    return copy


# --- prompts ------------------------------------------------------------------------------------


def _labelled(label: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "\n".join([f"{label}:", *(f"- {_value(item)}" for item in value)])
    text = _value(value)
    return f"{label}:\n{text}" if "\n" in text else f"{label}: {text}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else _json(value) if isinstance(value, (dict, BaseModel)) else str(value)


def _json(value: Any) -> str:
    return orjson.dumps(
        value, default=lambda other: other.model_dump() if isinstance(other, BaseModel) else str(other)
    ).decode()


def shape(schema: Json) -> str:
    """A JSON schema as the model is shown it, a few tokens instead of hundreds.

    {"subjects": [{"name": string, "level": integer (100 first-year to 900 doctoral), "subtopics": [string]}]}
    """
    definitions = schema.get("$defs", {})

    def walk(node: Json) -> str:
        node = {**definitions.get(node.get("$ref", "").rpartition("/")[2], {}), **node}
        if "properties" in node:
            inside = ", ".join(f'"{name}": {walk(child)}{_note(child)}' for name, child in node["properties"].items())
            return f"{{{inside}}}"
        if node.get("type") == "array":
            return f"[{walk(node['items'])}]"
        if "enum" in node:
            return " or ".join(str(_json(value)) for value in node["enum"])
        return " or ".join(walk(child) for child in node["anyOf"]) if "anyOf" in node else str(node.get("type", "any"))

    return walk(schema)


def _note(node: Json) -> str:
    return f" ({node['description']})" if node.get("description") else ""


_WIRE_KEYS = {"type", "properties", "required", "items", "enum", "anyOf", "$ref", "$defs", "description", "const"}


def strict(schema: Json) -> Json:
    """The schema as strict structured outputs take it: every property required, nothing else allowed.

    Bounds are left out: Azure and older servers refuse them, and the reply is validated here in any case.
    """

    def walk(node: Any, names: bool = False) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        kept = {
            key: walk(value, names=key in {"properties", "$defs"})
            for key, value in node.items()
            if names or key in _WIRE_KEYS
        }
        if not names and "properties" in node:
            kept |= {"required": list(node["properties"]), "additionalProperties": False}
        return kept

    result: Json = walk(schema)
    return result


# --- replies ------------------------------------------------------------------------------------

_THINKING = re.compile(r"\A\s*(?:<(think|thinking|reasoning)>.*?</\1>|(?:(?!<think>).)*?</think>)\s*", re.DOTALL)
_ONLY_THINKING = re.compile(r"\A\s*<(think|thinking|reasoning)>(?!.*</\1>)", re.DOTALL)


def without_thinking(text: str) -> str:
    """The reply without the thoughts that some servers leave in front of it as <think>…</think>.

    The opening tag may be missing, where a chat template wrote it into the prompt. Thoughts without an end
    are no reply at all: nothing is left of them.
    """
    if _ONLY_THINKING.match(text):
        return ""
    # The pattern looks at every place in a text without the tag; to see that there is none is much quicker.
    return _THINKING.sub("", text, count=1) if "</think" in text or "</reasoning>" in text else text


def _prose(text: str, field: str) -> str:
    label = re.match(
        rf"\s*(?:#+ *)?(?:\*\*|__)?{field}(?:\s*:(?:\*\*|__)?|(?:\*\*|__)\s*:|(?<=\w)\s*\n)\s*", text, re.I
    )
    if label and (":" in label[0] or "#" in label[0]):
        text = text[label.end() :]
    text = text.strip()
    if not text:
        raise ValueError("the reply is empty")
    return text


def read_json(text: str, model: type[BaseModel]) -> BaseModel:
    """The validated object in a reply that may stand in a code fence or between sentences.

    LaTeX is put right before anything is parsed. Broken JSON is repaired as the last resort; whether the
    reply was cut at the token limit, where a repair would invent its end, is the caller's to check before.
    """
    text = whole_backslashes(_unfenced(text))
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        if not any(detail["type"] == "json_invalid" for detail in error.errors()):
            raise
    if not _is_closed(text):
        raise ValueError("the JSON object ends before it is closed")
    import json_repair

    try:
        repaired = json_repair.loads(text)
    except RecursionError:
        raise ValueError("the reply is brackets within brackets") from None
    if not isinstance(repaired, dict):
        raise ValueError("there is no JSON object in the reply")
    return model.model_validate(repaired)


def _is_closed(text: str) -> bool:
    """Whether every bracket and string that is opened is closed: a repair mends slips, it does not make up an end."""
    open_brackets = []
    for token in re.finditer(r'"(?:[^"\\]|\\.)*("?)|[][{}]', text, re.DOTALL):
        if token[0] in "[{":
            open_brackets.append(token[0])
        elif token[0] in "]}":
            if not open_brackets or open_brackets.pop() + token[0] not in ("[]", "{}"):
                return False
        elif not token[1]:
            return False
    return not open_brackets


def _unfenced(text: str) -> str:
    fence = re.search(r"```(?:json)?\s*\n(.*?)\n?```", text, re.DOTALL | re.IGNORECASE) if "```" in text else None
    text = (fence.group(1) if fence and not text.lstrip().startswith("{") else text).strip()
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if start >= 0 and end > start else text


# LaTeX commands whose first letter makes a JSON escape of their backslash: "\theta" is a tab and "heta". Those
# that begin with n, r or t are named whole, since a real newline may stand before any word. No JSON string holds
# a backspace or a form feed on purpose, so that \b and \f before a letter are always LaTeX.
_NAMED = (
    "nabla natural nearrow neg neq ne newcommand newline nexists ngeq ngtr ni nleftarrow nleq nless nmid nolimits "
    "nonumber norm normalsize not notin nparallel nprec nrightarrow nRightarrow nsim nsubseteq nsucc nsupseteq "
    "ntriangleleft nu nVdash nwarrow "
    "rangle rank ratio rbrace rbrack rceil real ref relax renewcommand restriction rfloor rgroup rhd rho right "
    "rightarrow rightharpoonup rightleftharpoons rightsquigarrow rm rmoustache root rtimes rule rvert rVert "
    "tag tan tanh tau tbinom text textbf textcolor textit textnormal textrm textsc textsf textstyle texttt textup "
    "textwidth tfrac therefore theta thickapprox thicksim thinspace tilde times tiny to top triangle triangledown "
    "triangleleft triangleq triangleright tt twoheadleftarrow twoheadrightarrow"
)
# The pattern begins with a plain character, which `re` finds quickly; of a run of backslashes an even number is whole.
_COMMANDS = re.compile(
    r"\\(\\*)(?="
    rf"(?:{'|'.join(_NAMED.split())})(?![a-zA-Z])"
    r"|[bf][a-zA-Z]"
    r"|[^\"\\/bfnrtu]"  # no JSON escape at all: \alpha, \sum, \(
    r"|u(?![0-9a-fA-F]{4}))"
)


def whole_backslashes(text: str) -> str:
    """JSON text with the backslashes of LaTeX doubled, as the model should have written them."""
    return _COMMANDS.sub(lambda run: run[0] if len(run[0]) % 2 == 0 else run[0] + "\\", text) if "\\" in text else text


def why(error: BaseException) -> str:
    """In one line, what in a reply does not fit."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'reply'}: {first['msg']}"
    return str(error)
