"""What the pairs of a run cover: on runs whose figures can be counted by hand."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.records import ClassSession, Discipline, Instruction, Question, Rejected, Subject, Syllabus
from glan_dspy.run.about import VERSION
from glan_dspy.run.coverage import coverage
from glan_dspy.run.generate import generate
from glan_dspy.run.store import Run, Shelf
from glan_dspy.run.variety import Novelty, Phrases, distinct
from glan_dspy.settings import Settings

WAVES = Syllabus(
    id="waves",
    subject_id="w",
    sessions=(
        ClassSession(name="Waves", key_concepts=("phase", "speed")),
        ClassSession(name="Light", key_concepts=("phase", "colour")),
    ),
)


def make(folder: Path, *names: str) -> tuple[Run, list[Shelf]]:
    """A run of these disciplines with nothing in it, and their shelves."""
    run, listed = Run(folder / "run"), [Discipline(name=name) for name in names]
    run.write_about(
        {
            "version": VERSION,
            "kind": "generate",
            "created": 0,
            "settings": Settings().model_dump(mode="json"),
            "disciplines": [discipline.model_dump() for discipline in listed],
        }
    )
    return run, [run.shelf(discipline) for discipline in listed]


def put(shelf: Shelf, name: str, *items: Any) -> None:
    shelf.append(name, *items)
    shelf.close()


def pair(id: str, **fields: Any) -> Instruction:
    told = {"question": f"What is {id}?", "answer": "That.", "subject": "s", "level": 100, "answer_model": "none"}
    return Instruction(**{"id": id, **told, **fields})


def asked(id: str, **fields: Any) -> Question:
    return Question(**{"id": id, "question": f"What is {id}?", "subject": "s", "level": 100, **fields})


def test_a_run_without_pairs_has_none_where_there_is_nothing_to_count(tmp_path: Path) -> None:
    found = coverage(make(tmp_path, "Optics")[0])
    assert found["pairs"] == 0 and found["sessions"] == {"used": 0, "of": 0, "share": None}
    assert found["evenness"] == {"disciplines": None, "levels": None} and found["levels"] == {}
    assert found["distinct"] == {"pairs": 0, "questions": [None] * 3, "answers": [None] * 3}
    assert found["near_duplicates"] == {"share": None, "disciplines": {}}
    assert found["new_phrases"] == {"first_tenth": None, "last_tenth": None, "questions": 0}


def test_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        coverage(Run(tmp_path))


def test_a_concept_of_two_sessions_is_one_and_what_no_syllabus_has_is_not_used(tmp_path: Path) -> None:
    run, (optics,) = make(tmp_path, "Optics")
    put(optics, "syllabi", WAVES)
    first = pair("a", syllabus_id="waves", sessions=("Waves",), key_concepts=("phase",))
    second = pair("b", syllabus_id="waves", sessions=("Waves", "Gone"), key_concepts=("speed", "gone"))
    other = pair("c", syllabus_id="other", sessions=("Light",), key_concepts=("colour",))
    put(optics, "instructions", first, second, other)
    found = coverage(run)
    assert found["sessions"] == {"used": 1, "of": 2, "share": 0.5}
    assert found["key_concepts"] == {"used": 2, "of": 3, "share": 0.6667}


def test_curated_pairs_the_test_set_and_a_second_line_of_an_id_do_not_count(tmp_path: Path) -> None:
    run, (optics,) = make(tmp_path, "Optics")
    put(optics, "syllabi", WAVES)
    put(optics, "instructions", pair("a", strategy="single"), pair("a", strategy="double"))
    put(optics, "instructions", pair("b", strategy="double", syllabus_id="waves", sessions=("Light",)))
    put(optics, "holdout", pair("c", strategy="double", syllabus_id="waves", sessions=("Waves",)))
    put(optics, "decisions", {"id": "b", "decision": "dropped", "reason": "contaminated"})
    found = coverage(run)
    assert (found["pairs"], found["strategies"], found["sessions"]["used"]) == (1, {"single": 1.0}, 0)


def test_evenness_is_one_for_equal_shares_and_falls_with_the_unequal_and_the_missing(tmp_path: Path) -> None:
    run, (optics, dance) = make(tmp_path, "Optics", "Dance")
    put(optics, "instructions", pair("a", level=100), pair("b", level=250))
    put(dance, "instructions", pair("c", level=210), pair("d", level=100))
    assert coverage(run)["evenness"] == {"disciplines": 1.0, "levels": 1.0}
    assert coverage(run)["levels"] == {"100": 0.5, "200": 0.5}
    put(dance, "subjects", Subject(id="s", discipline="Dance", name="Ballet", level=300, subtopics=()))
    put(optics, "instructions", pair("e"), pair("f"))
    found = coverage(run)
    assert found["levels"] == {"100": 0.6667, "200": 0.3333, "300": 0.0}
    assert found["evenness"] == {"disciplines": 0.9183, "levels": 0.5794}


def test_a_discipline_with_all_the_pairs_has_no_evenness(tmp_path: Path) -> None:
    run, (optics, _) = make(tmp_path, "Optics", "Dance")
    put(optics, "instructions", pair("a", level="graduate"))
    found = coverage(run)
    assert found["evenness"] == {"disciplines": 0.0, "levels": None} and found["levels"] == {"graduate": 1.0}


def test_duplicates_are_counted_against_all_questions_of_their_discipline(tmp_path: Path) -> None:
    run, (optics, dance) = make(tmp_path, "Optics", "Dance")
    put(optics, "questions", *(asked(id) for id in "abcdef"))
    put(optics, "instructions", pair("a"), pair("b"))
    put(optics, "decisions", {"id": "b", "decision": "dropped", "reason": "near_duplicate"})
    fell = [("a", "duplicate"), ("c", "near_duplicate"), ("d", "leak"), ("e", "duplicate"), ("e", "leak")]
    put(optics, "rejected", *(Rejected(id=id, stage="question", reason=reason) for id, reason in fell))
    put(optics, "rejected", Rejected(id="waves", stage="syllabus", reason="duplicate"))
    put(dance, "instructions", pair("x"))
    put(dance, "rejected", Rejected(id="y", stage="question", reason="duplicate"))
    found = coverage(run)["near_duplicates"]
    assert found == {"share": 0.375, "disciplines": {"Optics": 0.3333, "Dance": 0.5}}  # b and c of 6, y of 2


def test_a_model_that_repeats_itself_brings_fewer_new_phrases_in_the_last_tenth(tmp_path: Path) -> None:
    run, (optics, dance) = make(tmp_path, "Optics", "Dance")
    fresh = [pair(f"o{n}", question=" ".join(chr(97 + at) + "x" * n for at in range(10))) for n in range(40)]
    put(optics, "instructions", *fresh)
    found = coverage(run)["new_phrases"]
    assert found == {"first_tenth": 1.0, "last_tenth": 1.0, "questions": 40}
    put(dance, "instructions", *(pair(f"d{n}", question=fresh[n % 10].question) for n in range(40)))
    found = coverage(run)["new_phrases"]
    assert found == {"first_tenth": 1.0, "last_tenth": 0.5, "questions": 80}


def test_new_phrases_are_not_told_of_disciplines_with_few_questions(tmp_path: Path) -> None:
    run, (optics,) = make(tmp_path, "Optics")
    put(optics, "instructions", *(pair(f"o{n}") for n in range(9)))
    assert coverage(run)["new_phrases"]["questions"] == 0


def test_distinct_tells_repeated_words_from_new_ones_in_any_script(tmp_path: Path) -> None:
    assert distinct(["a rose is a rose".split()], 1) == 0.6
    assert distinct([["光"] * 4, ["光"] * 4], 3) == 0.25
    run, (optics,) = make(tmp_path, "Optics")
    put(optics, "instructions", pair("a", question="光是什么", answer="光光光光"))
    assert coverage(run)["distinct"] == {"pairs": 1, "questions": [1.0] * 3, "answers": [0.25, 0.3333, 0.5]}


def test_a_torn_last_line_and_lines_of_another_shape_are_passed_over(tmp_path: Path) -> None:
    run, (optics,) = make(tmp_path, "Optics")
    put(optics, "instructions", pair("a"), {"id": "b"}, {"id": 7, "question": None})
    odd = {"id": "c", "question": "?", "answer": "!", "level": [1], "sessions": "all", "key_concepts": [1, None]}
    put(optics, "instructions", odd)
    put(optics, "rejected", {"stage": "question"}, {"id": [], "stage": "question"})
    with (optics.path / "instructions.jsonl").open("ab") as file:
        file.write(b'{"id":"d","question":"torn')
    assert coverage(run)["pairs"] == 2


def test_the_figures_of_a_simulated_run_are_equal_at_any_order_of_disciplines(tmp_path: Path) -> None:
    few = Settings(model_name="rehearsal?duplicate=0.2", language="English", max_number_of_subjects=2)
    first, second = Discipline(name="Optics"), Discipline(name="Dance")
    generate(Run(tmp_path / "a"), few, [first, second])
    generate(Run(tmp_path / "b"), few.model_copy(update={"question_batch_size": 1}), [second, first])
    one, other = coverage(Run(tmp_path / "a")), coverage(Run(tmp_path / "b"))
    for order in (one, other):
        order.pop("new_phrases")  # of the order in which the questions came
    assert one == other
    assert one["sessions"]["of"] == 12 and 0 < one["sessions"]["share"] <= 1
    assert one["near_duplicates"]["share"] > 0


PHRASES = st.lists(st.lists(st.sampled_from("abcd"), max_size=12), max_size=30)


@given(PHRASES)
def test_new_phrases_are_those_that_no_earlier_text_has(texts: list[list[str]]) -> None:
    phrases, seen = Phrases(), set[tuple[str, ...]]()
    for text in texts:
        expected = set(zip(text, text[1:], text[2:], strict=False))
        assert phrases.add(text) == (len(expected - seen), len(expected))
        seen |= expected


def test_of_very_many_phrases_a_part_tells_about_the_same_share() -> None:
    thinned, all = Phrases(most=2_000), Phrases()
    rng = Random(1)
    texts = [rng.choices("abcdefghijklmnopqrstuvwxyzäöüß", k=60) for _ in range(900)]
    shares = []
    for phrases in (thinned, all):
        found = [phrases.add(text) for text in texts][-300:]
        shares.append(sum(new for new, _ in found) / sum(count for _, count in found))
    assert 0.1 < shares[1] < 0.9 and shares[0] == pytest.approx(shares[1], abs=0.05)


@given(st.lists(st.text(), max_size=40))
def test_any_text_can_be_measured(questions: list[str]) -> None:
    novelty = Novelty()
    for question in questions:
        novelty.add(question)
    novelty.close()
    assert novelty.questions in (0, len(questions))
