"""Whole runs in this process, with the simulated model or the loopback server behind the real openai client."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest
from dspy import lm15
from dspy.lm15 import Message, Request, Response, TextPart, Usage

from glan_dspy.connect import Care, Models, language_model
from glan_dspy.engines.base import CALL
from glan_dspy.engines.rehearsal import RehearsalEngine
from glan_dspy.errors import UserError
from glan_dspy.program import GLAN
from glan_dspy.records import Discipline, Question
from glan_dspy.run import lines
from glan_dspy.run.begin import begin
from glan_dspy.run.command import bulk
from glan_dspy.run.generate import answer, generate
from glan_dspy.run.lines import Appender
from glan_dspy.run.quota import Quota
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome
from glan_dspy.run.taxonomy import make_taxonomy
from glan_dspy.run.walk import Walk
from glan_dspy.settings import Settings
from tests.loopback_thread import pairs, rows, running

OPTICS, DANCE = Discipline(name="Optics"), Discipline(name="Dance")


def settings(**changes: Any) -> Settings:
    return Settings(**{"model_name": "rehearsal", "language": "English", **changes})


class Fake:
    """The simulated model, but for what `misbehave` raises or returns instead."""

    def __init__(self, misbehave: Any) -> None:
        self.model, self.misbehave = RehearsalEngine(), misbehave
        self.calls: list[str] = []

    async def complete(self, request: Request) -> Response:
        call = CALL.get()
        assert call is not None
        self.calls.append(call.key)
        if (other := self.misbehave(call)) is not None:
            if isinstance(other, Exception):
                raise other
            return Response(id=None, model="fake", message=Message.assistant([TextPart(other[0])]),
                            finish_reason=other[1], usage=Usage())  # fmt: skip
        return await self.model.complete(request)


def walk_with(
    fake: Fake, path: Path, chosen: Settings, *disciplines: Discipline, attempts: int = 2, quota: Quota | None = None
) -> Outcome:
    async def no_pause(seconds: float) -> None:
        await asyncio.sleep(0)

    lm = language_model("fake", fake, Care(attempts, no_pause))
    glan = GLAN(chosen).connect(Models(lm, lm, lm))
    run = Run(path)

    async def main() -> Outcome:
        return await Walk(run, glan, disciplines, quota)()

    with run.lock():
        begin(run, "generate", chosen, disciplines, glan.digest)
        with bulk():
            return asyncio.run(main())


def test_a_run_makes_every_planned_pair_with_both_strategies_and_its_lineage(tmp_path: Path) -> None:
    outcome = generate(Run(tmp_path / "run"), settings(), [OPTICS, DANCE])
    assert outcome.tally.instructions == 40 and not outcome.failed
    found = rows(tmp_path / "run", "instructions")
    assert {row["strategy"] for row in found} == {"single", "double"}
    assert all(len(row["sessions"]) == (2 if row["strategy"] == "double" else 1) for row in found)
    assert all(row["simulated"] and row["question_model"] == "rehearsal" for row in found)
    wanted = ["id", "question", "answer", "discipline", "subject", "level", "subtopics", "sessions", "key_concepts",
              "strategy", "language", "question_model", "answer_model"]  # fmt: skip
    assert all(set(wanted) <= row.keys() for row in found)
    calls = {line["id"] for line in rows(tmp_path / "run", "calls")}
    assert all(row["question_call"] in calls and row["answer_call"] in calls for row in found)


def test_the_same_seed_gives_the_same_pairs_at_any_concurrency_and_another_seed_others(tmp_path: Path) -> None:
    slow = "rehearsal?latency=0.001&server_error=0.05&bad_json=0.2&truncate=0.1&empty=0.1"
    quick = settings(model_name=slow, question_batch_size=50, answer_batch_size=50)
    single = settings(model_name=slow, question_batch_size=1, answer_batch_size=1, concurrency=1)
    generate(Run(tmp_path / "quick"), quick, [OPTICS, DANCE])
    generate(Run(tmp_path / "single"), single, [DANCE, OPTICS])
    generate(Run(tmp_path / "other"), quick.model_copy(update={"seed": 1}), [OPTICS, DANCE])
    assert sorted(pairs(tmp_path / "quick")) == sorted(pairs(tmp_path / "single")) != []
    assert sorted(pairs(tmp_path / "other")) != sorted(pairs(tmp_path / "quick"))


def test_a_new_discipline_and_more_iterations_keep_all_there_is(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    generate(run, settings(), [OPTICS])
    before = pairs(tmp_path / "run")
    calls = len(rows(tmp_path / "run", "calls"))
    outcome = generate(run, settings(num_iterations=3), [OPTICS, DANCE])
    after = pairs(tmp_path / "run")
    assert after[: len(before)] == before or set(before) <= set(after)
    assert len(after) == len(set(after)) == 60 and outcome.tally.found == 20
    assert len(rows(tmp_path / "run", "calls")) - calls == 2 * 10 + 3 + 2 * 30


def test_a_bad_reply_is_asked_again_and_then_rejected_with_its_raw_text(tmp_path: Path) -> None:
    def misbehave(call: Any) -> Any:
        if call.stage == "syllabus.design" and "Optics" in str(call.item):
            return None
        if call.stage == "question.write":
            return ("   ", "stop") if call.ask == 0 else None
        return ('{"sessions": [', "stop") if call.stage == "syllabus.design" else None

    outcome = walk_with(fake := Fake(misbehave), tmp_path / "run", settings(), OPTICS)
    assert outcome.tally.rejected == {"unparseable": 2}
    rejected = rows(tmp_path / "run", "rejected")
    assert {row["stage"] for row in rejected} == {"syllabus"} and rejected[0]["raw"] == '{"sessions": ['
    assert sorted(key.rpartition("/")[2] for key in fake.calls if key.startswith("syllabus")) == list("001122")
    assert status(Run(tmp_path / "run"))["complete"]


def test_useless_replies_are_not_bought_again_by_a_rerun(tmp_path: Path) -> None:
    def down_after_useless(call: Any) -> Any:
        if call.stage == "question.write":
            return ("", "stop") if call.ask == 0 else lm15.ServerError("down", status=503)
        return None

    few = settings(num_iterations=1, num_questions_per_iteration=4)
    first = walk_with(Fake(down_after_useless), tmp_path / "run", few, OPTICS)
    assert first.failed == ["Optics"] and first.tally.questions == 0
    walk_with(fake := Fake(lambda call: None), tmp_path / "run", few, OPTICS)
    assert len(pairs(tmp_path / "run")) == 8
    assert all(key.endswith("/1") for key in fake.calls if key.startswith("question"))
    assert not any(key.startswith(("subjects", "syllabus")) for key in fake.calls)


def test_one_failing_discipline_does_not_take_down_the_others(tmp_path: Path) -> None:
    def misbehave(call: Any) -> Any:
        return lm15.ServerError("down", status=500) if DANCE.id in call.item else None

    outcome = walk_with(Fake(misbehave), tmp_path / "run", settings(), DANCE, OPTICS)
    assert outcome.failed == ["Dance"] and outcome.tally.instructions == 20
    assert not status(Run(tmp_path / "run"))["complete"]


def test_a_discipline_without_usable_subjects_fails_and_a_rerun_asks_again(tmp_path: Path) -> None:
    nonsense = Fake(lambda call: ("no list today", "stop") if call.stage == "subjects.list" else None)
    assert walk_with(nonsense, tmp_path / "run", settings(), OPTICS).failed == ["Optics"]
    healed = Fake(lambda call: None)
    assert walk_with(healed, tmp_path / "run", settings(), OPTICS).tally.instructions == 20
    assert "subjects.list/" + OPTICS.id + ".0/3" in healed.calls


def test_a_bug_in_one_discipline_is_told_and_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="glan")
    broken = Fake(lambda call: ZeroDivisionError("ours") if DANCE.id in call.item else None)
    outcome = walk_with(broken, tmp_path / "run", settings(), DANCE, OPTICS)
    assert "ZeroDivisionError" in outcome.bugs[0] and outcome.tally.instructions == 20


@pytest.mark.parametrize("error", [lm15.AuthError("no such key", status=401), lm15.UnsupportedModelError("no model")])
def test_a_wrong_key_or_model_ends_the_run_at_once(tmp_path: Path, error: Exception) -> None:
    fake = Fake(lambda call: error if call.stage == "question.write" else None)
    outcome = walk_with(fake, tmp_path / "run", settings(question_batch_size=2), OPTICS)
    assert str(error).split(" (")[0].splitlines()[0] in outcome.reason
    assert len([key for key in fake.calls if key.startswith("question")]) <= 2


def test_refused_requests_that_are_all_alike_end_the_run(tmp_path: Path) -> None:
    refuse = lm15.InvalidRequestError("Unknown parameter: seed", status=400)
    fake = Fake(lambda call: refuse if call.stage == "answer.write" else None)
    outcome = walk_with(fake, tmp_path / "run", settings(answer_batch_size=1), OPTICS)
    assert "first 5 answer calls all failed alike" in outcome.reason and "seed" in outcome.reason
    assert len([key for key in fake.calls if key.startswith("answer")]) == 5


def test_a_content_filter_rejects_its_item_only(tmp_path: Path) -> None:
    refuse = lm15.InvalidRequestError("filtered", status=400, provider_code="content_filter")
    first: list[str] = []

    def misbehave(call: Any) -> Any:
        if call.stage == "answer.write":
            first.append(call.item)
            return refuse if call.item == first[0] else None
        return None

    outcome = walk_with(Fake(misbehave), tmp_path / "run", settings(), OPTICS)
    assert outcome.tally.rejected == {"content_filter": 1} and outcome.tally.instructions == 19


def test_the_first_subject_query_leads_and_all_are_merged_within_the_discipline(tmp_path: Path) -> None:
    chosen = settings(num_subject_queries=4, max_number_of_subjects=6, max_number_of_session_name=2, num_iterations=1)
    generate(Run(tmp_path / "run"), chosen, [OPTICS, DANCE])
    subjects = rows(tmp_path / "run", "subjects")
    assert len({row["id"] for row in subjects}) == len(subjects)
    replies = [row for row in rows(tmp_path / "run", "replies") if row["id"].startswith(f"subjects.list/{OPTICS.id}.0")]
    first = [s["name"] for s in orjson.loads(replies[0]["text"])["subjects"]]
    mine = [row["name"] for row in subjects if row["discipline"] == "Optics"]
    assert mine[: len(first)] == first[:6]


def test_drafts_are_kept_and_extracted(tmp_path: Path) -> None:
    generate(Run(tmp_path / "run"), settings(draft_first=True), [OPTICS])
    stages = [row["stage"] for row in rows(tmp_path / "run", "calls")]
    assert stages.count("subjects.draft") == stages.count("subjects.extract") == 1
    assert stages.count("syllabus.draft") == stages.count("syllabus.extract") == 2
    assert len(pairs(tmp_path / "run")) == 20


def test_a_syllabus_with_few_combinations_gives_them_all_and_says_so(tmp_path: Path) -> None:
    few = '{"introduction": "", "sessions": [{"name": "A", "description": "", "key_concepts": ["x", "y"]}]}'
    fake = Fake(lambda call: (few, "stop") if call.stage == "syllabus.design" else None)
    outcome = walk_with(fake, tmp_path / "run", settings(), OPTICS)
    assert outcome.tally.exhausted == 2 and outcome.tally.instructions == 2 * 3
    assert status(Run(tmp_path / "run"))["complete"]


def test_questions_only_and_then_their_answers(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    generate(run, settings(generate_question_only=True), [OPTICS])
    assert len(rows(tmp_path / "run", "questions")) == 20 and not pairs(tmp_path / "run")
    assert status(run)["complete"]
    generate(run, settings(), [OPTICS])
    assert len(rows(tmp_path / "run", "questions")) == len(pairs(tmp_path / "run")) == 20


def test_imported_questions_are_answered_once(tmp_path: Path) -> None:
    questions = [Question(id=f"{n:020}", question=f"What is {n} + {n}?", subject="Sums", level=100, discipline="Maths")
                 for n in range(50)]  # fmt: skip
    run = Run(tmp_path / "run")
    answer(run, settings(), questions)
    outcome = answer(run, settings(), questions)
    assert len(pairs(tmp_path / "run")) == 50 and outcome.tally.found == 50
    assert len(rows(tmp_path / "run", "calls")) == 50 and status(run)["complete"]


def test_other_content_settings_are_refused_and_named(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    generate(run, settings(), [OPTICS])
    with pytest.raises(UserError, match="language 'English' -> 'Korean'; seed 0 -> 5"):
        generate(run, settings(language="Korean", seed=5), [OPTICS])
    with pytest.raises(UserError, match="10 questions a syllabus"):
        generate(run, settings(num_iterations=1), [OPTICS])
    with pytest.raises(UserError, match="discipline 'Optics'"):
        generate(run, settings(), [DANCE])
    assert len(pairs(tmp_path / "run")) == 20


def test_a_second_process_is_told_who_writes(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with run.lock(), pytest.raises(UserError, match=r"is being written by process \d+ on "):
        generate(run, settings(), [OPTICS])


@pytest.mark.long  # tests/faults/test_mixed.py has a short form
def test_faults_of_every_kind_over_http_end_in_a_pair_or_a_reason(tmp_path: Path) -> None:
    faulty = ("rehearsal?server_error=0.05&rate_limit=0.05&timeout=0.02&reset=0.02&truncate=0.03&bad_json=0.03"
              "&refuse=0.02&empty=0.03&abstain=0.02")  # fmt: skip
    with running(faulty) as (base_url, server):
        chosen = settings(model_name="sim", base_url=base_url, question_batch_size=20, answer_batch_size=20)
        outcome = generate(Run(tmp_path / "run"), chosen, [OPTICS, DANCE, Discipline(name="Law")])
    numbers = status(Run(tmp_path / "run"))
    assert numbers["complete"] and not outcome.failed and not outcome.bugs
    assert numbers["instructions"] + sum(numbers["rejected"].values()) >= 6 * 10 - 20
    assert outcome.tally.errors and numbers["calls"] == sum(server.answered.values())
    assert numbers["prompt_tokens"] == sum(line.get("prompt_tokens", 0) for line in rows(tmp_path / "run", "calls"))


def test_what_goes_over_the_wire(tmp_path: Path) -> None:
    with running() as (base_url, server):
        chosen = settings(model_name="sim", base_url=base_url, extra_body={"top_k": 7}, num_iterations=1, seed=3)
        generate(Run(tmp_path / "run"), chosen, [OPTICS])
    by_kind = {("response_format" in body, body["temperature"]): body for body in server.bodies}
    structured, question, answering = by_kind[True, 1.0], by_kind[False, 1.0], by_kind[False, 0.7]
    assert structured["response_format"]["json_schema"]["strict"] is True
    assert question["max_tokens"] == 768 and answering["max_tokens"] == 2048 and structured["max_tokens"] == 8192
    assert all(body["top_p"] == 0.95 and body["top_k"] == 7 and body["seed"] > 0 for body in server.bodies)
    text = question["messages"][1]["content"]
    assert text.index("Syllabus:") < text.index("Sessions:") < text.index("Key concepts:")


def test_replies_that_are_all_useless_alike_end_the_run_with_a_remedy(tmp_path: Path) -> None:
    fake = Fake(lambda call: ("half an ans", "length") if call.stage == "answer.write" else None)
    outcome = walk_with(fake, tmp_path / "run", settings(answer_batch_size=1), OPTICS)
    assert "the first 10 answer replies could not be used" in outcome.reason and "--answer-max-tokens" in outcome.reason
    assert outcome.tally.rejected == {"truncated": 10}


def test_the_questions_of_a_syllabus_wait_for_its_first_one(tmp_path: Path) -> None:
    order: list[str] = []

    class Slow(Fake):
        async def complete(self, request: Request) -> Response:
            call = CALL.get()
            assert call is not None
            order.append(f"asked {call.stage}")
            await asyncio.sleep(0.01)
            response = await super().complete(request)
            order.append(f"got {call.stage}")
            return response

    walk_with(Slow(lambda call: None), tmp_path / "run", settings(max_number_of_subjects=1), OPTICS)
    questions = [event for event in order if "question" in event]
    assert questions[:2] == ["asked question.write", "got question.write"]
    assert questions[2:7] == ["asked question.write"] * 5


def test_a_full_disk_ends_the_run_at_once_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    append = Appender.append

    def full(self: Appender, *lines: dict[str, Any]) -> None:
        nonlocal written
        written += 1
        if written > 60:
            raise OSError(28, "No space left on device")
        append(self, *lines)

    monkeypatch.setattr(Appender, "append", full)
    fake = Fake(lambda call: None)
    outcome = walk_with(fake, tmp_path / "run", settings(), OPTICS, DANCE, Discipline(name="Law"))
    assert "No space left on device" in outcome.reason and not outcome.bugs
    assert len(fake.calls) < 60


def test_a_subject_list_that_was_cut_is_asked_for_anew_by_a_rerun(tmp_path: Path) -> None:
    cut = Fake(lambda call: ('{"subjects": [', "length") if call.stage == "subjects.list" else None)
    assert walk_with(cut, tmp_path / "run", settings(), OPTICS).failed == ["Optics"]
    assert not status(Run(tmp_path / "run"))["complete"]
    assert walk_with(Fake(lambda call: None), tmp_path / "run", settings(), OPTICS).tally.instructions == 20
    assert status(Run(tmp_path / "run"))["complete"]


def test_one_useless_taxonomy_query_leaves_its_place_empty(tmp_path: Path) -> None:
    chosen = settings(model_name="rehearsal?truncate=0.5", num_taxonomy_queries=6, max_number_of_fields=8, max_asks=1)
    make_taxonomy(Run(tmp_path / "run"), chosen)
    replies = list(lines.read(tmp_path / "run" / "replies.jsonl"))
    assert len(replies) == 6 and {line["finish_reason"] for line in replies} == {"stop", "length"}
    with pytest.raises(UserError, match="another --out"):
        make_taxonomy(Run(tmp_path / "run"), chosen.model_copy(update={"max_number_of_fields": 2}))


def test_a_list_of_disciplines_that_a_person_edited_stays_as_it_is(tmp_path: Path) -> None:
    chosen, run = settings(max_number_of_fields=3), Run(tmp_path / "run")
    path = make_taxonomy(run, chosen)
    listed = path.read_text(encoding="utf-8")
    make_taxonomy(run, chosen)
    assert path.read_text(encoding="utf-8") == listed
    path.write_text("Optics\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="was edited and is left as it is"):
        make_taxonomy(run, chosen)
    assert path.read_text(encoding="utf-8") == "Optics\n"
    path.unlink()
    make_taxonomy(run, chosen)
    assert path.read_text(encoding="utf-8") == listed


def test_ids_are_found_however_a_line_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"id":"a"}\n{"id": "b"}\n{"id":"c\\\\1"}\n{"id":"d\\"e"}\n{"no": 1}\nnonsense\n{"id":"torn')
    assert list(lines.ids(path)) == ["a", "b", "c\\1", 'd"e']
