"""GLAN as one DSPy program: a path down the tree, and its state."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request, Response
from dspy.teleprompt import BootstrapFewShot
from dspy.utils import DummyLM

from glan_dspy.adapters import CompactAdapter
from glan_dspy.connect import connect, language_model
from glan_dspy.errors import BadReply, UserError
from glan_dspy.program import GLAN, GLANPrediction, open_program
from glan_dspy.records import Discipline, Sample, Subject, Syllabus, merge_subjects
from glan_dspy.settings import Settings
from glan_dspy.stages import AnswerWriter
from tests.scripted import Scripted, reply

REHEARSAL = Settings(model_name="rehearsal", language="English")

PREDICTORS = [
    "taxonomy.design",
    "subjects.list",
    "subjects.draft",
    "subjects.extract",
    "syllabus.design",
    "syllabus.draft",
    "syllabus.extract",
    "question.write",
    "answer.write",
]

SAID: list[dict[str, Any]] = [
    {"subjects": [{"name": "Wave optics", "level": 200, "subtopics": ["interference"]}]},
    {
        "introduction": "Light.",
        "sessions": [
            {"name": "Superposition", "description": "", "key_concepts": ["phase", "coherence"]},
            {"name": "Thin films", "description": "", "key_concepts": ["path length"]},
        ],
    },
    {"question": "Why is a soap film colourful?"},
    {"answer": "Because of interference."},
]


def compiled() -> GLAN:
    """A program as an optimizer leaves it: one instruction rewritten, two demos added."""
    glan = GLAN()
    write = glan.question.write
    write.signature = write.signature.with_instructions("Frage auf Deutsch, mit »Anführung«.\n\n- kurz")
    glan.answer.write.demos = [
        dspy.Example(language="Korean", subject="Optik", level=200, question="왜?", answer="$\\theta$").with_inputs(
            "language", "subject", "level", "question"
        ),
        {"question": "Why?", "answer": "So."},
    ]
    return glan


def saved(glan: GLAN, folder: Path) -> Path:
    path = folder / "program.json"
    glan.save(path)
    return path


# --- one path -------------------------------------------------------------------------------------


def test_the_predictors_read_as_the_method() -> None:
    assert [name for name, _ in GLAN().named_predictors()] == PREDICTORS
    assert [
        name for name, _ in GLAN(Settings(draft_first=True, answer_sees="question")).named_predictors()
    ] == PREDICTORS


def is_a_whole_path(path: GLANPrediction) -> None:
    assert isinstance(path, GLANPrediction)
    assert isinstance(path.discipline, Discipline)
    assert isinstance(path.subject, Subject)
    assert isinstance(path.syllabus, Syllabus)
    assert isinstance(path.sample, Sample)
    assert path.subject in path.subjects
    assert path.syllabus.subject_id == path.subject.id
    assert set(path.sample.sessions) <= set(range(len(path.syllabus.sessions)))
    assert path.question.strip()
    assert path.answer.strip()


def test_a_path_with_the_rehearsal_model_has_everything() -> None:
    with dspy.context(adapter=CompactAdapter()):
        path = GLAN(REHEARSAL).connect(connect(REHEARSAL))(discipline="Optics")
    is_a_whole_path(path)
    assert path.discipline == Discipline(name="Optics")
    assert len(path.subjects) == REHEARSAL.max_number_of_subjects
    assert len(path.syllabus.sessions) <= REHEARSAL.max_number_of_session_name


def test_a_path_under_dspys_own_adapter_has_everything_too() -> None:
    is_a_whole_path(GLAN(REHEARSAL).connect(connect(REHEARSAL))(discipline="Optics"))


def test_the_same_seed_walks_the_same_path_and_the_model_says_the_same() -> None:
    glan = GLAN(REHEARSAL).connect(connect(REHEARSAL))
    with dspy.context(adapter=CompactAdapter()):
        first, again, other = (glan(discipline="Optics", seed=seed) for seed in (3, 3, 4))
    assert dict(first) == dict(again)
    assert first.sample != other.sample or first.subject != other.subject


def test_over_the_seeds_both_strategies_are_walked() -> None:
    glan = GLAN(REHEARSAL).connect(connect(REHEARSAL))
    with dspy.context(adapter=CompactAdapter()):
        assert {glan(discipline="Optics", seed=seed).sample.strategy for seed in range(12)} == {"single", "double"}


def test_the_language_asked_for_is_that_of_the_question_and_not_of_the_curriculum() -> None:
    engine = Scripted([json.dumps(SAID[0]), json.dumps(SAID[1]), "Pourquoi ?", "Parce que."])
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()):
        GLAN()(discipline="Optics", language="French")
    assert [engine.user(i).splitlines()[0] for i in range(4)] == [
        "Language: English",
        "Language: English",
        "Language: French",
        "Language: French",
    ]


def test_a_path_with_dspys_dummy_is_what_the_dummy_said() -> None:
    for adapter in (CompactAdapter(), dspy.ChatAdapter()):
        with dspy.context(lm=DummyLM(SAID, adapter=adapter), adapter=adapter):
            path = GLAN()(discipline="Optics")
        is_a_whole_path(path)
        assert (path.question, path.answer) == ("Why is a soap film colourful?", "Because of interference.")
        assert path.subject.level == 200


def test_awaiting_is_the_same_as_calling() -> None:
    glan = GLAN(REHEARSAL).connect(connect(REHEARSAL))
    with dspy.context(adapter=CompactAdapter()):
        assert dict(asyncio.run(glan.acall(discipline="Optics"))) == dict(glan(discipline="Optics"))


def test_calling_works_where_an_event_loop_is_running() -> None:
    async def notebook_cell() -> GLANPrediction:
        with dspy.context(adapter=CompactAdapter()):
            path: GLANPrediction = GLAN(REHEARSAL).connect(connect(REHEARSAL))(discipline="Optics")
        return path

    is_a_whole_path(asyncio.run(notebook_cell()))


def test_in_the_papers_way_drafts_come_first() -> None:
    subjects, syllabus, question, _ = SAID
    engine = Scripted(
        ["1. Wave optics", json.dumps(subjects), "Session 1", json.dumps(syllabus), question["question"], "So."]
    )
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()):
        is_a_whole_path(GLAN(Settings(draft_first=True, answer_sees="question"))(discipline="Optics"))
    assert len(engine.requests) == 6
    assert engine.user(5) == "Question: Why is a soap film colourful?"


def test_each_stage_asks_the_model_of_its_own() -> None:
    curriculum = Scripted([json.dumps(SAID[0]), json.dumps(SAID[1])])
    question, answer = Scripted(["Why?"]), Scripted(["So."])
    settings = Settings(
        curriculum_temperature=0.9, question_temperature=1.1, answer_temperature=0.2, answer_max_tokens=7
    )
    glan = GLAN(settings)
    for stage in (glan.taxonomy, glan.subjects, glan.syllabus):
        stage.set_lm(curriculum.lm)
    glan.question.set_lm(question.lm)
    glan.answer.set_lm(answer.lm)
    with dspy.context(adapter=CompactAdapter()):
        glan(discipline="Optics")
    configs = [request.config for engine in (curriculum, question, answer) for request in engine.requests]
    assert [(config.temperature, config.max_tokens) for config in configs] == [
        (0.9, settings.curriculum_max_tokens),
        (0.9, settings.curriculum_max_tokens),
        (1.1, settings.question_max_tokens),
        (0.2, 7),
    ]


def test_a_bad_reply_on_the_way_is_raised() -> None:
    engine = Scripted([json.dumps(SAID[0]), reply(json.dumps(SAID[1]), finish="length")])
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()), pytest.raises(BadReply, match="truncated"):
        GLAN()(discipline="Optics")


def test_a_syllabus_of_blanks_is_a_bad_reply() -> None:
    blank = {"introduction": "", "sessions": [{"name": " ", "description": "", "key_concepts": ["a"]}]}
    engine = Scripted([json.dumps(SAID[0]), json.dumps(blank)])
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()), pytest.raises(BadReply, match="wrong_shape"):
        GLAN()(discipline="Optics")


# --- state ----------------------------------------------------------------------------------------


def test_saving_and_loading_keeps_instructions_and_demos(tmp_path: Path) -> None:
    loaded = GLAN()
    loaded.load(saved(compiled(), tmp_path))
    assert loaded.question.write.signature.instructions == "Frage auf Deutsch, mit »Anführung«.\n\n- kurz"
    assert loaded.answer.write.demos[0]["answer"] == "$\\theta$"
    assert loaded.state() == compiled().state()
    assert loaded.digest == compiled().digest


def test_a_loaded_program_prompts_as_the_one_saved(tmp_path: Path) -> None:
    prompts = []
    for glan in (compiled(), open_program(Settings(program=str(saved(compiled(), tmp_path))))):
        engine = Scripted([json.dumps(SAID[0]), json.dumps(SAID[1]), "Why?", "So."])
        with dspy.context(lm=engine.lm, adapter=CompactAdapter()):
            glan(discipline="Optics")
        prompts.append([(request.system, request.messages) for request in engine.requests])
    assert prompts[0] == prompts[1]
    assert "왜?" in str(prompts[0][3])


def test_one_compiled_state_fits_every_recipe(tmp_path: Path) -> None:
    path = saved(compiled(), tmp_path)
    paper = GLAN(Settings(draft_first=True, answer_sees="question", num_subject_queries=10))
    paper.load(path)
    assert paper.digest == compiled().digest


def test_a_state_names_no_model_and_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    settings = Settings(extra_header=("X-Token: sk-from-a-header",), base_url="http://localhost:9/v1")
    models = connect(settings)
    glan = compiled().connect(models)
    glan.answer.set_lm(dspy.LM("openai/gpt-4o", api_key="sk-of-an-lm", extra_headers={"X-Key": "sk-of-a-header"}))
    text = saved(glan, tmp_path).read_text(encoding="utf-8")
    assert "sk-" not in text
    assert "gpt-4o" not in text
    assert all(predictor["lm"] is None for predictor in glan.state().values())
    assert glan.question.write.lm is models.question, "the program itself keeps its models"


def test_the_digest_follows_prompts_and_demos_and_nothing_else() -> None:
    plain = GLAN().digest
    assert plain == GLAN(Settings(language="German", seed=9, draft_first=True)).digest
    assert plain == GLAN().connect(connect(REHEARSAL)).digest
    instructed, shown = GLAN(), GLAN()
    write = instructed.answer.write
    write.signature = write.signature.with_instructions("Answer.")
    shown.answer.write.demos = [{"question": "Why?", "answer": "So."}]
    assert len({plain, instructed.digest, shown.digest, compiled().digest}) == 4


def test_the_digest_follows_a_fields_description() -> None:
    described = GLAN()
    write = described.answer.write
    write.signature = write.signature.with_updated_fields("question", desc="as a student put it")
    assert described.digest != GLAN().digest


def test_running_a_program_does_not_change_its_digest() -> None:
    glan = GLAN(REHEARSAL).connect(connect(REHEARSAL))
    before = glan.digest
    glan(discipline="Optics")
    assert glan.digest == before


def test_a_state_that_dspy_saved_itself_loads(tmp_path: Path) -> None:
    path = tmp_path / "dspy.json"
    dspy.Module.save(compiled(), path)
    loaded = GLAN()
    loaded.load(path)
    assert loaded.digest == compiled().digest


def rewritten(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A saved program, changed by hand."""
    path = saved(compiled(), folder)
    state = json.loads(path.read_text(encoding="utf-8"))
    change(state)
    path.write_text(json.dumps(state), encoding="utf-8")
    return path


def reorder(state: dict[str, Any]) -> None:
    state["glan"]["fields"]["question.write"].reverse()


def drop_a_field(state: dict[str, Any]) -> None:
    del state["glan"]
    state["question.write"]["signature"]["fields"].pop()


def refused(path: Path) -> str:
    glan = GLAN()
    with pytest.raises(UserError) as caught:
        glan.load(path)
    assert glan.digest == GLAN().digest, "a refused file changes nothing"
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_fields_in_another_order_are_refused(tmp_path: Path) -> None:
    assert "question.write" in refused(rewritten(tmp_path, reorder))


def test_another_number_of_fields_is_refused(tmp_path: Path) -> None:
    assert "question.write" in refused(rewritten(tmp_path, drop_a_field))


def test_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    dspy.ChainOfThought("question -> answer").save(path)
    assert "taxonomy.design" in refused(path)


@pytest.mark.parametrize("text", ["", "{", "not json", "\ufeff", "[1, 2]", '"text"', "null", "3", '{"a": 1}', "{}"])
def test_what_is_no_program_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    refused(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(pickle.dumps({"a": 1}))
    refused(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "missing.json")
    refused(tmp_path)


def drop(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        for key in keys[:-1]:
            state = state[key]
        del state[keys[-1]]

    return change


def put(value: Any, *keys: str) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("answer.write", "demos"),
        drop("answer.write", "signature", "instructions"),
        put([], "answer.write", "signature"),
        put(None, "answer.write", "signature"),
        put([], "glan", "fields"),
        put(7, "answer.write", "demos"),
    ],
    ids=["no demos", "no instructions", "signature a list", "signature null", "fields a list", "demos a number"],
)
def test_a_damaged_program_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    refused(rewritten(tmp_path, change))


def test_a_model_written_into_a_program_by_hand_is_not_taken(tmp_path: Path) -> None:
    path = rewritten(tmp_path, put({"model": "openai/gpt-4o", "api_base": "http://elsewhere"}, "answer.write", "lm"))
    glan = GLAN()
    glan.load(path)
    assert glan.answer.write.lm is None


def test_a_program_with_its_models_can_be_copied() -> None:
    glan = compiled().connect(connect(REHEARSAL))
    for twin in (glan.deepcopy(), copy.deepcopy(glan)):
        assert twin.digest == glan.digest
        twin.answer.write.demos.clear()
        assert len(glan.answer.write.demos) == 2
        with dspy.context(adapter=CompactAdapter()):
            is_a_whole_path(twin(discipline="Optics"))


# --- optimizers -----------------------------------------------------------------------------------


class Teacher:
    """Answers well whatever it is asked."""

    async def complete(self, request: Request) -> Response:
        return reply(f"Right: {(request.messages[-1].text or '').splitlines()[-1]}")


def test_bootstrapping_the_answer_stage_gives_demos_that_are_used() -> None:
    trainset = [dspy.Example(question=f"q{i}", subject="Optics", level=200).with_inputs("question") for i in range(4)]
    trainset = [example.with_inputs("question", "subject", "level") for example in trainset]

    def right(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> bool:
        return bool(prediction.answer == f"Right: Question: {example.question}")

    with dspy.context(lm=language_model("teacher", Teacher()), adapter=CompactAdapter()):
        optimizer = BootstrapFewShot(metric=right, max_bootstrapped_demos=2, max_labeled_demos=0)
        better = optimizer.compile(AnswerWriter(), trainset=trainset)
    assert [demo["question"] for demo in better.write.demos] == ["q0", "q1"]
    engine = Scripted(["So."])
    with dspy.context(lm=engine.lm, adapter=CompactAdapter()):
        better(question="new?", subject="Optics", level=300)
    assert "Right: Question: q0" in str(engine.requests[0].messages)


def test_a_subject_in_the_path_is_the_record_a_run_would_make() -> None:
    with dspy.context(lm=DummyLM(SAID, adapter=CompactAdapter()), adapter=CompactAdapter()):
        path = GLAN()(discipline="Optics")
    outline = SAID[0]["subjects"][0]
    [made] = merge_subjects(Discipline(name="Optics"), [(outline["name"], 200, outline["subtopics"])], 2, 5)
    assert path.subject == made
