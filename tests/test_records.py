"""Ids, folders and merges: what decides that two things are the same one."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from glan_dspy.records import (
    ClassSession,
    Discipline,
    Instruction,
    Question,
    Sample,
    Subject,
    Syllabus,
    digest,
    imported_question_id,
    merge_sessions,
    merge_subjects,
    normalise,
    question_id,
    slug,
    subject_id,
    syllabus_id,
)

OPTICS, PHYSICS = Discipline(name="Optics"), Discipline(name="Physics")


def plan(sessions: list[tuple[str, list[str]]], name: str = "y1") -> Syllabus:
    return Syllabus(
        id=name, subject_id="s1", sessions=tuple(ClassSession(name=n, key_concepts=tuple(c)) for n, c in sessions)
    )


PLAN = plan([("Films", ["phase", "path"]), ("Gratings", ["orders"])])
SINGLE = Sample(strategy="single", sessions=(0,), concepts=(("phase", "path"),))
DOUBLE = Sample(strategy="double", sessions=(0, 1), concepts=(("phase",), ("orders",)))

# --- ids ------------------------------------------------------------------------------------------


def test_the_ids_are_these_for_good() -> None:
    """Runs on disk are found again by them: a change here makes every begun run start anew."""
    assert [
        OPTICS.id,
        subject_id(OPTICS, "Wave Optics"),
        syllabus_id(subject_id(OPTICS, "Wave Optics")),
        question_id(PLAN, SINGLE),
        question_id(PLAN, DOUBLE),
        imported_question_id("Optics", "Wave Optics", "Why?"),
        digest("광학", 1, [["é"]]),
    ] == GOLDEN


GOLDEN = [
    "a9b5fd2d2b83961da82a",
    "581402c3ddb09c85e21f",
    "aad6268ab366b15f6d88",
    "9f227e3507edb98667ca",
    "19a940088c92b8cb3051",
    "619c0b3099463d2516b0",
    "eee6e6b0ad5755da14e4",
]


def test_an_id_is_20_hex_digits() -> None:
    for identity in (OPTICS.id, subject_id(OPTICS, "x"), syllabus_id("x"), question_id(PLAN, SINGLE), digest()):
        assert len(identity) == 20
        assert set(identity) <= set("0123456789abcdef")


def test_the_same_subject_in_two_disciplines_is_two_subjects() -> None:
    assert subject_id(OPTICS, "Waves") != subject_id(PHYSICS, "Waves")


VARIANTS = [
    "wave optics",
    "WAVE OPTICS",
    "  Wave \t Optics\n",
    "Ｗａｖｅ　Ｏｐｔｉｃｓ",
    "Wave\u00a0Optics",
    "ＷAVE optics",
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_case_width_and_spacing_of_a_name_do_not_matter(variant: str) -> None:
    assert subject_id(OPTICS, variant) == subject_id(OPTICS, "Wave Optics")
    assert Discipline(name=variant).id == Discipline(name="Wave Optics").id
    assert normalise(variant) == "wave optics"


def test_composed_and_decomposed_letters_are_the_same_name() -> None:
    assert subject_id(OPTICS, "Ge\u0301ologie") == subject_id(OPTICS, "G\u00e9ologie")
    assert subject_id(OPTICS, "STRASSE") == subject_id(OPTICS, "straße")


def test_other_words_are_other_names() -> None:
    names = ["Wave Optics", "Waves Optics", "WaveOptics", "Wave-Optics", "Optics Wave", "광학", "光学", ""]
    assert len({subject_id(OPTICS, name) for name in names}) == len(names)


def test_the_field_a_discipline_stands_under_does_not_matter() -> None:
    moved = Discipline(name="Optics", field="Industry")
    assert moved.id == OPTICS.id
    assert moved.folder == OPTICS.folder


def test_an_id_does_not_follow_what_a_model_said() -> None:
    said = Question(id="q", question="Why?", subject="Waves", level=100)
    other = said.model_copy(update={"question": "How?", "level": 900, "question_model": "x"})
    assert said.id == other.id
    syllabus = PLAN.model_copy(update={"introduction": "Another introduction."})
    described = plan([("Films", ["phase", "path", "more"]), ("Gratings", ["orders", "more"])])
    assert question_id(syllabus, SINGLE) == question_id(described, SINGLE) == question_id(PLAN, SINGLE)


@pytest.mark.parametrize("levels", [(100, 900)])
def test_a_subjects_id_does_not_follow_its_level(levels: tuple[int, int]) -> None:
    ids = {merge_subjects(OPTICS, [("Waves", level, ["a"])], 5, 5)[0].id for level in levels}
    assert ids == {subject_id(OPTICS, "Waves")}


def test_a_question_is_its_syllabus_strategy_sessions_and_concepts() -> None:
    swapped = Sample(strategy="single", sessions=(0,), concepts=(("path", "phase"),))
    assert question_id(PLAN, swapped) == question_id(PLAN, SINGLE), "the order of concepts is no difference"
    fewer = Sample(strategy="single", sessions=(0,), concepts=(("phase",),))
    other_syllabus = PLAN.model_copy(update={"id": "y2"})
    renamed = plan([("Thin films", ["phase", "path"]), ("Gratings", ["orders"])])
    ids = [
        question_id(PLAN, SINGLE),
        question_id(PLAN, DOUBLE),
        question_id(PLAN, fewer),
        question_id(other_syllabus, SINGLE),
        question_id(renamed, SINGLE),
    ]
    assert len(set(ids)) == 5


def test_which_session_a_concept_comes_from_is_part_of_a_question() -> None:
    both = plan([("A", ["x", "y"]), ("B", ["x", "y"])])
    one = Sample(strategy="double", sessions=(0, 1), concepts=(("x",), ("y",)))
    two = Sample(strategy="double", sessions=(0, 1), concepts=(("y",), ("x",)))
    assert question_id(both, one) != question_id(both, two)
    assert one.key_concepts == ("x", "y")
    assert Sample(strategy="double", sessions=(0, 1), concepts=(("x",), ("x",))).key_concepts == ("x",)


def test_an_imported_question_is_its_own_text() -> None:
    ids = {
        imported_question_id("Optics", "Waves", "Why?"),
        imported_question_id("optics ", "WAVES", "Why?"),
        imported_question_id("Optics", "Waves", "why?"),
        imported_question_id("Physics", "Waves", "Why?"),
        imported_question_id("Optics", "Rays", "Why?"),
    }
    assert len(ids) == 4


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_two_lists_of_parts_have_one_digest_only_if_they_are_equal(one: list[str], two: list[str]) -> None:
    assert (digest(*one) == digest(*two)) == (one == two)


@given(st.text())
def test_every_name_has_an_id(name: str) -> None:
    assert subject_id(OPTICS, name) == subject_id(OPTICS, f"  {name} ")


# --- folders --------------------------------------------------------------------------------------


@given(st.text())
def test_a_slug_is_a_safe_folder_name(name: str) -> None:
    text = slug(name)
    assert text
    assert len(text.encode("utf-8")) <= 60
    assert all(character == "-" or unicodedata.category(character)[0] in "LNM" for character in text)
    assert not text.startswith("-")
    assert not text.endswith("-")


@given(st.text())
def test_a_folder_stays_in_its_root(name: str) -> None:
    root = Path("/run/disciplines")
    folder = Discipline(name=name).folder
    assert (root / folder).resolve().parent == root
    assert (root / folder).name == folder
    assert len(folder.encode()) <= 60 + 1 + 6


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Wave Optics", "wave-optics"),
        ("TCP/IP networks", "tcp-ip-networks"),
        ("../../etc/passwd", "etc-passwd"),
        ("a_b  c..d", "a-b-c-d"),
        ("광학 공학", "광학-공학"),
        ("光学", "光学"),
        ("Géologie", "géologie"),
        ("Оптика", "оптика"),
        ("C:\\Windows", "c-windows"),
        ("", "discipline"),
        ("...", "discipline"),
        ("😀", "discipline"),
        ("x" * 300, "x" * 60),
        ("광" * 100, "광" * 20),
    ],
)
def test_a_slug_reads_as_the_name(name: str, text: str) -> None:
    assert slug(name) == text


@pytest.mark.parametrize("name", ["भौतिकी", "ฟิสิกส์", "இயற்பியல்", "ভৌতবিজ্ঞান", "భౌతికశాస్త్రం"])
def test_a_slug_keeps_the_vowel_signs_of_its_script(name: str) -> None:
    assert slug(name) == name


def test_two_names_with_one_slug_have_two_folders() -> None:
    names = ["C", "C++", "C#", "c?", "C/"]
    assert len({slug(name) for name in names}) == 1
    assert len({Discipline(name=name).folder for name in names}) == len(names)


# --- subjects -------------------------------------------------------------------------------------

outlines = st.lists(
    st.tuples(
        st.sampled_from(["Waves", "waves ", "Rays", "Lasers", "RAYS"]),
        st.integers(100, 900),
        st.lists(st.sampled_from(["a", "A ", "b", "c", " ", ""]), max_size=5),
    ),
    max_size=8,
)


def as_outlines(subjects: tuple[Subject, ...]) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(subject.name, subject.level, subject.subtopics) for subject in subjects]


def test_a_subject_named_twice_is_one_with_the_subtopics_of_both() -> None:
    queries = [
        ("Wave Optics", 200, ["interference", "Diffraction"]),
        ("Lasers", 400, ["gain"]),
        (" wave  OPTICS", 500, ["diffraction ", "coherence"]),
    ]
    waves, lasers = merge_subjects(OPTICS, queries, 5, 5)
    assert waves == Subject(
        id=subject_id(OPTICS, "Wave Optics"),
        discipline="Optics",
        name="Wave Optics",
        level=200,
        subtopics=("interference", "Diffraction", "coherence"),
        place=(0, 2),
    )
    assert (lasers.name, lasers.place) == ("Lasers", (1, 2))


def test_the_bounds_hold_after_the_merge() -> None:
    queries = [("A", 100, ["1", "2"]), ("B", 100, ["1"]), ("a", 300, ["3", "4"]), ("C", 100, ["1"])]
    kept = merge_subjects(OPTICS, queries, max_subjects=2, max_subtopics=3)
    assert as_outlines(kept) == [("A", 100, ("1", "2", "3")), ("B", 100, ("1",))]
    assert [subject.place for subject in kept] == [(0, 2), (1, 2)]


@given(outlines, st.integers(1, 5), st.integers(1, 5))
def test_merging_keeps_order_bounds_and_distinctness(
    queries: list[tuple[str, int, list[str]]], max_subjects: int, max_subtopics: int
) -> None:
    kept = merge_subjects(OPTICS, queries, max_subjects, max_subtopics)
    order = list(dict.fromkeys(normalise(name) for name, _, _ in queries))
    assert [normalise(subject.name) for subject in kept] == order[:max_subjects]
    for subject in kept:
        assert len(subject.subtopics) <= max_subtopics
        assert all(topic.strip() == topic != "" for topic in subject.subtopics)
        assert len(set(map(normalise, subject.subtopics))) == len(subject.subtopics)
    assert [subject.place for subject in kept] == [(i, len(kept)) for i in range(len(kept))]


@given(outlines, st.integers(1, 5), st.integers(1, 5))
def test_merging_what_is_merged_changes_nothing(
    queries: list[tuple[str, int, list[str]]], max_subjects: int, max_subtopics: int
) -> None:
    kept = merge_subjects(OPTICS, queries, max_subjects, max_subtopics)
    assert merge_subjects(OPTICS, as_outlines(kept), max_subjects, max_subtopics) == kept
    assert merge_subjects(OPTICS, as_outlines(kept) * 3, max_subjects, max_subtopics) == kept


@given(outlines)
def test_more_queries_never_reorder_the_subjects_of_the_first(queries: list[tuple[str, int, list[str]]]) -> None:
    names = [subject.name for subject in merge_subjects(OPTICS, queries[:4], 99, 99)]
    assert [subject.name for subject in merge_subjects(OPTICS, queries, 99, 99)][: len(names)] == names


def test_a_subject_without_a_name_is_left_out() -> None:
    assert as_outlines(merge_subjects(OPTICS, [(" ", 100, ["a"]), ("Waves", 100, ["a"])], 5, 5)) == [
        ("Waves", 100, ("a",))
    ]


# --- sessions -------------------------------------------------------------------------------------

sessions = st.lists(
    st.builds(
        ClassSession,
        name=st.sampled_from(["Films", "films ", "Gratings", " ", ""]),
        description=st.sampled_from(["", "d"]),
        key_concepts=st.lists(st.sampled_from(["a", " A", "b", "c", " "]), max_size=4).map(tuple),
    ),
    max_size=8,
).map(tuple)


def test_a_session_named_twice_is_one_with_the_concepts_of_both() -> None:
    merged = merge_sessions(
        [
            ClassSession(name=" Thin films", description="first", key_concepts=("phase", " ", "Path")),
            ClassSession(name="Empty", key_concepts=()),
            ClassSession(name="Blank", key_concepts=(" ", "")),
            ClassSession(name=" ", key_concepts=("lost",)),
            ClassSession(name="Gratings", key_concepts=("orders",)),
            ClassSession(name="thin FILMS", description="second", key_concepts=("path ", "colour")),
        ],
        9,
    )
    assert merged == (
        ClassSession(name="Thin films", description="first", key_concepts=("phase", "Path", "colour")),
        ClassSession(name="Gratings", key_concepts=("orders",)),
    )


def test_empty_sessions_do_not_use_up_the_bound() -> None:
    given_sessions = [ClassSession(name=n, key_concepts=c) for n, c in [("A", ()), ("B", ("b",)), ("C", ("c",))]]
    assert [session.name for session in merge_sessions(given_sessions, 2)] == ["B", "C"]
    assert [session.name for session in merge_sessions(given_sessions, 1)] == ["B"]


@given(sessions, st.integers(1, 4))
def test_merged_sessions_are_distinct_whole_and_stay_so(given_sessions: tuple[ClassSession, ...], most: int) -> None:
    merged = merge_sessions(given_sessions, most)
    assert len(merged) <= most
    assert len({normalise(session.name) for session in merged}) == len(merged)
    for session in merged:
        assert session.name == session.name.strip() != ""
        assert session.key_concepts
        assert len(set(map(normalise, session.key_concepts))) == len(session.key_concepts)
        assert all(concept.strip() == concept != "" for concept in session.key_concepts)
    assert merge_sessions(merged, most) == merged
    assert merge_sessions([*merged, *merged], most) == merged


VARIANTS = ["a b", "A  b", "a\tB", "a\u3000b", " a b", "a\0b", "É", "e\u0301", "ﬁ", "FI", " ", ""]
names = st.sampled_from(VARIANTS) | st.text(max_size=8)


@example(["a b", "A  b"])
@example(["a b", "a\tB"])
@given(st.lists(names, min_size=1, max_size=6))
def test_what_counts_as_one_name_is_what_normalise_says(given_names: list[str]) -> None:
    whole = [name.strip() for name in given_names if name.strip()]
    distinct = list({normalise(name): name for name in reversed(whole)}.values())
    merged = merge_sessions([ClassSession(name="Films", key_concepts=tuple(given_names))], 9)
    assert sorted(merged[0].key_concepts if merged else ()) == sorted(distinct)
    merged = merge_sessions([ClassSession(name=name, key_concepts=("phase",)) for name in given_names], 9)
    assert sorted(session.name for session in merged) == sorted(distinct)


# --- what is written ------------------------------------------------------------------------------


def instruction(**more: Any) -> Instruction:
    return Instruction(
        id="q1",
        question="Why?",
        answer="So.",
        discipline="Optics",
        subject="Waves",
        level=200,
        subtopics=("a",),
        sessions=("Films",),
        key_concepts=("phase",),
        strategy="single",
        language="Korean",
        question_model="m1",
        answer_model="m2",
        **more,
    )


def test_an_instruction_is_written_with_the_pair_first() -> None:
    dumped = instruction().model_dump()
    assert list(dumped)[:3] == ["id", "question", "answer"]
    assert list(json.loads(instruction().model_dump_json())) == list(dumped)
    assert set(dumped) >= {
        *("id question answer discipline subject level subtopics sessions key_concepts strategy language".split()),
        *("question_model answer_model".split()),
    }


def test_an_instruction_written_is_read_back() -> None:
    made = instruction(reasoning="I thought.", answer_call="c1", simulated=True)
    assert Instruction.model_validate_json(made.model_dump_json()) == made
    assert Instruction.model_validate(made.model_dump()) == made


def test_a_record_of_another_version_is_read_without_what_is_unknown() -> None:
    newer = instruction().model_dump() | {"shoe_size": 43}
    assert Instruction.model_validate(newer) == instruction()


def test_a_level_keeps_the_type_it_was_given() -> None:
    for level in (200, "200", "graduate"):
        question = Question(id="q", question="Why?", subject="Waves", level=level)
        assert Question.model_validate_json(question.model_dump_json()).level == level


@pytest.mark.parametrize("record", [OPTICS, PLAN, PLAN.sessions[0], SINGLE, instruction()])
def test_records_are_frozen_and_hashable(record: Any) -> None:
    field = next(iter(type(record).model_fields))
    with pytest.raises(ValidationError):
        setattr(record, field, "other")
    assert hash(record) == hash(record.model_copy(deep=True))
