"""What stands in a row of each format."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.publish.formats import FORMATS, TRAINING_FORMATS, Reasoning, Wording, check_format, shape
from tests.publish.made import pair

ONE = pair(7, id="i", question="Why?", answer="Because.", reasoning=" Let me see. ")
THOUGHT = "<think>\nLet me see.\n</think>\n\nBecause."


def row(form: str, wording: Wording | None = None) -> dict[str, Any]:
    return FORMATS[form].row(ONE, wording or Wording())


def test_question_and_answer_stand_apart_in_every_format() -> None:
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    assert row("messages") == {"id": "i", "messages": turns}
    said = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]
    assert row("sharegpt") == {"id": "i", "conversations": said}
    assert row("alpaca") == {"id": "i", "instruction": "Why?", "input": "", "output": "Because."}
    assert row("prompt-completion") == {"id": "i", "prompt": "Why?\n\n", "completion": "Because."}
    assert list(row("azure").items()) == [
        ("question", "Why?"), ("subject", "Basics of Optics"), ("level", 100), ("subtopics", ["light"]),
        ("answer", "Because."),
    ]  # fmt: skip


def test_a_system_prompt_stands_before_every_question() -> None:
    wording = Wording("Be brief.")
    assert row("messages", wording)["messages"][0] == {"role": "system", "content": "Be brief."}
    assert row("sharegpt", wording)["conversations"][0] == {"from": "system", "value": "Be brief."}
    assert row("alpaca", wording)["system"] == "Be brief."
    assert row("prompt-completion", wording)["prompt"] == "Be brief.\n\nWhy?\n\n"


def test_thoughts_are_dropped_or_kept_apart_or_tagged() -> None:
    for form in TRAINING_FORMATS:
        assert "Let me see" not in str(row(form))
        assert THOUGHT in str(row(form, Wording(reasoning="think-tags"))).replace("\\n", "\n")
    keep = Wording(reasoning="keep")
    answer = {"role": "assistant", "content": "Because.", "reasoning_content": " Let me see. "}
    assert row("messages", keep)["messages"][-1] == answer
    for form in TRAINING_FORMATS - {"messages"}:
        assert row(form, keep) == {**row(form), "reasoning": " Let me see. "}


def test_a_pair_without_thoughts_gets_no_empty_tags() -> None:
    assert Wording(reasoning="think-tags").answer(pair(1, answer="Yes.", reasoning=" \n")) == "Yes."


@pytest.mark.parametrize("system_prompt", ["", "Be brief."])
@pytest.mark.parametrize("reasoning", get_args(Reasoning))
@pytest.mark.parametrize("form", sorted(TRAINING_FORMATS))
def test_the_shape_names_every_column_and_key_of_a_row(form: str, reasoning: Reasoning, system_prompt: str) -> None:
    wording = Wording(system_prompt, reasoning)
    columns, turn = shape(form, wording)
    made = row(form, wording)
    assert set(made) == set(columns)
    if turn:
        assert set().union(*made[columns[1]]) == set(turn)


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_words_of_a_pair_are_not_touched(question: str, answer: str) -> None:
    one = pair(1, question=question, answer=answer)
    messages = FORMATS["messages"].row(one, Wording())["messages"]
    assert [turn["content"] for turn in messages] == [question, answer]
    made = FORMATS["prompt-completion"].row(one, Wording())
    assert made["prompt"] + made["completion"] == f"{question}\n\n{answer}"


@pytest.mark.parametrize(
    ("form", "wording", "said"),
    [
        ("chatml", Wording(), "--format 'chatml' is unknown; known: messages, sharegpt"),
        ("messages", Wording(reasoning="some"), "--reasoning 'some' is unknown; known: keep, drop, think-tags"),  # type: ignore[arg-type]
        ("azure", Wording("Be brief."), "no place for --system-prompt"),
        ("azure", Wording(reasoning="keep"), "no place for --reasoning"),
    ],
)
def test_what_a_format_has_no_place_for_is_refused(form: str, wording: Wording, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_format(form, wording)
