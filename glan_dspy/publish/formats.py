"""The forms that trainers read: which columns, and what stands in them. The question and the answer stay apart.

    messages            id, messages: [system,] user, assistant     TRL, Axolotl (chat_template), LLaMA-Factory, OpenAI
    sharegpt            id, conversations: [system,] human, gpt     LLaMA-Factory, Axolotl (chat_template)
    alpaca              id, instruction, input, output[, system]    LLaMA-Factory, Axolotl (alpaca, alpaca_w_system)
    prompt-completion   id, prompt, completion                      TRL, for models without a chat template
    azure               question, subject, level, subtopics, answer: the Azure script's file

A prompt ends with an empty line, because trainers put the completion right behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

from glan_dspy.errors import UserError
from glan_dspy.records import Instruction, Question

Row = dict[str, Any]
Shape = tuple[tuple[str, ...], tuple[str, ...]]
"""The columns, and the keys of a turn where the second column holds a conversation. All values are text."""
Reasoning = Literal["keep", "drop", "think-tags"]

APART = "\n\n"
"""Between a prompt and its completion, and between a system prompt and a question in one text."""


class Wording(NamedTuple):
    """What is put around a pair."""

    system_prompt: str = ""
    """The same for every pair; none where empty."""
    reasoning: Reasoning = "drop"
    """A model's thoughts: in a field of their own, left out, or before the answer in <think> tags."""

    @property
    def keeps(self) -> bool:
        return self.reasoning == "keep"

    def answer(self, pair: Instruction) -> str:
        if self.reasoning != "think-tags" or not pair.reasoning.strip():
            return pair.answer
        return f"<think>\n{pair.reasoning.strip()}\n</think>{APART}{pair.answer}"


def messages(pair: Instruction, wording: Wording) -> Row:
    """A conversation as chat templates take it; kept thoughts are the assistant's `reasoning_content`."""
    system = [{"role": "system", "content": wording.system_prompt}] if wording.system_prompt else []
    answer = {"role": "assistant", "content": wording.answer(pair)}
    if wording.keeps:
        answer["reasoning_content"] = pair.reasoning
    return {"id": pair.id, "messages": [*system, {"role": "user", "content": pair.question}, answer]}


def sharegpt(pair: Instruction, wording: Wording) -> Row:
    system = [{"from": "system", "value": wording.system_prompt}] if wording.system_prompt else []
    turns = [{"from": "human", "value": pair.question}, {"from": "gpt", "value": wording.answer(pair)}]
    return {"id": pair.id, "conversations": [*system, *turns], **_thoughts(pair, wording)}


def alpaca(pair: Instruction, wording: Wording) -> Row:
    """`input` is always empty: the whole question is the instruction."""
    row = {"id": pair.id, "instruction": pair.question, "input": "", "output": wording.answer(pair)}
    system = {"system": wording.system_prompt} if wording.system_prompt else {}
    return {**row, **system, **_thoughts(pair, wording)}


def prompt_completion(pair: Instruction, wording: Wording) -> Row:
    prompt = APART.join([*([wording.system_prompt] if wording.system_prompt else []), pair.question, ""])
    return {"id": pair.id, "prompt": prompt, "completion": wording.answer(pair), **_thoughts(pair, wording)}


def azure(pair: Question, wording: Wording | None = None) -> Row:
    """The five keys, in the order, of the Azure script's files; without `answer` for a question file."""
    row = {"question": pair.question, "subject": pair.subject, "level": pair.level, "subtopics": list(pair.subtopics)}
    return {**row, "answer": pair.answer} if isinstance(pair, Instruction) else row


def _thoughts(pair: Instruction, wording: Wording) -> Row:
    return {"reasoning": pair.reasoning} if wording.keeps else {}


class Form(NamedTuple):
    row: Callable[[Instruction, Wording], Row]
    columns: tuple[str, ...]
    turn: tuple[str, ...] = ()


FORMATS: dict[str, Form] = {
    "messages": Form(messages, ("id", "messages"), ("role", "content")),
    "sharegpt": Form(sharegpt, ("id", "conversations"), ("from", "value")),
    "alpaca": Form(alpaca, ("id", "instruction", "input", "output")),
    "prompt-completion": Form(prompt_completion, ("id", "prompt", "completion")),
    "azure": Form(azure, ("question", "subject", "level", "subtopics", "answer")),
}

TRAINING_FORMATS = frozenset(FORMATS) - {"azure"}
"""What goes straight into training: simulated pairs are refused here unless asked for."""


def shape(name: str, wording: Wording) -> Shape:
    """What a format's rows look like, with what the wording adds."""
    form = FORMATS[name]
    if name == "messages":
        return form.columns, (*form.turn, *(["reasoning_content"] if wording.keeps else []))
    system = ("system",) if name == "alpaca" and wording.system_prompt else ()
    return (*form.columns, *system, *(["reasoning"] if wording.keeps else [])), form.turn


def check_format(name: str, wording: Wording) -> None:
    """Raises UserError for an unknown format, or for words that it has no place for."""
    if name not in FORMATS:
        raise UserError(f"--format {name!r} is unknown; known: {', '.join(FORMATS)}")
    if wording.reasoning not in get_args(Reasoning):
        raise UserError(f"--reasoning {wording.reasoning!r} is unknown; known: {', '.join(get_args(Reasoning))}")
    if name == "azure" and wording != Wording():
        flag = "--system-prompt" if wording.system_prompt else "--reasoning"
        raise UserError(f"--format azure has five keys and no place for {flag}; leave it out, or take another format")
