"""What must be true of the records that were bought of a bad server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bad_server import HARMLESS, REASONS, BadServer, Who, answer_to, question_about
from tests.loopback_thread import rows

Row = dict[str, Any]


def who(row: Row) -> Who:
    """To whom the server did what ended in this rejection."""
    stage, item = row["stage"], row["item"]
    match stage:
        case "subjects" | "syllabus":
            return stage, item["name"]
        case "question":
            return stage, question_about(item["subject"], item["sessions"], item["key_concepts"])
    return stage, item["question"]


def check_nothing_is_lost(run: Path, disciplines: int) -> None:
    """A discipline has subjects, a subject a syllabus, a sample a pair: or there is a line in rejected.jsonl."""
    accepted = rows(run, "instructions")
    rejected = rows(run, "rejected")
    ids = [row["id"] for row in accepted] + [row["id"] for row in rejected if row["stage"] in ("question", "answer")]
    syllabi = rows(run, "syllabi")
    without = [row for row in rejected if row["stage"] == "syllabus"]
    subjects = rows(run, "subjects")
    listless = {row["item"]["name"] for row in rejected if row["stage"] == "subjects"}
    named = {row["discipline"] for row in subjects}
    assert len(named) == disciplines - len(listless - named) and len(subjects) == 2 * len(named)
    assert len(syllabi) + len(without) == len(subjects)
    assert len(ids) == len(set(ids)) == 10 * len(syllabi)


def check_nothing_is_shifted(run: Path) -> None:
    for row in rows(run, "instructions"):
        assert row["question"] == question_about(row["subject"], row["sessions"], row["key_concepts"])
        assert row["answer"] == answer_to(row["question"])


def check_every_reason_is_true(run: Path, server: BadServer) -> None:
    rejected = rows(run, "rejected")
    assert rejected
    for row in rejected:
        did = server.done[who(row)]
        if row["stage"] == "subjects":  # one of several queries about a discipline, which look alike to the server
            assert row["reason"] in {REASONS[kind] for kind in did if kind in REASONS}
            continue
        assert row["reason"] == REASONS[did[-1]], (row, did)
        if row["reason"] != "refusal":
            assert row["raw"] == server.said[who(row)]
    for row in rows(run, "instructions"):
        for stage, about in (("question", row["question"]), ("answer", row["question"])):
            assert server.done[stage, about][-1] in ("well", *HARMLESS)
