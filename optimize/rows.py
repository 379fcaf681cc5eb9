"""Rows to tune prompts on: a subject, its syllabus and a sample of it, in English; no gold question, no gold answer.

A row asks for a pair in whatever language is being tuned, so one set serves all of them. The built-in set has 120
rows over the eight fields and nine levels of the taxonomy, 40 for each split; a discipline lies in one split only.

    {"split": "val", "field": "Academic-Natural Science", "discipline": "Optics",
     "subject": {"name": "Wave Optics", "level": 300, "subtopics": ["interference"]},
     "syllabus": {"sessions": [{"name": "Thin Films", "key_concepts": ["path difference", "coherence length"]}]},
     "sample": {"strategy": "single", "sessions": [0], "concepts": [["path difference"]]}}

Ids follow from what a row asks for (`records.py`), so a file may leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson
from pydantic import ValidationError, model_validator

from glan_dspy.errors import UserError
from glan_dspy.optimize.rows_check import across, problems_in, within
from glan_dspy.records import Discipline, Record, Sample, Subject, Syllabus, question_id, subject_id, syllabus_id

if TYPE_CHECKING:
    import dspy

__all__ = ["Row", "Splits", "check_rows", "example_of", "load_rows"]

BUILT_IN = "valsets/curriculum.jsonl"


class Row(Record):
    id: str = ""
    """That of the question which it asks for; `load_rows` fills it in."""
    split: Literal["train", "val", "test"]
    field: str = ""
    discipline: str
    subject: Subject
    syllabus: Syllabus
    sample: Sample

    @model_validator(mode="before")
    @classmethod
    def _with_ids(cls, given: Any) -> Any:
        """The ids that follow from the names, where the file does not give them."""
        if not isinstance(given, Mapping):
            return given
        subject, syllabus, discipline = given.get("subject"), given.get("syllabus"), given.get("discipline")
        if not (isinstance(subject, Mapping) and isinstance(syllabus, Mapping) and isinstance(discipline, str)):
            return given
        subject = {"id": subject_id(Discipline(name=discipline), str(subject.get("name", ""))), **subject}
        subject.setdefault("discipline", discipline)
        syllabus = {"id": syllabus_id(str(subject["id"])), "subject_id": subject["id"], **syllabus}
        return {**given, "subject": subject, "syllabus": syllabus}


class Splits(NamedTuple):
    """Rows to learn from, to choose by, and to report on."""

    train: tuple[Row, ...]
    val: tuple[Row, ...]
    test: tuple[Row, ...]


def load_rows(path: Path | None = None) -> Splits:
    """The rows of a JSONL file by split; of the built-in set where no path is given.

    Raises UserError for a file with anything `check_rows` would name.
    """
    rows, problems = _read(_bytes_of(path))
    if problems:
        more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
        raise UserError(
            f"validation set {path}: {problems[0]}{more}; mend the file, or leave --valset out for the built-in set"
        )
    train, val, test = (tuple(row for row in rows if row.split == split) for split in ("train", "val", "test"))
    return Splits(train, val, test)


def check_rows(path: Path) -> list[str]:
    """What is wrong with a file of rows, one line a problem; nothing for a file that can be used.

    A line reads "row 7: sample: session 5 is not in its syllabus (it has 3)". Rows are counted from 1, by lines.
    """
    return _read(_bytes_of(path))[1]


def example_of(row: Row, language: str) -> dspy.Example:
    """The row as DSPy's optimizers take it: five inputs, and the row's id beside them."""
    import dspy

    return dspy.Example(
        id=row.id,
        discipline=row.discipline,
        subject=row.subject,
        syllabus=row.syllabus,
        sample=row.sample,
        language=language,
    ).with_inputs("subject", "syllabus", "sample", "language", "discipline")


def _bytes_of(path: Path | None) -> bytes:
    if path is None:
        return resources.files(__package__).joinpath(BUILT_IN).read_bytes()
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read the validation set {path}: {error.strerror}; leave --valset out for the built-in set"
        ) from None


def _read(content: bytes) -> tuple[list[Row], list[str]]:
    """The rows that could be read, and what is wrong with the file."""
    found: list[tuple[int, Row]] = []
    problems: list[str] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = Row.model_validate(orjson.loads(line))
        except ValidationError as error:
            told = [f"{'.'.join(map(str, one['loc'])) or 'row'}: {one['msg']}" for one in error.errors()]
        except ValueError as error:
            told = [f"is not JSON ({error})"]
        else:
            if not row.id and not within(row.syllabus, row.sample):
                row = row.model_copy(update={"id": question_id(row.syllabus, row.sample)})
            told = problems_in(row)
            found.append((number, row))
        problems += [f"row {number}: {one}" for one in told]
    return [row for _, row in found], problems + across(found)
