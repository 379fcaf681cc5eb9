"""What the files of a discipline tell of how a record came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from glan_dspy.cli.main import run as glan
from glan_dspy.publish.lineage import Lineage, lineages
from glan_dspy.records import Discipline, Question, Rejected, Subject, Syllabus, subject_id, syllabus_id
from glan_dspy.run.store import Run, Shelf
from tests.publish.made import make_run, pair

FAULTS = "rehearsal?wrong_language=0.1&server_error=0.1&duplicate=0.1"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A rehearsal in which something went wrong everywhere, and what was said of it since."""
    path = tmp_path_factory.mktemp("runs") / "run"
    words = ("--model-name", FAULTS, "--language", "English", "--discipline", "Optics", "--draft-first")
    more = ("--num-subject-queries", "2", "--holdout", "2", "--concurrency", "4")
    assert glan(("generate", *words, *more, "-o", str(path))) == 0
    assert glan(("judge", str(path), "--model-name-for-judge", "rehearsal", "--votes", "2")) == 0
    return Run(path)


def of(run: Run, *ids: str) -> dict[str, Lineage]:
    (discipline,) = run.disciplines()
    return lineages(run.shelf(discipline), discipline, ids)


def rows(shelf: Shelf, name: str) -> list[dict[str, Any]]:
    return list(shelf.read(name))


def test_every_record_of_a_run_leads_up_to_its_discipline(walked: Run) -> None:
    (discipline,) = walked.disciplines()
    shelf = walked.shelf(discipline)
    states = {"instructions": "accepted", "holdout": "held out", "rejected": "rejected"}
    ids = {row["id"]: state for name, state in states.items() for row in shelf.read(name)}
    found = of(walked, *ids, "no such id")
    assert list(found) == list(ids) and {one.id: one.state for one in found.values()} == ids
    subjects = {one.id: one for one in shelf.subjects()}
    for one in found.values():
        record = one.record
        assert record and one.subject == subjects[record.subject_id]
        assert one.syllabus and one.syllabus.subject_id == record.subject_id
        assert tuple(session.name for session in one.sessions) == record.sessions
        assert {*record.key_concepts} <= {concept for session in one.sessions for concept in session.key_concepts}
        assert record.question_call in {call.id for call in one.calls["question"] if not call.error}
        assert {call.stage for call in one.calls["subjects"]} == {"subjects.draft", "subjects.extract"}
        assert {call.item for call in one.calls["subjects"]} == {f"{discipline.id}.0", f"{discipline.id}.1"}
        assert {call.item for call in one.calls["syllabus"]} == {record.syllabus_id}


def test_no_call_of_the_run_is_anothers_and_none_is_lost(walked: Run) -> None:
    (discipline,) = walked.disciplines()
    shelf = walked.shelf(discipline)
    ids = [row["id"] for name in ("instructions", "holdout", "rejected") for row in shelf.read(name)]
    found = of(walked, *ids)
    own = [call.id for one in found.values() for stage, some in one.calls.items() for call in some]
    assert set(own) == {row["id"] for row in shelf.read("calls")}
    apart = [
        c.id for one in found.values() for s, some in one.calls.items() if s in {"question", "answer"} for c in some
    ]
    assert len(apart) == len(set(apart))
    assert any(call.error == "ServerError" and call.status for one in found.values() for call in one.calls["question"])


def test_judges_and_their_votes_are_part_of_it(walked: Run) -> None:
    (discipline,) = walked.disciplines()
    judged = {row["id"]: row for row in walked.shelf(discipline).read("judgements")}
    for id, one in of(walked, *judged).items():
        assert one.score == judged[id]["score"] and [said.model for said in one.judgements] == ["rehearsal"]
        votes = judged[id]["votes"]
        assert len([c for c in one.calls.get("vote", ()) if not c.error]) == (votes["asked"] if votes else 0)
        assert one.cost == 0


# --- files written by hand ----------------------------------------------------------------------------------------


def test_what_was_decided_and_said_since_comes_newest_last(tmp_path: Path) -> None:
    first = pair(1)
    run = make_run(tmp_path / "run", [first, pair(2)])
    shelf = run.shelf(*run.disciplines())
    said = {"id": first.id, "scores": {"fits": 2}, "score": 2.0, "why": "", "votes": None, "call": "c", "time": 1.0}
    shelf.append("judgements", {**said, "model": "a"}, {**said, "model": "b"}, {**said, "model": "a", "score": 5.0})
    shelf.append("decisions", {"id": first.id, "decision": "dropped", "reason": "duplicate"})
    assert [one.model for one in of(run, first.id)[first.id].judgements] == ["b", "a"]
    told = of(run, first.id)[first.id]
    assert told.score == 5.0 and told.dropped and told.dropped.reason == "duplicate"
    shelf.append("decisions", {"id": first.id, "decision": "kept"})
    assert of(run, first.id)[first.id].dropped is None and len(of(run, first.id)[first.id].decisions) == 2
    assert list(of(run, pair(2).id, first.id)) == [pair(2).id, first.id]


def test_a_pair_that_fell_before_it_was_repaired_tells_of_both(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    shelf = run.shelf(*run.disciplines())
    shelf.append("rejected", Rejected(id=pair(1).id, stage="answer", reason="truncated", item=pair(1).model_dump()))
    told = of(run, pair(1).id)[pair(1).id]
    assert told.state == "accepted" and [one.reason for one in told.rejects] == ["truncated"]


def test_what_was_rejected_before_any_question_is_told_too(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    (discipline,) = run.disciplines()
    subject = Subject(
        id=subject_id(discipline, "Lenses"), discipline="Optics", name="Lenses", level=200, subtopics=("x",)
    )
    query, design = f"{discipline.id}.1", syllabus_id(subject.id)
    shelf = run.shelf(discipline)
    shelf.append(
        "rejected",
        Rejected(id=query, stage="subjects", reason="unparseable", raw="?", item=discipline.model_dump()),
        Rejected(id=design, stage="syllabus", reason="truncated", raw="{", item=subject.model_dump()),
    )
    call = {"ask": 0, "attempt": 0, "model": "m", "finish_reason": "stop"}
    for number in (0, 1, 10, 2):
        item = f"{discipline.id}.{number}"
        shelf.append("calls", {"id": f"c{number}", "stage": "subjects.list", "item": item, **call})
    shelf.append("calls", {"id": "d", "stage": "syllabus.design", "item": design, **call})
    told = of(run, query, design, pair(1).id)
    assert told[query].state == told[design].state == "rejected" and told[query].record is None
    assert [one.id for one in told[query].calls["subjects"]] == ["c1"]
    assert [one.id for one in told[design].calls["subjects"]] == ["c0", "c1", "c2", "c10"]
    assert told[design].subject == subject and [one.id for one in told[design].calls["syllabus"]] == ["d"]
    assert told[design].sessions == () and told[query].cost == 0


def test_an_imported_question_has_no_curriculum_and_ids_of_any_kind(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [])
    home = Discipline(name="Imported questions")
    shelf = run.shelf(home)
    for id in ('q.1 "a"', "q", "언어"):
        shelf.append("questions", Question(id=id, question="Why?", subject="Talk", level="easy", sessions=("Gone",)))
        shelf.append("calls", {"id": "c", "stage": "answer.write", "item": id, "model": "m", "error": "TimeoutError"})
    told = lineages(shelf, home, ["q", 'q.1 "a"', "언어"])
    assert list(told) == ["q", 'q.1 "a"', "언어"]
    for one in told.values():
        assert (one.state, one.subject, one.syllabus) == ("question", None, None)
        assert [session.name for session in one.sessions] == ["Gone"]
        assert [call.error for call in one.calls["answer"]] == ["TimeoutError"] and list(one.calls) == ["answer"]


def test_lines_that_were_edited_into_something_else_are_passed_over(tmp_path: Path) -> None:
    one = pair(1, syllabus_id="s", sessions=("Mirrors",))
    run = make_run(tmp_path / "run", [one])
    shelf = run.shelf(*run.disciplines())
    shelf.append("syllabi", Syllabus(id="s", subject_id="x", sessions=()))
    for name in ("instructions", "questions", "rejected", "calls", "decisions", "judgements", "votes", "syllabi"):
        broken = [b"\xef\xbb\xbf{}", b"{", b"[]", b"\xff", b'{"id": 7}', b'{"id": "%s", "x": [' % one.id.encode()]
        typed = orjson.dumps({"id": one.id, "stage": [], "item": one.id, "decision": 1, "scores": 3, "question": None})
        with (shelf.path / f"{name}.jsonl").open("ab") as file:
            file.write(b"\r\n".join([*broken, typed, b""]) + b'{"id":"' + one.id.encode())
    told = of(run, one.id)[one.id]
    assert told.record == one and told.syllabus and told.state == "accepted"
    assert [session.name for session in told.sessions] == ["Mirrors"]
    assert (told.calls, told.decisions, told.judgements, told.rejects) == ({}, (), (), ())


def test_keys_in_another_order_and_spaces_between_them_change_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1), pair(2)])
    path = run.shelf(*run.disciplines()).path / "instructions.jsonl"
    turned = [dict(reversed(json.loads(line).items())) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in turned))
    assert of(run, pair(2).id)[pair(2).id].record == pair(2)
