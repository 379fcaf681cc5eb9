"""Questions that come from a file: ours (questions.jsonl) or the Azure script's (GLAN_Questions_….jsonl)."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from glan_dspy.errors import UserError, first_flaw
from glan_dspy.records import Question, imported_question_id

NO_DISCIPLINE = "Imported questions"
"""The discipline of a question whose file names none; the Azure script's files do not."""


def read_questions(path: Path, language: str) -> list[Question]:
    """The file's questions in order, equal ones once. Raises UserError that names the line of a broken one."""
    found: dict[str, Question] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.removeprefix(codecs.BOM_UTF8).strip() if number == 1 else line.strip()
                if not text:
                    continue
                row = _object(text, path, number)
                question = _question(row, language, path, number)
                first = found.setdefault(question.id, question)
                if (first.question, first.subject) != (question.question, question.subject):
                    # Two questions of one id: each gets the id of its own text, and none is lost.
                    own = imported_question_id(question.discipline, question.subject, question.question)
                    found.setdefault(own, question.model_copy(update={"id": own}))
    except FileNotFoundError:
        raise UserError(f"there is no questions file {path}") from None
    except OSError as error:
        raise UserError(f"cannot read the questions file {path}: {error.strerror}") from None
    if not found:
        raise UserError(f"{path} holds no questions")
    return list(found.values())


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number}: not a JSON object; mend or delete the line")
    return row


def _question(row: dict[str, Any], language: str, path: Path, number: int) -> Question:
    text, subject = row.get("question"), str(row.get("subject") or "")
    if not isinstance(text, str) or not text.strip():
        raise UserError(
            f'{path}, line {number}: has no "question"; each line is an object with question, subject, level'
        )
    discipline = str(row.get("discipline") or "").strip() or NO_DISCIPLINE
    ours = {key: row[key] for key in Question.model_fields if row.get(key) is not None}
    try:
        return Question.model_validate(
            {
                **ours,
                "id": str(ours.get("id") or imported_question_id(discipline, subject, text)),
                "discipline": discipline,
                "subject": subject,
                "level": row.get("level") or "",
                "language": row.get("language") or language,
            }
        )
    except ValidationError as error:
        place, value, wrong = first_flaw(error)
        raise UserError(f"{path}, line {number}: {place} {str(value)[:60]!r}: {wrong}") from None
