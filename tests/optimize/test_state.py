"""The file of a tuned program: GLAN takes it, it says what made it, and it is put in place whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from glan_dspy.optimize.compare import Difference
from glan_dspy.optimize.models import Names
from glan_dspy.optimize.state import diffs_of, is_better, save_tuned
from glan_dspy.optimize.writer import PairWriter, tuned_into
from glan_dspy.program import GLAN, misfits, open_program
from glan_dspy.settings import Settings
from tests.optimize.workshop import School, carried_out, few, order

SETTINGS = Settings(language="Vietnamese", model_name="pupil")


def program_in(path: Path, **tuned: Any) -> Path:
    """A file with another question prompt, and a block that says so much."""
    glan = GLAN(SETTINGS)
    predictor = glan.question.write
    predictor.signature = predictor.signature.with_instructions("Ask something hard. Write in Vietnamese only.")
    about = {"language": "Vietnamese", "stages": ["question"], "models": {"task": "pupil"}, **tuned}
    save_tuned(path, glan, about)
    return path


def fitting(path: Path, **settings: Any) -> list[str]:
    chosen = {"language": "Vietnamese", "model_name": "pupil", "program": str(path), **settings}
    return misfits(Settings(**chosen))


def test_the_program_is_taken_by_every_command_that_takes_one(tmp_path: Path) -> None:
    path = program_in(tmp_path / "vi.json")
    glan = open_program(SETTINGS.model_copy(update={"program": str(path)}))
    assert glan.question.write.signature.instructions.startswith("Ask something hard.")
    assert glan.answer.write.signature.instructions == GLAN().answer.write.signature.instructions
    assert glan.digest != GLAN(SETTINGS).digest


def test_the_block_does_not_count_as_a_prompt(tmp_path: Path) -> None:
    one, two = program_in(tmp_path / "one.json"), program_in(tmp_path / "two.json", seed=7)
    digests = {open_program(SETTINGS.model_copy(update={"program": str(path)})).digest for path in (one, two)}
    assert len(digests) == 1


def test_a_file_that_is_being_replaced_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program_in(tmp_path / "vi.json")
    before = path.read_bytes()

    def no_room(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        program_in(path, seed=7)
    assert path.read_bytes() == before


def test_the_file_says_what_made_it_and_names_no_key_path_or_model_object(tmp_path: Path) -> None:
    tuned = carried_out(order(tmp_path / "vi.json", "bootstrap", 6), School(), few(6))
    saved = orjson.loads(tuned.path.read_bytes())
    about = saved["tuned"]
    assert about["language"] == "Vietnamese" and about["stages"] == ["question", "answer"]
    assert about["models"] == {"task": "pupil", "reflection": "reflector", "judge": "examiner"}
    assert about["optimizer"] == "bootstrap" and about["budget"] == 6 and about["seed"] == 0
    assert about["rows"] == {"train": 6, "val": 6, "test": 6}
    assert about["versions"].keys() == {"dspy", "glan_dspy"}
    assert about["simulated"] is False  # the school is none of the project's simulated models
    scores = about["held_out"]
    assert scores["rows"] == 6 and scores["interval"][0] <= scores["difference"] <= scores["interval"][1]
    assert scores["after"] == pytest.approx(scores["before"] + scores["difference"], abs=1e-5)
    assert all(state["lm"] is None for name, state in saved.items() if "." in name)
    assert str(tmp_path) not in tuned.path.read_text(encoding="utf-8")


def test_a_rehearsed_program_says_that_it_is_one(tmp_path: Path) -> None:
    names = Names("rehearsal", "reflector", "examiner")
    tuned = carried_out(order(tmp_path / "vi.json", "bootstrap", 2, names=names), School(), few(2))
    assert orjson.loads(tuned.path.read_bytes())["tuned"]["simulated"] is True


def test_demos_and_prompts_survive_the_file(tmp_path: Path) -> None:
    tuned = carried_out(order(tmp_path / "vi.json", "bootstrap", 6), School(), few(6))
    glan = open_program(SETTINGS.model_copy(update={"program": str(tuned.path)}))
    demos = glan.question.write.demos
    assert demos and all(demo["question"] and demo["language"] == "Vietnamese" for demo in demos)
    assert orjson.loads(tuned.path.read_bytes())["tuned"]["demos"]["question.write"] == len(demos)


def test_a_diff_shows_the_sentence_that_is_new_and_no_line_break_of_the_source() -> None:
    new = GLAN()
    predictor = new.answer.write
    built_in = predictor.signature.instructions
    predictor.signature = predictor.signature.with_instructions(built_in.replace("\n", " ") + " Use SI units.")
    diffs = diffs_of(GLAN(), new)
    assert set(diffs) == {"answer.write"}
    changed = [
        line for line in diffs["answer.write"].splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert changed == ["+Use SI units."]


def test_better_means_that_the_whole_interval_is_above_nothing() -> None:
    assert is_better(Difference(0.2, 0.01, 0.4))
    assert not is_better(Difference(0.2, 0.0, 0.4))
    assert not is_better(Difference(0.2, -0.1, 0.5))


# --- what a program was tuned for -----------------------------------------------------------------


def test_a_program_that_fits_is_used_without_a_word(tmp_path: Path) -> None:
    assert fitting(program_in(tmp_path / "vi.json")) == []
    assert misfits(SETTINGS) == []


def test_another_language_and_another_model_are_told_by_name(tmp_path: Path) -> None:
    told = fitting(program_in(tmp_path / "vi.json"), language="Korean", model_name="gpt-4o")
    assert len(told) == 2
    assert "was tuned for Vietnamese, not for Korean" in told[0]
    assert "was tuned for model 'pupil', not for 'gpt-4o'" in told[1]


def test_the_model_of_a_stage_that_was_not_tuned_may_be_any(tmp_path: Path) -> None:
    assert fitting(program_in(tmp_path / "vi.json"), model_name_for_answer="gpt-4o") == []
    answers = program_in(tmp_path / "answers.json", stages=["answer"])
    assert "not for 'gpt-4o'" in fitting(answers, model_name_for_answer="gpt-4o")[0]


def test_a_curriculum_is_held_beside_the_language_of_curricula(tmp_path: Path) -> None:
    path = program_in(tmp_path / "en.json", stages=["syllabus"], language="English")
    assert fitting(path, language="Korean") == []
    assert "tuned for English, not for Korean" in fitting(path, curriculum_language="Korean")[0]


def test_prompts_of_a_simulated_model_are_told_where_a_real_one_is_asked(tmp_path: Path) -> None:
    path = program_in(tmp_path / "vi.json", simulated=True)
    assert "a simulated model" in fitting(path)[0]
    rehearsed = program_in(tmp_path / "re.json", simulated=True, models={"task": "rehearsal"})
    assert fitting(rehearsed, model_name="rehearsal") == []


def test_what_was_tuned_before_is_still_told_for_the_stages_that_nobody_tuned_again(tmp_path: Path) -> None:
    first = program_in(tmp_path / "first.json", stages=["question", "answer"])
    names = Names("tutor", "reflector", "examiner")
    start = {"program": str(first), "model_name": "tutor"}
    wanted = order(tmp_path / "second.json", "bootstrap", 2, names=names, stages=("answer",), settings=start)
    second = carried_out(wanted, School(), few(2)).path
    told = fitting(second, model_name="other", model_name_for_answer="tutor")
    assert told == [f"program {second} was tuned for model 'pupil', not for 'other'"]
    assert fitting(second, model_name="pupil", model_name_for_answer="tutor") == []


@pytest.mark.parametrize("block", [{}, {"stages": "question"}, {"models": ["pupil"]}, {"language": None}])
def test_a_block_that_somebody_edited_is_no_error(tmp_path: Path, block: dict[str, Any]) -> None:
    path = program_in(tmp_path / "vi.json")
    saved = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps({**saved, "tuned": {**(saved["tuned"] if block else {}), **block}}))
    assert isinstance(fitting(path), list)


def test_only_the_stages_that_are_tuned_have_predictors_to_tune() -> None:
    names = {stages: [name for name, _ in PairWriter(GLAN(), stages).named_predictors()] for stages in
             (("question", "answer"), ("answer",), ("subjects",), ("syllabus",))}  # fmt: skip
    assert names == {
        ("question", "answer"): ["question.write", "answer.write"],
        ("answer",): ["answer.write"],
        ("subjects",): ["subjects.list"],
        ("syllabus",): ["syllabus.design"],
    }
    drafted = PairWriter(GLAN(Settings(draft_first=True)), ("syllabus",))
    assert [name for name, _ in drafted.named_predictors()] == ["syllabus.draft", "syllabus.extract"]


def test_what_a_writer_learned_goes_into_the_program_and_nothing_else() -> None:
    writer, built_in = PairWriter(GLAN(), ("question",)), GLAN()
    predictor = writer.question.write
    predictor.signature = predictor.signature.with_instructions("Ask.")
    glan = tuned_into(GLAN(), writer)
    changed = [
        name
        for name, mine in glan.named_predictors()
        if mine.signature.instructions != dict(built_in.named_predictors())[name].signature.instructions
    ]
    assert changed == ["question.write"]
