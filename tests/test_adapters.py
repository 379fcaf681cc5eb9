"""CompactAdapter: what a model is shown, and what is made of its reply."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import dspy
import pytest
from dspy.utils import DummyLM
from dspy.utils.exceptions import AdapterParseError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from glan_dspy import signatures
from glan_dspy.adapters import CompactAdapter, read_json, shape, strict, whole_backslashes
from glan_dspy.signatures import (
    AnswerQuestion,
    DesignSyllabus,
    DesignTaxonomy,
    DraftSubjects,
    DraftSyllabus,
    ExtractSubjects,
    ExtractSyllabus,
    JudgePair,
    ListSubjects,
    SessionOutline,
    WriteQuestion,
)
from tests.scripted import Scripted

SUBJECTS = {
    "subjects": [
        {"name": "Wave optics", "level": 200, "subtopics": ["interference", "diffraction"]},
        {"name": "Lasers", "level": 400, "subtopics": ["gain"]},
    ]
}
SYLLABUS = {
    "introduction": "Light, step by step.",
    "sessions": [{"name": "Thin films", "description": "Colours.", "key_concepts": ["phase", "path length"]}],
}
TAXONOMY = {"fields_of_knowledge": [{"name": "Arts", "sub_fields": [{"name": "Stage", "disciplines": ["Dance"]}]}]}
SUBJECT_INPUTS = {"language": "English", "max_subjects": 2, "max_subtopics": 3, "discipline": "Optics"}
SYLLABUS_INPUTS = {
    "language": "English",
    "max_sessions": 4,
    "discipline": "Optics",
    "subject": "Wave optics",
    "level": 200,
    "subtopics": ["interference", "diffraction"],
}
QUESTION_INPUTS = {
    "language": "Korean",
    "max_tokens": 768,
    "discipline": "Optics",
    "subject": "Wave optics",
    "level": 200,
    "syllabus": "1. Thin films: phase; path length\n2. Gratings: orders",
    "sessions": ["Thin films", "Gratings"],
    "key_concepts": ["phase", "orders"],
}
ANSWER_INPUTS = {"language": "Korean", "subject": "Wave optics", "level": 200, "question": "Why?"}

# signature, inputs, reply
JUDGE_INPUTS: dict[str, Any] = {
    "subject": "Wave Optics",
    "level": 300,
    "key_concepts": ["interference"],
    "question": "Why is a soap film colourful?",
    "answer": "Because of interference.",
}
CASES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (DesignTaxonomy, {"language": "English", "max_fields": 3}, TAXONOMY),
    (ListSubjects, SUBJECT_INPUTS, SUBJECTS),
    (DraftSubjects, SUBJECT_INPUTS, {"draft": "1. Wave optics (200): interference\n2. Lasers (400)"}),
    (ExtractSubjects, {"draft": "1. Wave optics"}, SUBJECTS),
    (DesignSyllabus, SYLLABUS_INPUTS, SYLLABUS),
    (DraftSyllabus, SYLLABUS_INPUTS, {"draft": "Introduction\n\nSession 1: Thin films"}),
    (ExtractSyllabus, {"draft": "Session 1: Thin films"}, SYLLABUS),
    (WriteQuestion, QUESTION_INPUTS, {"question": "Why is a soap film colourful?"}),
    (AnswerQuestion, ANSWER_INPUTS, {"answer": "Because of $\\theta$."}),
    (JudgePair, JUDGE_INPUTS, {"why": "It has no flaw.", "correct": 5, "self_contained": 4, "fits": 3, "useful": 2}),
]
by_signature = pytest.mark.parametrize(
    ("signature", "inputs", "outputs"), CASES, ids=[case[0].__name__ for case in CASES]
)
structured = pytest.mark.parametrize(
    "signature", [DesignTaxonomy, ListSubjects, ExtractSubjects, DesignSyllabus, ExtractSyllabus, JudgePair]
)

ADAPTER = CompactAdapter()


def user_message(signature: Any, inputs: dict[str, Any]) -> str:
    message = ADAPTER.format(signature, [], inputs)[-1]
    assert message["role"] == "user"
    return message["content"]


def plain(value: Any) -> Any:
    """Parsed outputs as plain JSON values, to compare them with what was said."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    return [plain(child) for child in value] if isinstance(value, list) else value


def subject_name(reply: str) -> str:
    """The name of the first subject in a reply."""
    name: str = ADAPTER.parse(ListSubjects, reply)["subjects"][0].name
    return name


def named(text: str) -> str:
    """A reply whose one subject's name is `text`, put into the JSON as it stands."""
    return '{"subjects": [{"name": "' + text + '", "level": 100, "subtopics": ["a"]}]}'


# --- prompts --------------------------------------------------------------------------------------


def test_every_signature_of_the_package_is_tested_here() -> None:
    named_there = {getattr(signatures, name) for name in signatures.__all__}
    assert {s for s in named_there if issubclass(s, dspy.Signature)} == {signature for signature, _, _ in CASES}


@by_signature
def test_a_prompt_is_the_instruction_and_the_labelled_inputs(
    signature: Any, inputs: dict[str, Any], outputs: dict[str, Any]
) -> None:
    system, user = ADAPTER.format(signature, [], inputs)
    assert system["role"] == "system"
    assert system["content"].startswith(" ".join(signature.instructions.split()))
    labels = re.findall(r"^([A-Z][a-z ]*):", user["content"], re.MULTILINE)
    assert labels == [name.replace("_", " ").capitalize() for name in signature.input_fields if name in inputs]


def test_the_whole_prompt_of_a_question_reads_so() -> None:
    assert user_message(WriteQuestion, QUESTION_INPUTS) == (
        "Language: Korean\n"
        "Max tokens: 768\n"
        "Discipline: Optics\n"
        "Subject: Wave optics\n"
        "Level: 200\n"
        "Syllabus:\n"
        "1. Thin films: phase; path length\n"
        "2. Gratings: orders\n"
        "Sessions:\n"
        "- Thin films\n"
        "- Gratings\n"
        "Key concepts:\n"
        "- phase\n"
        "- orders"
    )


def test_questions_of_one_syllabus_share_everything_before_the_sample() -> None:
    other = QUESTION_INPUTS | {"sessions": ["Gratings"], "key_concepts": ["orders"]}
    one, two = user_message(WriteQuestion, QUESTION_INPUTS), user_message(WriteQuestion, other)
    shared = one[: one.index("Sessions:")]
    assert two.startswith(shared)
    assert "2. Gratings: orders" in shared


def test_an_input_of_none_is_left_out() -> None:
    alone = {"question": "Why?", "language": None, "subject": None, "level": None}
    assert user_message(AnswerQuestion, alone) == "Question: Why?"
    assert user_message(AnswerQuestion, alone | {"level": 300}) == "Level: 300\nQuestion: Why?"


def test_an_optimizers_new_instruction_is_sent_with_its_paragraphs() -> None:
    text = "Ask one question.\n\nRules:\n- short\n- hard"
    assert ADAPTER.format(WriteQuestion.with_instructions(text), [], QUESTION_INPUTS)[0]["content"] == text


def test_an_instruction_set_in_place_is_the_one_that_is_sent() -> None:
    class Count(dspy.Signature):
        """Count them."""

        word: str = dspy.InputField()
        number: str = dspy.OutputField()

    adapter = CompactAdapter()
    assert adapter.format(Count, [], {"word": "a"})[0]["content"] == "Count them."
    Count.instructions = "Count again."
    assert adapter.format(Count, [], {"word": "a"})[0]["content"] == "Count again."


# --- the structure asked for ----------------------------------------------------------------------


def test_the_model_is_shown_the_structure_in_a_few_tokens() -> None:
    system = ADAPTER.format(ListSubjects, [], SUBJECT_INPUTS)[0]["content"]
    assert system.endswith(
        "Reply with one JSON object only:\n"
        '{"subjects": [{"name": string, "level": integer (100 first-year to 900 doctoral), "subtopics": [string]}]}'
    )


def test_prose_is_asked_for_as_prose() -> None:
    for signature in (WriteQuestion, AnswerQuestion, DraftSubjects, DraftSyllabus):
        plan = ADAPTER.plan(signature)
        assert plan.response_format is None
        assert "JSON" not in plan.system


def test_shape_shows_choices_and_optional_values() -> None:
    class Part(BaseModel):
        kind: Literal["proof", "exercise"]
        points: int | None
        done: bool = Field(description="whether it is finished")

    assert shape(Part.model_json_schema()) == (
        '{"kind": "proof" or "exercise", "points": integer or null, "done": boolean (whether it is finished)}'
    )


def objects_in(node: Any) -> list[dict[str, Any]]:
    children = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    found = [node] if isinstance(node, dict) and node.get("type") == "object" else []
    return found + [inner for child in children for inner in objects_in(child)]


@structured
def test_the_schema_on_the_wire_is_strict(signature: Any) -> None:
    wire = ADAPTER.plan(signature).response_format
    assert wire is not None
    assert wire["type"] == "json_schema"
    assert wire["json_schema"]["strict"] is True
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wire["json_schema"]["name"])
    schema = wire["json_schema"]["schema"]
    assert list(schema["properties"]) == list(signature.output_fields)
    assert objects_in(schema)
    for node in objects_in(schema):
        assert node["required"] == list(node["properties"])
        assert node["additionalProperties"] is False
    keys = set(re.findall(r'"(\w+)":', json.dumps(schema)))
    assert not keys & {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "default", "title"}


def test_properties_named_as_keywords_stay_in_the_strict_schema() -> None:
    class Odd(BaseModel):
        title: str
        default: str = ""
        minimum: int = 0

    assert strict(Odd.model_json_schema())["required"] == ["title", "default", "minimum"]


def test_a_signature_with_a_dictionary_as_output_has_a_plan() -> None:
    class Score(dspy.Signature):
        """Score it."""

        text: str = dspy.InputField()
        scores: dict[str, int] = dspy.OutputField()

    assert CompactAdapter().parse(Score, '{"scores": {"a": 1}}') == {"scores": {"a": 1}}


# --- prose replies --------------------------------------------------------------------------------


def is_plain_prose(text: str) -> bool:
    labelled = re.match(r"\W*(answer|question|draft)\W*:", text, re.IGNORECASE)
    return bool(text) and text == text.strip() and not labelled and "think" not in text and "reasoning>" not in text


prose = st.text(min_size=1).map(str.strip).filter(is_plain_prose)


@given(prose)
def test_prose_arrives_byte_for_byte(text: str) -> None:
    assert ADAPTER.parse(AnswerQuestion, text) == {"answer": text}
    assert ADAPTER.parse(WriteQuestion, f"\n {text}\n\n") == {"question": text}


@pytest.mark.parametrize(
    "text",
    [
        r"$$\frac{\theta}{\beta} \nabla \rho \alpha$$ and \\ and \n",
        '```python\nprint({"a": "\\n"})\n```',
        '{"answer": "not unwrapped"}',
        "첫째,\n\t둘째 — 문장.",
        "a\r\nb\x0cc\u2028d",
        "line one\n\n    indented\n\n\nline after two blanks",
        "The answer: 42",
        "Answering takes care.",
        "Compare <think>this</think> tag with that one.",
        "**Answer** is the heading",
    ],
)
def test_latex_code_and_any_script_stay_as_they_are(text: str) -> None:
    assert ADAPTER.parse(AnswerQuestion, text) == {"answer": text}


@pytest.mark.parametrize(
    "reply",
    ["Answer: 42", "**Answer:** 42", "answer:\n42", "## Answer: 42", "### Answer: 42", "  Answer : 42 ", "ANSWER:42"],
)
def test_a_label_before_prose_is_taken_off(reply: str) -> None:
    assert ADAPTER.parse(AnswerQuestion, reply) == {"answer": "42"}


@pytest.mark.parametrize("reply", ["**Answer**: 42", "## Answer\n42", "__Answer:__ 42"])
def test_a_label_in_other_markup_is_taken_off(reply: str) -> None:
    assert ADAPTER.parse(AnswerQuestion, reply) == {"answer": "42"}


@pytest.mark.parametrize("tag", ["think", "thinking", "reasoning"])
def test_thoughts_before_a_reply_are_taken_off(tag: str) -> None:
    thoughts = f"\n<{tag}>\nLet me see: {{}}\n\n</{tag}>\n\n"
    assert ADAPTER.parse(AnswerQuestion, f"{thoughts}42") == {"answer": "42"}
    assert ADAPTER.parse(AnswerQuestion, f"<{tag}></{tag}>42") == {"answer": "42"}
    assert subject_name(thoughts + json.dumps(SUBJECTS)) == "Wave optics"


@pytest.mark.parametrize("reply", ["", " \n", "<think>all I did</think>", "Answer:", "<think></think>\n**Answer:**"])
def test_an_empty_reply_is_refused(reply: str) -> None:
    with pytest.raises(AdapterParseError) as caught:
        ADAPTER.parse(AnswerQuestion, reply)
    assert caught.value.lm_response == reply


def test_thoughts_whose_opening_tag_stood_in_the_prompt_are_taken_off() -> None:
    assert ADAPTER.parse(AnswerQuestion, "I should add them up.\n</think>\n\n42") == {"answer": "42"}


def test_thoughts_without_an_end_are_no_answer() -> None:
    with pytest.raises(AdapterParseError):
        ADAPTER.parse(AnswerQuestion, "<think>I should add them up, and then")


# --- structured replies ---------------------------------------------------------------------------


@by_signature
def test_a_rendered_reply_is_read_back(signature: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    said = ADAPTER.format_assistant_message_content(signature, outputs)
    assert plain(ADAPTER.parse(signature, said)) == outputs


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "\n\n{}\n",
        "```json\n{}\n```",
        "```\n{}\n```",
        "```JSON\n{}\n```\nDone.",
        "Here are the subjects:\n```json\n{}\n```\nI hope this helps!",
        "Here are the subjects: {} I hope this helps!",
        "<think>a {{ b</think>{}",
    ],
)
def test_json_is_found_in_fences_and_between_sentences(around: str) -> None:
    reply = around.replace("{{", "{").replace("{}", json.dumps(SUBJECTS, indent=1))
    assert plain(ADAPTER.parse(ListSubjects, reply)) == SUBJECTS


@pytest.mark.parametrize(
    "broken",
    [
        str(SUBJECTS),
        json.dumps(SUBJECTS).replace("]", ",]"),
        json.dumps(SUBJECTS).replace('"level":', "level:"),
        json.dumps(SUBJECTS).replace("optics", "optics\n"),
    ],
    ids=["single quotes", "trailing commas", "bare key", "raw newline"],
)
def test_json_with_a_slip_in_it_is_repaired(broken: str) -> None:
    read = plain(ADAPTER.parse(ListSubjects, broken))
    assert [s["level"] for s in read["subjects"]] == [200, 400]


def test_a_fence_inside_a_value_is_left_alone() -> None:
    sessions = [{"name": "Markdown", "description": "```json\n{}\n```", "key_concepts": ["fence"]}]
    reply = json.dumps({"introduction": "i", "sessions": sessions})
    assert ADAPTER.parse(DesignSyllabus, reply)["sessions"][0].description == "```json\n{}\n```"


def test_values_of_another_type_are_read_and_additional_keys_dropped() -> None:
    reply = '{"note": 1, "subjects": [{"name": "A", "level": "300-level", "subtopics": ["b"], "credits": 3}]}'
    assert plain(ADAPTER.parse(ListSubjects, reply)) == {"subjects": [{"name": "A", "level": 300, "subtopics": ["b"]}]}


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot do that.",
        "null",
        "[]",
        "42",
        "{}",
        "{{{{",
        '{"subjects": null}',
        '{"subjects": {}}',
        '{"subjects": [{"name": "", "level": 100, "subtopics": ["a"]}]}',
        '{"subjects": [{"name": "A", "level": 100, "subtopics": []}]}',
        '{"subjects": [{"name": "A", "level": 50, "subtopics": ["a"]}]}',
        '{"subjects": [{"name": "A", "level": 1000, "subtopics": ["a"]}]}',
        '{"subjects": [{"name": "A", "level": "hard", "subtopics": ["a"]}]}',
        '{"subjects": [{"name": "A", "level": 100}]}',
        '{"subjects": [{"name": "\\ud800", "level": 100, "subtopics": ["a"]}]}',
        "\ud800",
    ],
)
def test_a_reply_that_does_not_fit_is_refused_whole(reply: str) -> None:
    with pytest.raises(AdapterParseError) as caught:
        ADAPTER.parse(ListSubjects, reply)
    assert caught.value.parsed_result is None
    assert caught.value.lm_response == reply


@given(st.text())
def test_nonsense_is_refused_and_nothing_else_happens(reply: str) -> None:
    with pytest.raises(AdapterParseError) as caught:
        ADAPTER.parse(ListSubjects, reply)
    assert caught.value.lm_response == reply


@given(st.text(alphabet='{}[]":,\\ntab0 '))
def test_json_like_nonsense_is_refused_and_nothing_else_happens(reply: str) -> None:
    with pytest.raises(AdapterParseError) as caught:
        ADAPTER.parse(DesignTaxonomy, reply)
    assert caught.value.parsed_result is None


def test_a_reply_of_endless_brackets_is_refused() -> None:
    with pytest.raises(AdapterParseError):
        ADAPTER.parse(ListSubjects, "[" * 5000)


def test_json_without_its_end_is_refused_at_every_cut() -> None:
    whole = json.dumps(SUBJECTS)
    accepted = []
    for end in range(1, len(whole)):
        try:
            ADAPTER.parse(ListSubjects, whole[:end])
        except AdapterParseError as error:
            assert error.parsed_result is None
            assert error.lm_response == whole[:end]
        else:
            accepted.append(end)
    assert accepted == []


# --- LaTeX inside JSON ----------------------------------------------------------------------------

COMMANDS = (
    "theta frac beta nabla rho alpha sum int ( ) [ ] { } bar begin bigcup binom bmod boldsymbol boxed bullet "
    "backslash bot big forall flat neq nu not notin ne ni rangle right rightarrow rceil rfloor rm text textbf tfrac "
    "times tau tan tanh to top tilde triangle therefore tag upsilon uparrow uplus underline underbrace upuparrows "
    "Omega Gamma gamma delta phi psi zeta sqrt cdot ldots mathbb left quad hat vec partial infty in"
)


@pytest.mark.parametrize("command", COMMANDS.split())
def test_a_latex_command_with_one_backslash_survives(command: str) -> None:
    assert subject_name(named(rf"${{\{command}}} x$")) == rf"${{\{command}}} x$"


LOST = (
    "neg nexists ngeq nleq nless nolimits nonumber natural rbrace rbrack rvert rVert rtimes root rank "
    "blacksquare blacktriangle bowtie breve beth between footnote footnotesize fint frak tbinom thickapprox tiny "
    "thinspace twoheadrightarrow"
)


@pytest.mark.parametrize("command", LOST.split())
def test_a_less_common_latex_command_with_one_backslash_survives(command: str) -> None:
    assert subject_name(named(rf"$\{command} x$")) == rf"$\{command} x$"


@pytest.mark.parametrize("command", (COMMANDS + " " + LOST).split())
def test_a_properly_escaped_latex_command_is_not_escaped_again(command: str) -> None:
    name = rf"$\{command} x$ \\ {{\{command}}}"
    assert subject_name(named(json.dumps(name)[1:-1])) == name


tricky = st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('\\"/bfnrtu{}'))


@given(st.text(alphabet=tricky, min_size=1))
def test_json_written_properly_is_read_as_written_where_no_newline_meets_a_command(name: str) -> None:
    # A newline or tab before letters may look like a command: the tests below are about those.
    name = re.sub(r"[\b\f\n\r\t]", " ", name)
    for written in (json.dumps(name), json.dumps(name, ensure_ascii=False)):
        assert subject_name(named(written[1:-1])) == name


@pytest.mark.parametrize(
    "text", ["first\nsecond", "a\n- b\n- c", "a\n\nNext", "\ttabbed", "a\r\nb", "x\n1. one\n2. two", "l\nnot all"]
)
def test_real_newlines_and_tabs_are_still_that(text: str) -> None:
    assert subject_name(named(json.dumps(text)[1:-1])) == text


def test_escaped_characters_are_still_that() -> None:
    assert subject_name(named(r"caf\u00e9 \u0041 \ud83d\ude00 \/ \"quoted\"")) == 'café A 😀 / "quoted"'


@pytest.mark.parametrize(
    "word",
    ["other", "equations", "substitution", "subjects", "support", "middle"],
)
def test_a_newline_before_an_ordinary_word_is_still_a_newline(word: str) -> None:
    assert subject_name(named(rf"topics:\n{word}")) == f"topics:\n{word}"


@pytest.mark.parametrize("word", ["random", "optics"])
def test_a_tab_before_an_ordinary_word_is_still_a_tab(word: str) -> None:
    assert subject_name(named(rf"x\t{word}")) == f"x\t{word}"


@given(st.text())
def test_doubling_backslashes_twice_is_doubling_them_once(text: str) -> None:
    once = whole_backslashes(text)
    assert whole_backslashes(once) == once
    assert once.replace("\\", "") == text.replace("\\", "")


def test_read_json_validates_the_whole_object() -> None:
    class Pair(BaseModel):
        a: int = Field(ge=1)
        b: list[str] = Field(min_length=2)

    assert read_json('{"a": 1, "b": ["x", "y"]}', Pair) == Pair(a=1, b=["x", "y"])
    for wrong in ('{"a": 0, "b": ["x", "y"]}', '{"a": 1, "b": ["x"]}', '{"a": 1}'):
        with pytest.raises(ValueError, match=r"."):
            read_json(wrong, Pair)


def test_bounds_on_an_output_field_are_enforced() -> None:
    class Two(dspy.Signature):
        """Name two."""

        topic: str = dspy.InputField()
        names: list[str] = dspy.OutputField(min_length=2)

    adapter = CompactAdapter()
    assert adapter.parse(Two, '{"names": ["a", "b"]}') == {"names": ["a", "b"]}
    with pytest.raises(AdapterParseError):
        adapter.parse(Two, '{"names": ["a"]}')


# --- demos ----------------------------------------------------------------------------------------


@by_signature
def test_a_demo_is_a_turn_of_the_conversation(signature: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    messages = ADAPTER.format(signature, [dspy.Example(**inputs, **outputs)], inputs)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1]["content"] == messages[3]["content"]
    assert plain(ADAPTER.parse(signature, messages[2]["content"])) == outputs


def test_a_demo_without_the_optional_inputs_is_a_whole_one() -> None:
    demo = dspy.Example(question="Why?", answer="So.", language=None, subject=None, level=None)
    assert ADAPTER.format(AnswerQuestion, [demo], {"question": "How?"})[1]["content"] == "Question: Why?"


def test_a_demo_with_typed_values_is_rendered_as_the_model_should_reply() -> None:
    demo = dspy.Example(**SYLLABUS_INPUTS, introduction="i", sessions=[SessionOutline(name="é", key_concepts=["k"])])
    said = ADAPTER.format(DesignSyllabus, [demo], SYLLABUS_INPUTS)[2]["content"]
    assert said == '{"introduction":"i","sessions":[{"name":"é","description":"","key_concepts":["k"]}]}'


# --- inside DSPy ----------------------------------------------------------------------------------


@by_signature
def test_every_signature_works_in_predict(signature: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    engine = Scripted([ADAPTER.format_assistant_message_content(signature, outputs)])
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()):
        prediction = dspy.Predict(signature)(**inputs)
    assert plain(dict(prediction)) == outputs
    assert engine.user() == user_message(signature, inputs)
    asked_for = engine.requests[0].config.response_format
    wire = ADAPTER.plan(signature).response_format
    assert asked_for == (wire and {"type": "json_schema", **wire["json_schema"]}), "as DSPy hands it to an engine"


@by_signature
def test_every_signature_works_with_dspys_dummy(
    signature: Any, inputs: dict[str, Any], outputs: dict[str, Any]
) -> None:
    with dspy.context(lm=DummyLM([outputs], adapter=CompactAdapter()), adapter=CompactAdapter()):
        prediction = dspy.Predict(signature)(**inputs)
    assert plain(dict(prediction)) == outputs


@by_signature
def test_an_unusable_reply_is_not_billed_twice(signature: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    nonsense = "no object here" if ADAPTER.plan(signature).response_format else " \n "
    engine = Scripted([nonsense, nonsense])
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()), pytest.raises(AdapterParseError):
        dspy.Predict(signature)(**inputs)
    assert len(engine.requests) == 1


def test_chain_of_thought_asks_for_one_object_with_the_reasoning_first() -> None:
    engine = Scripted(['{"reasoning": "I add.", "answer": "42"}'])
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()):
        prediction = dspy.ChainOfThought(AnswerQuestion)(question="6 x 7?")
    assert (prediction.reasoning, prediction.answer) == ("I add.", "42")
    assert '{"reasoning": string, "answer": string}' in engine.system()
