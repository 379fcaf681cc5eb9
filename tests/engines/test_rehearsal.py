"""The rehearsal engine: what it says, how it fails on purpose, and that both follow from the request alone."""

from __future__ import annotations

import asyncio
import copy
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from dspy.lm15 import (
    Config,
    LM15Error,
    Message,
    RateLimitError,
    Request,
    Response,
    ServerError,
    TextPart,
    TimeoutError,
    TransportError,
)
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.rehearsal import RehearsalEngine, is_rehearsal, parse_rehearsal
from glan_dspy.engines.rehearsal_ask import inputs_of, items_of
from glan_dspy.engines.rehearsal_words import guess_language, language_code, words_of

CODES = ("en", "ko", "ja", "zh", "es", "hi", "ar", "fr", "de", "pt", "ru", "vi")
ENGLISH_CONCEPTS = ("thin film interference", "coherence length", "Fresnel zone")
SCRIPTS = {
    "ko": "[\uac00-\ud7a3]",
    "ja": "[\u3040-\u30ff\u4e00-\u9fff]",
    "zh": "[\u4e00-\u9fff]",
    "hi": "[\u0900-\u097f]",
    "ar": "[\u0600-\u06ff]",
    "ru": "[\u0400-\u04ff]",
}

SUBJECTS: dict[str, Any] = {
    "type": "object",
    "properties": {"subjects": {"type": "array", "items": {"$ref": "#/$defs/Subject"}}},
    "required": ["subjects"],
    "additionalProperties": False,
    "$defs": {
        "Subject": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "level": {"type": "integer", "enum": list(range(100, 1000, 100))},
                "subtopics": {"type": "array", "items": {"type": "string"}},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["name", "level", "subtopics", "note"],
            "additionalProperties": False,
        }
    },
}
SYLLABUS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "introduction": {"type": "string"},
        "sessions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "description": {"type": "string"},
                    "key_concepts": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                },
                "required": ["name", "description", "key_concepts"],
            },
        },
    },
    "required": ["introduction", "sessions"],
}


def request(
    text: str,
    *,
    system: str = "You help to make teaching material.",
    schema: dict[str, Any] | None = None,
    seed: int | None = None,
    max_tokens: int | None = None,
    **config: Any,
) -> Request:
    if schema is not None:
        config["response_format"] = {"type": "json_schema", "name": "R", "schema": schema, "strict": True}
    if seed is not None:
        config["extensions"] = {"seed": seed}
    settings = Config(max_tokens=max_tokens, **config)
    return Request(model="rehearsal", system=system, messages=(Message.user(text),), config=settings)


def question(
    item: object = 0, language: str = "English", concepts: tuple[str, ...] = ENGLISH_CONCEPTS, **more: Any
) -> Request:
    bullets = "\n".join(f"- {concept}" for concept in concepts)
    head = (
        f"Discipline: Optics\nSubject: Wave Optics\nLanguage: {language}\nMax tokens: 768\nSyllabus:\n1. Waves {item}"
    )
    return request(f"{head}\nSessions:\n- Interference\n\nKey concepts:\n{bullets}", **more)


def answer(asked: str, **more: Any) -> Request:
    return request(f"Question:\n{asked}", **more)


def complete(asked: Request, name: str = "rehearsal") -> Response:
    return asyncio.run(RehearsalEngine(name).complete(asked))


def text_of(response: Response) -> str:
    part = response.message.parts[0]
    assert isinstance(part, TextPart)
    return str(part.text)


def texts(requests: list[Request], name: str = "rehearsal") -> list[str]:
    async def run() -> list[str]:
        engine = RehearsalEngine(name)
        return [text_of(await engine.complete(asked)) for asked in requests]

    return asyncio.run(run())


def value_of(asked: Request, name: str = "rehearsal") -> Any:
    return orjson.loads(text_of(complete(asked, name)))


@contextmanager
def calling(item: str, *, stage: str = "question", ask: int = 0, attempt: int = 0) -> Iterator[None]:
    token = CALL.set(Call(stage, item, ask, attempt))
    try:
        yield
    finally:
        CALL.reset(token)


# --- the name -----------------------------------------------------------------------------------


def test_only_the_bare_word_and_its_query_are_rehearsals() -> None:
    assert is_rehearsal("rehearsal") and is_rehearsal("rehearsal?latency=1")
    assert not is_rehearsal("rehearsal-2") and not is_rehearsal("gpt-4o")


def test_a_name_becomes_shares() -> None:
    behaviour = parse_rehearsal("rehearsal?latency=0.5&server_error=0.02&bad_json=0.1")
    assert (behaviour.latency, behaviour.server_error, behaviour.bad_json, behaviour.refuse) == (0.5, 0.02, 0.1, 0)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("server_eror=0.1", "server_error"),
        ("zzz=0.1", "known are latency"),
        ("refuse=often", "between 0 and 1"),
        ("refuse=1.5", "between 0 and 1"),
        ("refuse=nan", "between 0 and 1"),
        ("latency=-1", "0 or more"),
        ("latency=inf", "0 or more"),
        ("refuse", "''"),
        ("refuse=0.6&empty=0.6", "at most 1"),
    ],
)
def test_a_wrong_name_is_told_in_one_sentence(query: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        parse_rehearsal(f"rehearsal?{query}")
    assert "\n" not in str(caught.value)


def test_the_engine_is_saved_by_its_name_and_copied_as_itself() -> None:
    engine = RehearsalEngine("rehearsal?refuse=0.5")
    assert RehearsalEngine.load_state(engine.dump_state()).behaviour == engine.behaviour
    assert copy.deepcopy(engine) is engine


# --- determinism --------------------------------------------------------------------------------


def test_the_same_request_gets_the_same_reply_from_any_engine() -> None:
    first, second = complete(question(7)), complete(question(7))
    assert first == second
    assert first.id is not None and re.fullmatch(r"rehearsal-[0-9a-f]{16}", first.id)


@pytest.mark.parametrize(
    "other", [question(8), question(7, seed=1), question(7, max_tokens=700), question(7, system="Ask.")]
)
def test_every_part_of_the_content_counts(other: Request) -> None:
    assert text_of(complete(question(7))) != text_of(complete(other))


def test_a_seed_means_the_same_in_either_place() -> None:
    by_extension = Request(model="m", messages=(Message.user("Hi"),), config=Config(extensions={"seed": 3}))
    by_field = Request(model="m", messages=(Message.user("Hi"),), config=Config(seed=3))
    assert complete(by_extension).id == complete(by_field).id


def test_temperature_and_model_name_do_not_change_the_reply() -> None:
    assert text_of(complete(question(temperature=0.1))) == text_of(complete(question(temperature=1.0)))


def test_usage_is_an_estimate_of_both_sides() -> None:
    asked = question(language="Korean")
    response = complete(asked)
    said = text_of(response)
    assert response.usage.output_tokens == -(-len(said.encode()) // 4)
    assert response.usage.input_tokens is not None and response.usage.input_tokens > 50
    assert (response.usage.cache_read_tokens, response.finish_reason, response.model) == (0, "stop", "rehearsal")


# --- inputs -------------------------------------------------------------------------------------


def test_labelled_and_chat_inputs_are_read_alike() -> None:
    plain = "Discipline: Optics\nMax subjects: 2\n\nKey concepts:\n- thin films\n- coherence\n"
    chat = (
        "[[ ## discipline ## ]]\nOptics\n\n[[ ## max_subjects ## ]]\n2\n\n"
        "[[ ## key_concepts ## ]]\n[1] «thin films»\n[2] «coherence»\n\n"
        "Respond with the corresponding output fields, starting with the field `[[ ## question ## ]]`, "
        "and then ending with the marker for `[[ ## completed ## ]]`."
    )
    for text in (plain, chat):
        inputs = inputs_of(text)
        assert inputs["discipline"] == "Optics" and inputs["max_subjects"] == "2"
        assert items_of(inputs["key_concepts"]) == ["thin films", "coherence"]


def test_a_chat_form_prompt_gets_its_reply_under_a_header() -> None:
    text = (
        "[[ ## key_concepts ## ]]\n[1] «thin films»\n\nRespond with the corresponding output fields, starting with "
        "the field `[[ ## question ## ]]`, and then ending with the marker for `[[ ## completed ## ]]`."
    )
    said = text_of(complete(request(text)))
    assert said.startswith("[[ ## question ## ]]\n") and said.endswith("\n\n[[ ## completed ## ]]")
    assert "thin films" in said


def test_demos_are_not_taken_for_the_request() -> None:
    demo = (Message.user("Key concepts:\n- rainbows"), Message.assistant("Why are rainbows round?"))
    asked = Request(model="m", messages=(*demo, Message.user("Key concepts:\n- lenses")))
    said = text_of(complete(asked))
    assert "lenses" in said and "rainbows" not in said


# --- structured replies -------------------------------------------------------------------------


def test_subjects_are_valid_distinct_and_as_many_as_asked() -> None:
    text = "Language: English\nMax subjects: 2\nMax subtopics: 5\nDiscipline: Optics"
    value = value_of(request(text, schema=SUBJECTS))
    Draft202012Validator(SUBJECTS).validate(value)
    assert len(value["subjects"]) == 2 and len({one["name"] for one in value["subjects"]}) == 2
    assert all("Optics" in one["name"] and len(set(one["subtopics"])) == 5 for one in value["subjects"])


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 30])
def test_a_syllabus_keeps_to_its_sessions(limit: int) -> None:
    text = f"Language: English\nMax sessions: {limit}\nDiscipline: Optics\nSubject: Wave Optics"
    value = value_of(request(text, schema=SYLLABUS))
    Draft202012Validator(SYLLABUS).validate(value)
    names = [session["name"] for session in value["sessions"]]
    assert len(set(names)) == len(names) <= limit and len(names) >= (limit if limit <= 5 else 0.8 * limit)
    assert all(4 <= len(session["key_concepts"]) <= 6 for session in value["sessions"])


def test_ten_seeds_differ_but_overlap() -> None:
    text = "Language: English\nMax subjects: 10\nDiscipline: Optics"
    lists = [value_of(request(text, schema=SUBJECTS, seed=seed))["subjects"] for seed in range(10)]
    names = [frozenset(one["name"] for one in subjects) for subjects in lists]
    assert len(set(names)) > 5
    assert all(left & right for left, right in itertools.combinations(names, 2))
    assert len(frozenset.union(*names)) < sum(map(len, names)) / 2


def test_a_taxonomy_names_the_usual_fields_and_their_disciplines() -> None:
    branch = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "disciplines": {"type": "array", "items": {"type": "string"}}},
    }
    field = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "sub_fields": {"type": "array", "items": branch}},
    }
    schema = {"type": "object", "properties": {"fields_of_knowledge": {"type": "array", "items": field}}}
    value = value_of(request("Language: English\nMax fields: 3", schema=schema))["fields_of_knowledge"]
    assert len(value) == 3 and {one["name"] for one in value} <= set(words_of("en").fields)
    leaves = [leaf for one in value for sub in one["sub_fields"] for leaf in sub["disciplines"]]
    assert leaves and len(set(leaves)) == len(leaves)


def test_a_draft_is_an_outline_and_its_extraction_keeps_names_levels_and_parts() -> None:
    text = "Language: Korean\nMax subjects: 3\nMax subtopics: 4\nDiscipline: Optics"
    draft = text_of(complete(request(text)))
    assert re.findall(r"^(\d)\. ", draft, re.MULTILINE) == ["1", "2", "3"]
    subjects = value_of(request(f"Draft:\n{draft}", schema=SUBJECTS))["subjects"]
    assert len(subjects) == 3
    for line, subject in zip(draft.split("\n"), subjects, strict=True):
        assert subject["name"] in line and str(subject["level"]) in line
        assert len(subject["subtopics"]) == 4 and all(part in line for part in subject["subtopics"])


def test_bounds_types_and_unions_are_obeyed() -> None:
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "kind": {"enum": ["a", "b"]},
            "fixed": {"const": 4},
            "keep": {"type": "boolean"},
            "tags": {"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 2, "maxItems": 3},
            "short": {"type": "string", "maxLength": 8, "minLength": 3},
            "maybe": {"type": ["string", "null"]},
            "extra": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
    }
    for seed in range(40):
        value = value_of(request("Judge this.", schema=schema, seed=seed))
        Draft202012Validator(schema).validate(value)
        assert value["score"] >= 4 and value["keep"] is True


@pytest.mark.parametrize("code", [code for code in CODES if code in SCRIPTS])
def test_a_curriculum_is_in_its_language(code: str) -> None:
    text = f"Language: {code}\nMax sessions: 3\nDiscipline: Optics\nSubject: Wave Optics"
    value = value_of(request(text, schema=SYLLABUS))
    assert re.search(SCRIPTS[code], value["introduction"])
    concepts = [concept for session in value["sessions"] for concept in session["key_concepts"]]
    assert all(re.search(SCRIPTS[code], concept) for concept in concepts)


# --- prose --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_questions_and_answers_are_in_the_language(code: str) -> None:
    asked = texts([question(item, code) for item in range(40)])
    replied = texts([answer(one) for one in asked])
    for said in asked + replied:
        assert guess_language(said) == code
        if code in SCRIPTS:
            prose = re.sub(r"```.*?```|\$.*?\$", "", said, flags=re.DOTALL)
            own, latin = len(re.findall(SCRIPTS[code], prose)), len(re.findall("[A-Za-z]", prose))
            assert own > 0.7 * (own + latin)


@pytest.mark.parametrize("code", CODES)
def test_questions_use_concepts_and_figures_and_end_with_a_task(code: str) -> None:
    for said in texts([question(item, code) for item in range(40)]):
        assert any(concept in said for concept in ENGLISH_CONCEPTS) and re.search(r"\d", said)
        assert said[-1] in ".?。？।؟" and 150 < len(said) < 1000
        assert "{" not in said and "  " not in said
        assert not re.search("syllabus|class session|as an AI|table above", said, re.IGNORECASE)


@pytest.mark.parametrize("code", CODES)
def test_answers_are_whole_and_take_up_the_question(code: str) -> None:
    asked = texts([question(item, code) for item in range(60)])
    replied = texts([answer(one) for one in asked])
    for before, said in zip(asked, replied, strict=True):
        assert 4 <= len(re.sub(r"```.*?```", "", said, flags=re.DOTALL).split("\n\n")) <= 7
        assert said[-1] in ".。।" and said.count("```") in (0, 2)
        assert set(re.findall(r"\d{2,}", before)) & set(re.findall(r"\d{2,}", said))
        assert any(idea in said for idea in (*ENGLISH_CONCEPTS, "Wave Optics"))
        assert before not in said and "DO NOT KNOW" not in said
    assert 3 <= sum("$" in said for said in replied) <= 30 and 1 <= sum("```" in said for said in replied) <= 25


@pytest.mark.parametrize(
    ("code", "concept"), [("hi", "प्रकाश तरंग"), ("ko", "빛의 간섭"), ("zh", "薄膜干涉"), ("ar", "تداخل الضوء")]
)
def test_native_concepts_are_taken_up_by_the_answer(code: str, concept: str) -> None:
    asked = texts([question(item, code, (concept,)) for item in range(20)])
    assert all(concept in said for said in asked + texts([answer(one) for one in asked]))


def test_json_mode_and_typed_chat_fields_are_filled() -> None:
    fields = "`score` (must be formatted as a valid Python int), then `answer`"
    text = f"[[ ## question ## ]]\nWhy?\n\nRespond with a JSON object in the following order of fields: {fields}."
    value = value_of(request(text, response_format={"type": "json_object"}))
    assert isinstance(value["score"], int) and value["answer"].endswith(".")
    chat = text.replace(
        "a JSON object in the following order of fields: ", "the corresponding output fields, starting with the field "
    )
    said = text_of(complete(request(chat)))
    assert re.match(r"\[\[ ## score ## \]\]\n\d+\n\n\[\[ ## answer ## \]\]\n\w", said)


def test_latex_keeps_its_backslashes() -> None:
    said = "\n".join(texts([answer(f"What is {n} times 7?") for n in range(100)]))
    assert "\\frac{" in said and "\\theta" in said
    assert not re.search("[\t\f\r\b]", said)


def test_names_of_languages() -> None:
    told = ("Korean", "한국어", "ko", "zh-CN", "Simplified Chinese", "Brazilian Portuguese", "Klingon", " français ")
    assert [language_code(name) for name in told] == ["ko", "ko", "ko", "zh", "zh", "pt", None, "fr"]
    assert guess_language(text_of(complete(question(language="Klingon")))) == "en"


def test_two_thousand_questions_of_a_discipline_are_not_near_duplicates() -> None:
    concepts = [
        f"{left} {right}" for left in ("thin", "thick", "coated", "moving") for right in ("lens", "film", "mirror")
    ]
    chosen = [(concepts[n % 12], concepts[(n // 12) % 12]) for n in range(2000)]
    said = texts([question(n, concepts=pair) for n, pair in enumerate(chosen)])
    assert len(set(said)) == len(said)
    assert worst_overlap(said) < 0.5


@pytest.mark.parametrize("code", CODES[1:])
def test_other_languages_vary_too(code: str) -> None:
    assert worst_overlap(texts([question(n, code) for n in range(250)])) < 0.6


def worst_overlap(said: list[str]) -> float:
    """The largest Jaccard similarity of any two texts: word 3-grams, or 5 letters where words are not parted."""
    grams = [_grams(one) for one in said]
    holders: dict[Any, list[int]] = {}
    for number, own in enumerate(grams):
        for gram in own:
            holders.setdefault(gram, []).append(number)
    # Only pairs with much in common are compared; rare grams find them.
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in holders.values():
        if len(numbers) <= 60:
            shared.update(itertools.combinations(numbers, 2))
    close = [pair for pair, count in shared.most_common(3000) if count]
    return max(len(grams[a] & grams[b]) / len(grams[a] | grams[b]) for a, b in close)


def _grams(text: str) -> set[Any]:
    words = text.lower().split()
    if len(words) < 20:
        return {text[start : start + 5] for start in range(len(text) - 4)}
    return set(zip(words, words[1:], words[2:], strict=False))


def test_token_limits_take_sentences_away_before_they_cut() -> None:
    for code in ("English", "Hindi"):
        for limit in (500, 120):
            response = complete(question(1, code, max_tokens=limit))
            assert response.usage.output_tokens is not None and response.usage.output_tokens <= limit
            assert response.finish_reason == "stop" and text_of(response)[-1] in ".?।"
        response = complete(question(1, code, max_tokens=12))
        assert response.finish_reason == "length" and response.usage.output_tokens == 12


def test_a_structured_reply_over_the_limit_is_cut() -> None:
    response = complete(request("Discipline: Optics", schema=SUBJECTS, max_tokens=20))
    assert response.finish_reason == "length"
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text_of(response))


def test_other_requests_get_a_friendly_sentence() -> None:
    assert text_of(complete(request("Say hello in one word.", max_tokens=50))).startswith("Hello!")


# --- faults -------------------------------------------------------------------------------------


def outcomes(name: str, count: int, *, attempt: int = 0, ask: int = 0) -> list[str]:
    """What became of `count` items: the error's class, or the finish reason."""

    async def run() -> list[str]:
        engine, found, asked = RehearsalEngine(name), [], request("Hi")
        for item in range(count):
            with calling(f"item{item}", attempt=attempt, ask=ask):
                try:
                    found.append((await engine.complete(asked)).finish_reason)
                except LM15Error as error:
                    found.append(type(error).__name__)
        return [str(one) for one in found]

    return asyncio.run(run())


def test_transport_faults_come_in_the_shares_asked_for_and_heal_on_retry() -> None:
    name = "rehearsal?server_error=0.1&rate_limit=0.05&timeout=0.03&reset=0.02"
    first = outcomes(name, 5000)
    shares = {kind: count / 5000 for kind, count in Counter(first).items()}
    assert shares["ServerError"] == pytest.approx(0.1, abs=0.015)
    assert shares["RateLimitError"] == pytest.approx(0.05, abs=0.012)
    assert shares["TimeoutError"] == pytest.approx(0.03, abs=0.01)
    assert shares["TransportError"] == pytest.approx(0.02, abs=0.008)
    retried = outcomes(name, 5000, attempt=1)
    failed = [second for before, second in zip(first, retried, strict=True) if before != "stop"]
    assert sum(one == "stop" for one in failed) / len(failed) == pytest.approx(0.8, abs=0.05)
    assert first == outcomes(name, 5000)


@pytest.mark.parametrize(
    ("fault", "kind", "status", "pause"),
    [
        ("server_error", ServerError, 500, None),
        ("rate_limit", RateLimitError, 429, 0.05),
        ("timeout", TimeoutError, None, None),
        ("reset", TransportError, None, None),
    ],
)
def test_transport_faults_are_lm15_errors(
    fault: str, kind: type[LM15Error], status: int | None, pause: float | None
) -> None:
    with pytest.raises(kind) as caught:
        complete(request("Hi"), f"rehearsal?{fault}=1")
    assert (caught.value.status, caught.value.retry_after) == (status, pause)


def test_content_faults_follow_the_ask_and_not_the_attempt() -> None:
    name = "rehearsal?truncate=0.3"
    first = outcomes(name, 2000)
    assert Counter(first)["length"] / 2000 == pytest.approx(0.3, abs=0.04)
    assert first == outcomes(name, 2000, attempt=3)
    assert first != outcomes(name, 2000, ask=1)


def test_truncation_stops_in_the_middle() -> None:
    prose = complete(question(), "rehearsal?truncate=1")
    assert prose.finish_reason == "length" and text_of(prose)[-1] not in ".?!"
    structured = complete(request("Discipline: Optics", schema=SUBJECTS), "rehearsal?truncate=1")
    assert structured.finish_reason == "length"
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text_of(structured))


def test_broken_json_is_broken_in_every_way_and_leaves_prose_alone() -> None:
    for item in range(30):
        with calling(f"i{item}"):
            response = complete(request("Discipline: Optics", schema=SUBJECTS), "rehearsal?bad_json=1")
        assert response.finish_reason == "stop"
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(text_of(response))
    assert text_of(complete(question(), "rehearsal?bad_json=1")) == text_of(complete(question()))


def test_refusals_are_prose_in_the_language() -> None:
    assert "help" in text_of(complete(question(), "rehearsal?refuse=1")).replace("assist", "help")
    assert re.search(SCRIPTS["ko"], text_of(complete(question(language="Korean"), "rehearsal?refuse=1")))
    structured = complete(request("Discipline: Optics", schema=SUBJECTS), "rehearsal?refuse=1")
    assert structured.finish_reason == "stop" and "{" not in text_of(structured)


def test_an_empty_reply_is_an_empty_text() -> None:
    response = complete(question(), "rehearsal?empty=1")
    assert text_of(response) == "" and response.finish_reason == "stop"


def test_abstention_only_where_it_is_offered() -> None:
    offered = answer("Why is the sky blue?", system="If you are not sure write DO NOT KNOW.")
    assert text_of(complete(offered, "rehearsal?abstain=1")) == "DO NOT KNOW"
    assert text_of(complete(question(), "rehearsal?abstain=1")) == text_of(complete(question()))


@pytest.mark.parametrize(("language", "got"), [("English", "es"), ("Korean", "en"), ("Spanish", "en")])
def test_the_wrong_language_is_another_one(language: str, got: str) -> None:
    said = text_of(complete(question(language=language), "rehearsal?wrong_language=1"))
    assert guess_language(said) == got


def test_duplicates_fall_into_few_near_copies() -> None:
    found = set()
    for item in range(200):
        with calling(f"item{item}"):
            found.add(text_of(complete(question(item, concepts=(f"idea {item}",)), "rehearsal?duplicate=1")))
    assert 2 <= len(found) <= 15
    assert len({re.sub(r"\d+", "", one) for one in found}) <= 5


def test_faults_are_exclusive() -> None:
    name = "rehearsal?refuse=0.25&empty=0.25&truncate=0.5"
    kinds: Counter[tuple[str, bool]] = Counter()
    for item in range(400):
        with calling(f"item{item}"):
            response = complete(question(), name)
        kinds[(response.finish_reason, bool(text_of(response)))] += 1
    assert set(kinds) == {("stop", True), ("stop", False), ("length", True)} and min(kinds.values()) > 60


def test_latency_waits_about_its_median() -> None:
    async def run() -> list[float]:
        engine, loop = RehearsalEngine("rehearsal?latency=0.02"), asyncio.get_running_loop()

        async def one(item: int) -> float:
            start = loop.time()
            await engine.complete(request(f"Hi {item}"))
            return loop.time() - start

        return sorted(await asyncio.gather(*(one(item) for item in range(101))))

    waited = asyncio.run(run())
    assert 0.012 < waited[50] < 0.08 and waited[0] < waited[100]
