"""What a call costs beyond what it is about: our own words in every stage's prompt, and the prefix that calls share.

pytest -n 0 tests/test_prompt_tokens.py -s      shows the prompts as they are sent
"""

from __future__ import annotations

import asyncio
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple

import dspy
import pytest

from glan_dspy.adapters import CompactAdapter, shape
from glan_dspy.connect import connect
from glan_dspy.judging import PairJudge
from glan_dspy.making import make_syllabus
from glan_dspy.program import GLAN
from glan_dspy.records import Discipline, Syllabus, merge_subjects
from glan_dspy.run.command import bulk
from glan_dspy.sampling import sample_syllabus
from glan_dspy.settings import Settings

MOST_TOKENS = 120
BYTES_A_TOKEN = 3
"""A cautious count without a tokenizer: English has more than four bytes a token."""


class Sent(NamedTuple):
    """One call's prompt, and what of it is not our wording."""

    signature: Any
    inputs: dict[str, Any]
    messages: list[dict[str, str]]

    def own_bytes(self, adapter: CompactAdapter) -> int:
        """Bytes that are neither the instruction, nor an input's value, nor the shape of the reply."""
        plan = adapter.plan(self.signature)
        reply = "" if plan.text_field else shape(plan.model.model_json_schema())
        words = " ".join(self.signature.instructions.split())
        values = sum(size(value) for name, value in self.inputs.items() if name in self.signature.input_fields)
        everything = sum(size(message["content"]) for message in self.messages)
        return everything - size(words) - size(reply) - values


def size(value: Any) -> int:
    """Bytes of a value as a prompt holds it, the marks between list items left out."""
    if isinstance(value, (list, tuple)):
        return sum(size(item) for item in value)
    return 0 if value is None else len(str(value).encode())


class Recording(CompactAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []

    def format(self, signature: Any, demos: list[Any], inputs: dict[str, Any]) -> list[dict[str, str]]:
        messages = super().format(signature, demos, inputs)
        self.sent.append(Sent(signature, inputs, messages))
        return messages


@cache
def every_stage() -> tuple[Recording, dict[str, Sent]]:
    """The last prompt sent of every signature there is, from two whole paths down the tree and a judgement of each."""
    adapter = Recording()
    for draft_first in (False, True):
        settings = Settings(model_name="rehearsal", language="English", draft_first=draft_first)
        glan = GLAN(settings).connect(connect(settings))
        with bulk(), dspy.context(adapter=adapter):
            glan.taxonomy(max_fields=3, language="English")
            made = glan(discipline="Optics")
            judge = PairJudge()
            judge.set_lm(connect(settings).answer)
            judge(pair={"subject": made.subject.name, "level": 300, "question": made.question, "answer": made.answer})
    return adapter, {sent.signature.__name__: sent for sent in adapter.sent}


def all_signatures() -> list[str]:
    import glan_dspy.signatures as signatures

    found = (getattr(signatures, name) for name in signatures.__all__)
    return [kind.__name__ for kind in found if issubclass(kind, dspy.Signature)]


@pytest.mark.parametrize("name", all_signatures())
def test_our_own_words_cost_under_120_tokens_a_call(name: str) -> None:
    adapter, stages = every_stage()
    sent = stages[name]
    tokens = sent.own_bytes(adapter) / BYTES_A_TOKEN
    print(f"\n{'=' * 100}\n{name}: {tokens:.0f} tokens of our own")
    for message in sent.messages:
        print(f"--- {message['role']}\n{message['content']}")
    assert 0 < tokens < MOST_TOKENS


def test_two_questions_of_one_syllabus_share_all_but_the_sample() -> None:
    settings = Settings(model_name="rehearsal", language="English", max_number_of_session_name=12)
    glan, adapter = GLAN(settings).connect(connect(settings)), Recording()

    async def main() -> Syllabus:
        outlines = (
            await glan.subjects.acall(discipline="Optics", max_subjects=1, max_subtopics=5, language="English")
        ).subjects
        (subject,) = merge_subjects(Discipline(name="Optics"), [(o.name, o.level, o.subtopics) for o in outlines], 1, 5)
        designed = await glan.syllabus.acall(subject=subject, max_sessions=12, language="English")
        syllabus = make_syllabus(subject, designed, 12)
        for sample in sample_syllabus(syllabus, 6, 0.5, 0):
            await glan.question.acall(subject=subject, syllabus=syllabus, sample=sample, language="English")
        return syllabus

    with bulk(), dspy.context(adapter=adapter):
        syllabus = asyncio.run(main())
    prompts = [
        "\n".join(message["content"] for message in sent.messages)
        for sent in adapter.sent
        if sent.signature.__name__ == "WriteQuestion"
    ]
    shared = beginning(*prompts)
    assert len(set(prompts)) == 6 and "\nSessions:\n" in shared
    assert all(session.name in shared for session in syllabus.sessions)
    assert all(concept in shared for session in syllabus.sessions for concept in session.key_concepts)
    assert all(len(prompt) - len(shared) < 600 for prompt in prompts)


def beginning(*texts: str) -> str:
    """What they all begin with."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)
