"""Simulated models that can be taught: what they write hangs on the instruction, and on the examples in the prompt.

    pupil       writes English until the instruction names the language, uses one key concept until it is told to use
                all of them, and forgets the level until it is told to name it; an example in the prompt tells as well
    reflector   turns the words of a metric into one more sentence of an instruction; asked for a pair it writes it well
    examiner    scores a pair by whether it holds its key concepts and its level

The texts are the rehearsal's. Equal requests get equal replies; every request is counted.

    python -m tests.optimize.teachable --port 8123          # the same over HTTP, at http://127.0.0.1:8123/v1
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections import Counter
from dataclasses import replace
from hashlib import blake2b

import orjson
from dspy.lm15 import Message, Request, Response, TextPart, Usage

from benchmarks.loopback import Loopback, serve
from glan_dspy.engines.journal import text_of
from glan_dspy.engines.rehearsal import RehearsalEngine
from glan_dspy.engines.rehearsal_ask import inputs_of, items_of
from glan_dspy.optimize.journal import request_digest

ALL_CONCEPTS, NAME_LEVEL = "Use every one of the key concepts.", "Name the level in the text."
LEVEL = "({})"
"""How a text names its level."""


def in_language(language: str) -> str:
    return f"Write in {language} only."


class School:
    """One engine for all of them, told apart by the model's name; `asked` counts the requests of each."""

    def __init__(self) -> None:
        self.rehearsal = RehearsalEngine()
        self.asked: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()

    async def complete(self, request: Request) -> Response:
        self.asked[request.model] += 1
        self.requests[request_digest(request)] += 1
        user = request.messages[-1].text or ""
        if "Max subjects:" in user or "Max sessions:" in user:
            return await self.rehearsal.complete(request)
        if "Key concepts:" in user and "Answer:" in user:
            return said(judgement(inputs_of(user)))
        if "Key concepts:" in user or ("Question:" in user and "Level:" in user):
            return await self.pair(request, taught=request.model != "pupil")
        return said(reflection(user))

    async def pair(self, request: Request, taught: bool) -> Response:
        """A question or an answer, as far as the prompt or an example in it teaches it."""
        system, user = str(request.system), request.messages[-1].text or ""
        inputs = inputs_of(user)
        language, concepts = inputs["language"], items_of(inputs.get("key_concepts", ""))
        examples = [message.text or "" for message in request.messages if message.role == "assistant"]
        taught_all = taught or any(concept_count(text) > 1 for text in examples)
        if not (taught or in_language(language) in system or any(is_foreign(text) for text in examples)):
            user = user.replace(f"Language: {language}", "Language: English")
        if not (taught_all or ALL_CONCEPTS in system) and len(concepts) > 1:
            user = user.replace("".join(f"\n- {concept}" for concept in concepts[1:]), "")
        asked = replace(request, messages=(*request.messages[:-1], Message("user", (TextPart(user),))))
        written = await self.rehearsal.complete(asked)
        if taught or NAME_LEVEL in system or any(re.search(r"\(\d00\)", text) for text in examples):
            return said(f"{text_of(written)[:-1]} {LEVEL.format(inputs['level'])}.")
        return written

    def __deepcopy__(self, memo: dict[int, object]) -> School:
        return self


def said(text: str) -> Response:
    usage = Usage(input_tokens=500, output_tokens=len(text) // 4)
    return Response(
        id="school", model="school", message=Message.assistant([TextPart(text)]), finish_reason="stop", usage=usage
    )


def concept_count(text: str) -> int:
    return len(set(re.findall("“(.+?)”", text)))


def is_foreign(text: str) -> bool:
    return not text.isascii()


def judgement(inputs: dict[str, str]) -> str:
    """JudgePair's reply: 5 for a question with its level and all its concepts, less for what is missing."""
    question = inputs["question"]
    concepts = items_of(inputs["key_concepts"])
    share = sum(concept in question for concept in concepts) / len(concepts)
    fits = 1 + 2 * (share == 1) + 2 * (LEVEL.format(inputs["level"]) in question)
    scores = {"correct": 5, "self_contained": 5, "fits": fits, "useful": 5}
    return orjson.dumps({"why": "There is none.", **scores}).decode()


def reflection(user: str) -> str:
    """A better instruction, in whatever form the optimizer asks for it; a sentence or two about anything else."""
    if "## current_instruction ##" in user:
        current = user.split("[[ ## current_instruction ## ]]")[1].split("[[ ##")[0].strip()
        return orjson.dumps({"new_instruction": lesson(current, user)}).decode()
    if "Basic instruction:" in user:
        current = re.split(r"\n(?=[A-Z][a-z ]+:)", user.split("Basic instruction:")[1])[0].strip()
        return guessed(current, user)
    return "Rows of a curriculum, whose pairs are to be written in the language given: " + ", ".join(languages(user))


def lesson(instruction: str, feedback: str) -> str:
    """The instruction with one more sentence: about the first fault that the feedback names and it does not."""
    lessons = [in_language(language) for language in languages(feedback)[:1]]
    lessons += [ALL_CONCEPTS] * ("together" in feedback) + [NAME_LEVEL] * ("must fit level" in feedback)
    new = next((sentence for sentence in lessons if sentence not in instruction), "")
    return f"{instruction} {new}".strip()


def guessed(instruction: str, about: str) -> str:
    """The instruction with what a good writer of prompts might add without having seen a fault."""
    dice = blake2b(about.encode(), digest_size=1).digest()[0]
    lessons = [in_language(language) for language in languages(about)[:1]]
    lessons += [ALL_CONCEPTS] * (dice % 2) + [NAME_LEVEL] * (dice // 2 % 2)
    return " ".join([instruction, *lessons])


def languages(text: str) -> list[str]:
    return [name for name in ("Vietnamese", "Korean", "Spanish") if name in text]


async def served(port: int) -> None:
    loopback = Loopback()
    loopback.engine = School()  # type: ignore[assignment]
    _, found = await serve(loopback, port)
    print(f"http://127.0.0.1:{found}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    asyncio.run(served(arguments.parse_args().port))
