"""The built-in set is balanced and sound; a file of one's own is told what is wrong with it, row by row."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.optimize.parts_pair import same_language
from glan_dspy.optimize.rows import Row, check_rows, example_of, load_rows
from glan_dspy.outline import read_outline
from glan_dspy.records import question_id, subject_id, syllabus_id

ROOT = Path(__file__).parents[2]
FILE = ROOT / "optimize" / "valsets" / "curriculum.jsonl"


def all_rows() -> list[Row]:
    return [row for rows in load_rows() for row in rows]


def raw(**changed: Any) -> dict[str, Any]:
    row = {
        "split": "train",
        "field": "Academic-Natural Science",
        "discipline": "Optics",
        "subject": {"name": "Wave Optics", "level": 300, "subtopics": ["interference"]},
        "syllabus": {
            "sessions": [
                {"name": "Films", "key_concepts": ["path", "phase"]},
                {"name": "Slits", "key_concepts": ["slit"]},
            ]
        },
        "sample": {"strategy": "single", "sessions": [0], "concepts": [["path", "phase"]]},
    }
    return {**row, **changed}


def other(split: str, discipline: str) -> dict[str, Any]:
    return raw(split=split, discipline=discipline)


def written(folder: Path, *rows: Any) -> Path:
    """A file of these rows, with two more so that no split is empty."""
    path = folder / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in (*rows, other("val", "A"), other("test", "B"))]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


# --- the built-in set ----------------------------------------------------------------------------


def test_there_are_forty_rows_in_each_split() -> None:
    assert [len(rows) for rows in load_rows()] == [40, 40, 40]


def test_every_split_has_five_rows_of_every_field() -> None:
    fields = {discipline.field for discipline in read_outline(ROOT / "disciplines.txt")}
    assert len(fields) == 8
    for rows in load_rows():
        assert Counter(row.field for row in rows) == dict.fromkeys(fields, 5)


def test_every_level_is_in_every_split_and_in_every_field() -> None:
    levels = set(range(100, 1000, 100))
    for rows in load_rows():
        assert {row.subject.level for row in rows} == levels
    for field in {row.field for row in all_rows()}:
        assert {row.subject.level for row in all_rows() if row.field == field} == levels


def test_no_discipline_lies_in_two_splits() -> None:
    train, val, test = ({row.discipline for row in rows} for rows in load_rows())
    assert not train & val and not train & test and not val & test


def test_disciplines_stand_under_their_fields_in_the_outline() -> None:
    listed = {(discipline.field, discipline.name) for discipline in read_outline(ROOT / "disciplines.txt")}
    assert {(row.field, row.discipline) for row in all_rows()} <= listed


def test_singles_and_doubles_are_equally_many_in_each_split() -> None:
    for rows in load_rows():
        assert Counter(row.sample.strategy for row in rows) == {"single": 20, "double": 20}


def test_every_syllabus_has_three_sessions_of_three_or_four_concepts_none_of_them_twice() -> None:
    for row in all_rows():
        concepts = [concept for session in row.syllabus.sessions for concept in session.key_concepts]
        assert len(row.syllabus.sessions) == 3 and len(set(concepts)) == len(concepts)
        assert all(3 <= len(session.key_concepts) <= 4 for session in row.syllabus.sessions)


def test_no_subject_comes_twice_and_every_row_asks_for_at_least_two_concepts() -> None:
    rows = all_rows()
    assert len({row.subject.name for row in rows}) == len(rows)
    assert all(2 <= len(row.sample.key_concepts) <= 5 for row in rows)


def test_ids_are_those_of_the_records() -> None:
    for row in all_rows():
        assert row.syllabus.id == syllabus_id(row.subject.id) and row.id == question_id(row.syllabus, row.sample)


def test_every_row_is_in_english() -> None:
    assert all(same_language(row.subject, row.syllabus, "English") for row in all_rows())


def test_the_built_in_file_is_without_a_problem() -> None:
    assert check_rows(FILE) == [] and load_rows(FILE) == load_rows()


def test_an_example_has_five_inputs_and_the_rows_id() -> None:
    row = load_rows().val[0]
    example = example_of(row, "Swahili")
    assert set(example.inputs().keys()) == {"subject", "syllabus", "sample", "language", "discipline"}
    assert example.id == row.id and example.language == "Swahili" and example.subject == row.subject


# --- a file of one's own ----------------------------------------------------------------------------


def test_ids_may_be_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, raw())
    assert check_rows(path) == []
    row = load_rows(path).train[0]
    assert row.id == question_id(row.syllabus, row.sample) and len(row.subject.id) == 20


WRONG = {
    "row 1: sample: session 5 is not in its syllabus (it has 2)": raw(
        sample={"strategy": "single", "sessions": [5], "concepts": [["path"]]}
    ),
    "row 1: sample: concept 'slit' is not in session 0 (path; phase)": raw(
        sample={"strategy": "single", "sessions": [0], "concepts": [["slit"]]}
    ),
    "row 1: sample: strategy 'double' takes 2 sessions, not 1": raw(
        sample={"strategy": "double", "sessions": [0], "concepts": [["path"]]}
    ),
    "row 1: sample: sessions [1, 0] are not ascending": raw(
        sample={"strategy": "double", "sessions": [1, 0], "concepts": [["slit"], ["path"]]}
    ),
    "row 1: sample: has 1 sessions and 0 lists of concepts": raw(
        sample={"strategy": "single", "sessions": [0], "concepts": []}
    ),
    "row 1: sample: session 0 is asked about without a concept": raw(
        sample={"strategy": "single", "sessions": [0], "concepts": [[]]}
    ),
    "row 1: sample: has 6 concepts, at most 5 are allowed": raw(
        sample={"strategy": "single", "sessions": [0], "concepts": [["path", "phase"] * 3]}
    ),
    "row 1: subject: level 1000 is outside 100-900": raw(
        subject={"name": "Wave Optics", "level": 1000, "subtopics": ["interference"]}
    ),
    "row 1: subject: name is empty": raw(subject={"name": " ", "level": 100, "subtopics": ["x"]}),
    "row 1: subject: has no subtopics": raw(subject={"name": "Waves", "level": 100, "subtopics": []}),
    "row 1: discipline: is empty": raw(discipline=""),
    "row 1: split: Input should be 'train', 'val' or 'test'": raw(split="dev"),
    "row 1: syllabus.sessions.0.name: Field required": raw(syllabus={"sessions": [{"key_concepts": ["path"]}]}),
    "row 1: syllabus: two of its sessions have one name": raw(
        syllabus={
            "sessions": [
                {"name": "Films", "key_concepts": ["path", "phase"]},
                {"name": "films ", "key_concepts": ["x"]},
            ]
        }
    ),
    "row 1: syllabus: session 1 has no key concepts, or an empty one": raw(
        syllabus={
            "sessions": [{"name": "Films", "key_concepts": ["path", "phase"]}, {"name": "Slits", "key_concepts": []}]
        }
    ),
    "row 1: row: Input should be a valid dictionary or instance of Row": [1, 2],
}


@pytest.mark.parametrize(("problem", "row"), WRONG.items(), ids=WRONG.keys())
def test_a_wrong_row_is_named_with_what_is_wrong(tmp_path: Path, problem: str, row: Any) -> None:
    assert problem in check_rows(written(tmp_path, row))


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    (problem,) = [one for one in check_rows(written(tmp_path, raw(), "{oops")) if "JSON" in one]
    assert problem.startswith("row 2: is not JSON")


def test_a_wrong_id_is_named_with_the_right_one(tmp_path: Path) -> None:
    (problem,) = check_rows(written(tmp_path, raw(id="f" * 20)))
    assert problem.startswith("row 1: id: 'ffffffffffffffffffff' is not that of its syllabus and sample, '")


def test_one_row_twice_and_a_discipline_in_two_splits_are_named(tmp_path: Path) -> None:
    problems = check_rows(written(tmp_path, raw(), raw(), other("test", "optics")))
    assert "row 2: asks for the same question as row 1" in problems
    assert any(one.startswith("row 3: split: 'optics' is in train at row 1 and here in test") for one in problems)


def test_a_split_without_rows_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(raw()), "utf-8")
    assert check_rows(path) == ["no row: split: val has no rows", "no row: split: test has no rows"]


def test_blank_lines_and_a_byte_order_mark_are_no_problem(tmp_path: Path) -> None:
    path = written(tmp_path, raw())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert check_rows(path) == []


def test_loading_a_wrong_file_is_a_users_error_with_its_first_problem(tmp_path: Path) -> None:
    path = written(tmp_path, raw(split="dev"), raw(discipline=""))
    with pytest.raises(UserError, match=r"row 1: split: .* \(and \d more\); mend the file, or leave --valset out"):
        load_rows(path)


def test_a_missing_file_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the validation set"):
        check_rows(tmp_path / "none.jsonl")


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["split", "discipline", "subject", "syllabus", "sample", "name", "level", "id", "sessions"]
                ),
                inner,
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_a_line_holds_the_checker_says_what_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text(json.dumps(value) + "\n", "utf-8")
    assert any(one.startswith("row 1: ") for one in check_rows(path))


def test_a_subjects_id_follows_from_its_discipline(tmp_path: Path) -> None:
    row = load_rows(written(tmp_path, raw())).train[0]
    from glan_dspy.records import Discipline

    assert row.subject.id == subject_id(Discipline(name="Optics"), "Wave Optics")
