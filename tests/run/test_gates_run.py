"""Runs with their gates on: what falls and why, exactly N pairs, a test set apart, and what repair brings back."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from glan_dspy.errors import UserError
from glan_dspy.filtering import compile_filter
from glan_dspy.publish.export import accepted
from glan_dspy.records import Discipline, normalise
from glan_dspy.run.curate import Rules, curate
from glan_dspy.run.generate import answer, generate
from glan_dspy.run.questions_file import read_questions
from glan_dspy.run.repair import repair
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings
from tests.loopback_thread import pairs, rows, written
from tests.processes import glan, start

FAULTY = "rehearsal?duplicate=0.05&wrong_language=0.03&refuse=0.02&truncate=0.02"


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"model_name": FAULTY, "language": "English", **changes})


def disciplines(number: int) -> list[Discipline]:
    return [Discipline(name=f"Discipline {n}") for n in range(number)]


def check_explained(path: Path, wanted: int) -> None:
    """Exactly that many, no two alike, every other candidate rejected, and no answer bought for a rejected question."""
    made = pairs(path)
    assert len(made) == len({id for id, _, _ in made}) == wanted
    assert len({normalise(question) for _, question, _ in made}) == wanted
    accepted = {id for id, _, _ in made} | {row["id"] for row in rows(path, "holdout")}
    rejected = {row["id"]: row for row in rows(path, "rejected")}
    candidates = {row["id"] for row in rows(path, "questions")}
    assert candidates | rejected.keys() >= accepted and not accepted & rejected.keys()
    assert candidates <= accepted | rejected.keys()
    assert all(row["reason"] and (row["raw"] or row["reason"] == "empty") for row in rejected.values())
    fallen = {id for id, row in rejected.items() if row["stage"] == "question"}
    assert not fallen & {call["item"] for call in rows(path, "calls") if call["stage"].startswith("answer")}


def test_exactly_as_many_pairs_as_asked_for(tmp_path: Path) -> None:
    outcome = generate(Run(tmp_path / "run"), settings(num_pairs=300), disciplines(30))
    assert not outcome.short and outcome.tally.instructions == 300
    check_explained(tmp_path / "run", 300)
    reasons = Counter(row["reason"] for row in rows(tmp_path / "run", "rejected"))
    assert reasons["language"] > 5 and reasons["refusal"] > 2 and reasons["truncated"] > 2
    a_discipline = Counter(row["discipline"] for row in rows(tmp_path / "run", "instructions"))
    assert a_discipline == {discipline.name: 10 for discipline in disciplines(30)}
    state = status(Run(tmp_path / "run"))
    assert state["complete"] and state["instructions"] == 300 and state["rejected"] == dict(reasons)


def test_kills_and_concurrency_change_neither_the_number_nor_the_pairs(tmp_path: Path) -> None:
    words = ["generate", "--model-name", FAULTY + "&latency=0.005", "--language", "English", "--num-pairs", "240"]
    words += ["--holdout", "3", *(word for d in disciplines(8) for word in ("--discipline", d.name))]
    killed = 0
    for goal in (20, 90, 200):
        process = start(*words, "-o", "killed", cwd=tmp_path)
        while process.running and written(tmp_path / "killed", "instructions") < goal:
            time.sleep(0.01)
        killed += process.kill() < 0
    assert killed >= 2
    glan(*words, "-o", "killed", cwd=tmp_path)
    glan(*words, "-o", "whole", "--concurrency", "9", "--answer-batch-size", "2", cwd=tmp_path)
    for name in ("killed", "whole"):
        check_explained(tmp_path / name, 240)
        assert len(rows(tmp_path / name, "holdout")) == 24
    assert sorted(pairs(tmp_path / "killed")) == sorted(pairs(tmp_path / "whole"))
    held_out = [{(row["id"], row["question"]) for row in rows(tmp_path / n, "holdout")} for n in ("killed", "whole")]
    assert held_out[0] == held_out[1]


def test_raising_the_number_extends_the_run_and_lowering_it_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    generate(run, settings(num_pairs=40), disciplines(4))
    before = pairs(tmp_path / "run")
    outcome = generate(run, settings(num_pairs=90), disciplines(5))
    assert outcome.tally.instructions == 90 and outcome.tally.found == 40
    assert set(before) <= set(pairs(tmp_path / "run"))
    check_explained(tmp_path / "run", 90)
    with pytest.raises(UserError, match=r"--num-pairs 50.* only grows"):
        generate(run, settings(num_pairs=50), disciplines(5))


def test_a_run_of_all_samples_may_go_on_to_a_number(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    generate(run, settings(), disciplines(2))
    made = len(pairs(tmp_path / "run"))
    generate(run, settings(num_pairs=made + 11), disciplines(2))
    check_explained(tmp_path / "run", made + 11)


def test_shares_follow_the_weights_and_a_weight_of_nothing_asks_nothing(tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text("Discipline 0,3\nDiscipline 2,0\n")
    chosen = settings(num_pairs=40, weights=str(tmp_path / "weights.csv"))
    generate(Run(tmp_path / "run"), chosen, disciplines(3))
    counts = Counter(row["discipline"] for row in rows(tmp_path / "run", "instructions"))
    assert counts == {"Discipline 0": 30, "Discipline 1": 10}
    assert not any("Discipline 2" in call["item"] for call in rows(tmp_path / "run", "calls"))
    assert status(Run(tmp_path / "run"))["complete"]


def test_a_shortfall_is_told_with_its_reasons_and_what_goes_on(tmp_path: Path) -> None:
    words = ["generate", "--model-name", "rehearsal?wrong_language=0.3", "--language", "English", "-o", "run"]
    words += ["--num-pairs", "20", "--candidate-budget", "1", "--discipline", "Optics"]
    short = glan(*words, cwd=tmp_path, check=3)
    assert "pairs short of 20" in short.stderr and "rejected: language" in short.stderr
    assert "glan generate -o run --candidate-budget 1.3" in short.stderr
    state = json.loads(glan("status", "run", "--json", cwd=tmp_path).stdout)
    assert not state["complete"] and state["questions"] == 20
    glan("generate", "-o", "run", "--candidate-budget", "3", cwd=tmp_path)
    check_explained(tmp_path / "run", 20)


def test_a_syllabus_without_enough_combinations_is_told(tmp_path: Path) -> None:
    words = ["generate", "--model-name", "rehearsal", "--language", "English", "-o", "run", "--num-pairs", "900"]
    words += ["--max-number-of-session-name", "1", "--max-number-of-subjects", "1", "--discipline", "Optics"]
    assert "no combination of sessions and concepts is left in Optics" in glan(*words, cwd=tmp_path, check=3).stderr


def test_what_curate_drops_is_made_good(tmp_path: Path) -> None:
    run, chosen = Run(tmp_path / "run"), settings(model_name="rehearsal", num_pairs=30)
    generate(run, chosen, disciplines(2))
    lost = [row["question"] for row in rows(tmp_path / "run", "instructions")][::7]
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps({"question": item}) + "\n" for item in lost))
    curate(run, Rules(near=1.0, against=(tmp_path / "bench.jsonl",)))
    assert status(run)["instructions"] == 30 - len(lost) and not status(run)["complete"]
    generate(run, chosen, disciplines(2))
    state = status(run)
    assert state["instructions"] == 30 and state["complete"]
    kept = {pair.id for pair in accepted(run)}
    assert len(kept) == 30 and not kept & {row["id"] for row in rows(tmp_path / "run", "decisions")}


# --- the test set -----------------------------------------------------------------------------------


def test_the_test_set_is_apart_and_nothing_in_training_overlaps_with_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    outcome = generate(run, settings(holdout=4), disciplines(3))
    held_out, training = rows(tmp_path / "run", "holdout"), rows(tmp_path / "run", "instructions")
    assert len(held_out) == outcome.tally.held_out == 12 and all(row["held_out"] for row in held_out)
    assert not {row["id"] for row in held_out} & {row["id"] for row in training}
    assert Counter(row["discipline"] for row in held_out) == {d.name: 4 for d in disciplines(3)}
    assert len({row["subject"] for row in held_out if row["discipline"] == "Discipline 0"}) == 2
    state = status(run)
    assert state["complete"] and state["held_out"] == 12
    # The training pairs are as many as they would be without it.
    assert len({row["id"] for row in training} | {r["id"] for r in rows(tmp_path / "run", "rejected")}) >= 60


def test_a_test_set_of_more_than_half_the_plan_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--holdout 11: more than half of the 20 pairs"):
        generate(Run(tmp_path / "run"), settings(holdout=11), disciplines(1))
    with pytest.raises(UserError, match="--holdout 6: more than half of the 10 pairs"):
        generate(Run(tmp_path / "run"), settings(holdout=6, num_pairs=20), disciplines(2))
    assert not (tmp_path / "run").exists()


# --- benchmarks -------------------------------------------------------------------------------------


def test_planted_benchmark_items_fall_before_their_answers_are_bought(tmp_path: Path) -> None:
    clean = settings(model_name="rehearsal")
    generate(Run(tmp_path / "first"), clean, disciplines(3))
    items = [row["question"] for row in rows(tmp_path / "first", "instructions")][::6]
    planted = [item.upper().replace(" ", "  ") for item in items]
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps({"question": item}) + "\n" for item in planted))
    generate(Run(tmp_path / "second"), settings(model_name="rehearsal", against=(str(tmp_path / "bench.jsonl"),)),
             disciplines(3))  # fmt: skip
    hits = [row for row in rows(tmp_path / "second", "rejected") if row["reason"] == "contaminated"]
    assert {row["raw"] for row in hits if row["stage"] == "question"} >= set(items)
    assert all(row["found"]["benchmark"] and row["found"]["item"] and row["found"]["span"] for row in hits)
    check_explained(tmp_path / "second", 60 - len(hits))


def test_a_benchmark_that_cannot_be_read_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        generate(Run(tmp_path / "run"), settings(against=(str(tmp_path / "nowhere.jsonl"),)), disciplines(1))
    assert not (tmp_path / "run").exists()


def test_without_gates_everything_passes(tmp_path: Path) -> None:
    generate(Run(tmp_path / "run"), settings(model_name="rehearsal?wrong_language=0.3", gates=False), disciplines(1))
    assert len(pairs(tmp_path / "run")) == 20


def test_answers_of_a_questions_file_pass_the_gates_of_answers(tmp_path: Path) -> None:
    chosen = settings(model_name="rehearsal?wrong_language=0.3")
    generate(Run(tmp_path / "made"), chosen.model_copy(update={"generate_question_only": True}), disciplines(2))
    kept = [row for row in rows(tmp_path / "made", "questions")]
    fallen = {row["id"] for row in rows(tmp_path / "made", "rejected")}
    assert 0 < len(fallen) < len(kept) == 40
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept if row["id"] not in fallen))
    outcome = answer(Run(tmp_path / "run"), chosen, read_questions(tmp_path / "q.jsonl", "English"))
    dropped = rows(tmp_path / "run", "rejected")
    assert (
        dropped
        and {row["reason"] for row in dropped} == {"language"}
        and {row["stage"] for row in dropped} == {"answer"}
    )
    assert outcome.tally.instructions + len(dropped) == 40 - len(fallen)


# --- repair -----------------------------------------------------------------------------------------


def test_repair_asks_again_for_what_fits_and_its_acceptance_supersedes(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    chosen = settings(model_name="rehearsal?wrong_language=0.15&truncate=0.15&refuse=0.1")
    generate(run, chosen, disciplines(3))
    before = status(run)
    wanted = {row["id"] for row in rows(tmp_path / "run", "rejected") if row["reason"] in ("truncated", "language")}
    calls = len(rows(tmp_path / "run", "calls"))
    better = chosen.model_copy(update={"model_name": "rehearsal", "answer_max_tokens": 4096})
    text = 'reason in ("truncated", "language")'
    outcome, counts = repair(run, better, compile_filter(text), text)
    after = status(run)
    assert counts.total() == len(wanted) > 10
    assert after["instructions"] == before["instructions"] + len(wanted) == outcome.tally.instructions
    assert after["rejected"] == {"refusal": before["rejected"]["refusal"]} and after["complete"]
    made = {row["id"]: row for row in rows(tmp_path / "run", "instructions")}
    assert all(made[id]["answer_model"] == "rehearsal" for id in wanted)
    # An answer was asked for each, a question only for those that had none or a bad one.
    assert len(rows(tmp_path / "run", "calls")) - calls == len(wanted) + counts["question"]
    noted = run.about()["repairs"]
    assert noted[0]["where"] == text and noted[0]["settings"]["answer_max_tokens"] == 4096
    assert run.about()["settings"]["model_name"] == chosen.model_name
    # The run itself goes on as it was begun.
    assert generate(run, chosen, disciplines(3)).tally.instructions == after["instructions"]


def test_what_falls_again_has_its_new_reason_and_may_be_asked_again(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    chosen = settings(model_name="rehearsal?refuse=0.4", max_number_of_subjects=1)
    generate(run, chosen, disciplines(2))
    where = compile_filter('reason == "refusal"')
    left = [status(run)["rejected"].get("refusal", 0)]
    for _ in range(4):
        if left[-1]:
            repair(run, chosen, where, "x")
            left.append(status(run)["rejected"].get("refusal", 0))
    assert left[0] > 3 and left[-1] < left[0] / 2
    keys = Counter((call["stage"], call["item"], call["ask"]) for call in rows(tmp_path / "run", "calls"))
    assert max(keys.values()) == 1, "the same question was sent twice under one number"


def test_repair_does_not_go_beyond_the_number_of_pairs(tmp_path: Path) -> None:
    run, chosen = Run(tmp_path / "run"), settings(num_pairs=40, model_name="rehearsal?wrong_language=0.2")
    assert generate(run, chosen, disciplines(2)).short
    better = chosen.model_copy(update={"model_name": "rehearsal"})
    _, counts = repair(run, better, compile_filter('reason == "language"'), "x")
    assert len(pairs(tmp_path / "run")) == 40 and 0 < counts.total() <= 10
    calls = len(rows(tmp_path / "run", "calls"))
    outcome, counts = repair(run, better, compile_filter("level > 0"), "x")
    assert not counts and len(rows(tmp_path / "run", "calls")) == calls
    assert outcome.tally.rejected.total() == sum(status(run)["rejected"].values())


def test_a_syllabus_is_repaired_and_the_run_goes_on_with_its_questions(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    chosen = settings(model_name="rehearsal?empty=0.5", max_asks=1, num_subject_queries=5, max_number_of_subjects=4)
    generate(run, chosen, disciplines(4))
    broken = [row["id"] for row in rows(tmp_path / "run", "rejected") if row["stage"] == "syllabus"]
    assert broken
    better = chosen.model_copy(update={"model_name": "rehearsal"})
    repair(run, better, compile_filter('stage == "syllabus"'), "x")
    assert {row["id"] for row in rows(tmp_path / "run", "syllabi")} >= set(broken)
    assert not status(run)["complete"]
    generate(run, chosen, disciplines(4))
    assert {row["syllabus_id"] for row in rows(tmp_path / "run", "questions")} & set(broken)


def test_nothing_that_fits_is_told(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    generate(run, settings(model_name="rehearsal"), disciplines(1))
    with pytest.raises(UserError, match="no rejected item"):
        repair(run, settings(model_name="rehearsal"), compile_filter('reason == "x"'), 'reason == "x"')
