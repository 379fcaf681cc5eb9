"""Goals of a run under odd conditions: items that always fail, test sets that fall short, one command after another."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.engines.base import CALL
from glan_dspy.filtering import compile_filter
from glan_dspy.records import Discipline
from glan_dspy.run.begin import begin
from glan_dspy.run.course import test_allowance as allowance
from glan_dspy.run.generate import generate
from glan_dspy.run.plan import counts
from glan_dspy.run.quota import Quota
from glan_dspy.run.repair import repair
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings
from tests.loopback_thread import pairs, rows
from tests.processes import glan
from tests.run.test_walk import Fake, walk_with

OPTICS, GEOLOGY = Discipline(name="Optics"), Discipline(name="Geology")


def settings(**changes: Any) -> Settings:
    curriculum = {"model_name_for_curriculum": "rehearsal"}
    return Settings.model_validate({"model_name": "rehearsal", "language": "English", **curriculum, **changes})


def test_questions_alone_come_to_their_number_and_their_answers_follow(tmp_path: Path) -> None:
    run, chosen = Run(tmp_path / "run"), settings(num_pairs=21, model_name="rehearsal?refuse=0.1")
    generate(run, chosen.model_copy(update={"generate_question_only": True}), [OPTICS, GEOLOGY])
    fallen = {row["id"] for row in rows(tmp_path / "run", "rejected")}
    assert len({row["id"] for row in rows(tmp_path / "run", "questions")} - fallen) == 21 and status(run)["complete"]
    generate(run, chosen, [OPTICS, GEOLOGY])
    assert len(pairs(tmp_path / "run")) == 21 and status(run)["complete"]


def test_one_item_that_never_gets_a_reply_does_not_keep_the_others_from_their_number(tmp_path: Path) -> None:
    dead: set[str] = set()

    def misbehave(call: Any) -> Any:
        if call.stage.startswith("question") and (not dead or call.item in dead):
            dead.add(call.item)
            return lm15.ServerError("always", status=500)
        return None

    chosen = settings(num_pairs=12, holdout=3)
    run = Run(tmp_path / "run")
    fake = Fake(misbehave)
    outcome = walk_with(fake, tmp_path / "run", chosen, OPTICS, quota=Quota(chosen, {OPTICS.id: 12}))
    assert outcome.tally.instructions == 12 and outcome.tally.held_out == 3 and not outcome.failed
    assert dead and not dead & {id for id, _, _ in pairs(tmp_path / "run")}
    assert run.exists


@pytest.mark.parametrize("changes", [{"num_pairs": 12}, {"holdout": 2}, {"num_pairs": 12, "holdout": 2}])
def test_a_syllabus_that_never_comes_is_asked_for_once_a_phase(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The others bring what is wanted; it has the fewest pairs, so that each round would turn to it first."""
    chosen = settings(**changes, max_number_of_subjects=3)
    shares = {OPTICS.id: 12} if "num_pairs" in changes else None
    lost: set[str] = set()
    fake = Fake(lambda call: no_reply(call, lost))
    outcome = walk_with(fake, tmp_path / "run", chosen, OPTICS, attempts=1, quota=Quota(chosen, shares))
    assert len([key for key in fake.calls if lost & set(key.split("/"))]) == 1 + ("holdout" in changes)
    assert outcome.tally.held_out == chosen.holdout and not outcome.bugs
    assert bool(outcome.failed) == (shares is None)  # with a number of pairs that was reached, nothing is left to do
    assert outcome.tally.instructions == (12 if shares else 2 * chosen.samples_per_syllabus)


def test_a_syllabus_that_never_comes_leaves_its_discipline_open_and_is_no_bug(tmp_path: Path) -> None:
    """Though the questions of all the others had waited for it to be judged."""
    chosen = settings(generate_question_only=True, max_number_of_subjects=3)
    lost: set[str] = set()

    def misbehave(call: Any) -> Any:
        return no_reply(call, lost)

    class Slow(Fake):
        async def complete(self, request: Request) -> Response:
            call = CALL.get()
            if call and no_reply(call, lost):
                await asyncio.sleep(0.3)
            return await super().complete(request)

    outcome = walk_with(Slow(misbehave), tmp_path / "run", chosen, OPTICS, attempts=1)
    assert not outcome.bugs and outcome.failed == ["Optics"] and "no reply" in outcome.why
    assert outcome.tally.questions == 2 * chosen.samples_per_syllabus


def no_reply(call: Any, lost: set[str]) -> Any:
    """An error for the first syllabus that is asked for, each time; `lost` has its id."""
    if call.stage.startswith("syllabus") and (not lost or call.item in lost):
        lost.add(call.item)
        return lm15.ServerError("always", status=500)
    return None


def test_a_discipline_that_failed_and_came_through_when_it_was_given_more_is_no_failure(tmp_path: Path) -> None:
    """What the one left of its candidates goes to the other, whose open items get their replies this time."""
    dead: set[str] = set()

    class DownForOptics(Fake):
        async def complete(self, request: Request) -> Response:
            call = CALL.get()
            assert call
            others = any(key.startswith("question") for key in self.calls)  # or it would be taken for a wrong address
            asked = call.stage.startswith("question") and "Optics" in str(request) and others
            if asked and call.item not in dead and len(dead) < 8:
                dead.add(call.item)
                raise lm15.ServerError("down", status=500)
            return await super().complete(request)

    chosen, both = settings(num_pairs=40), (OPTICS, GEOLOGY)
    quota = Quota(chosen, {discipline.id: 20 for discipline in both})
    outcome = walk_with(DownForOptics(lambda call: None), tmp_path / "run", chosen, *both, attempts=1, quota=quota)
    assert outcome.tally.instructions == 40 and not outcome.short and not outcome.failed
    assert outcome.tally.disciplines_done == 2 and outcome.tally.failed.total() == 8


def test_a_test_set_that_falls_short_is_told(tmp_path: Path) -> None:
    words = [
        "generate",
        "--model-name",
        "rehearsal?refuse=0.75",
        "--model-name-for-curriculum",
        "rehearsal",
        "-o",
        "run",
    ]
    words += ["--language", "English", "--discipline", "Optics", "--holdout", "8", "--num-iterations", "10"]
    short = glan(*words, cwd=tmp_path, check=3)
    assert "pairs short of the test sets in Optics" in short.stderr and "--candidate-budget" in short.stderr
    assert not json.loads(glan("status", "run", "--json", cwd=tmp_path).stdout)["complete"]


@pytest.mark.parametrize("seed", range(4))
def test_questions_first_and_answers_later_fill_the_same_test_set(tmp_path: Path, seed: int) -> None:
    run = Run(tmp_path / "run")
    chosen = settings(holdout=8, seed=seed, model_name="rehearsal?refuse=0.2", num_iterations=4)
    generate(run, chosen.model_copy(update={"generate_question_only": True}), [OPTICS, GEOLOGY])
    assert status(run)["complete"]
    generate(run, chosen, [OPTICS, GEOLOGY])
    held_out, training = rows(tmp_path / "run", "holdout"), rows(tmp_path / "run", "instructions")
    assert len(held_out) == 16 and all(row["held_out"] for row in held_out)
    assert not any(row["held_out"] for row in training) and status(run)["complete"]


@pytest.mark.parametrize("seed", range(8))
def test_a_larger_number_stays_within_its_candidate_budget(tmp_path: Path, seed: int) -> None:
    run = Run(tmp_path / "run")
    for number in (24, 40, 60):
        chosen = settings(num_pairs=number, candidate_budget=1.25, seed=seed, model_name="rehearsal?refuse=0.1")
        generate(run, chosen, [OPTICS, GEOLOGY, Discipline(name="Law")])
        asked = {row["id"] for row in rows(tmp_path / "run", "questions")}
        asked |= {row["id"] for row in rows(tmp_path / "run", "rejected") if row["stage"] == "question"}
        assert len(asked) <= 1.25 * number


def test_a_small_syllabus_that_the_test_set_used_up_is_complete(tmp_path: Path) -> None:
    chosen = settings(
        model_name="rehearsal?refuse=0.15", seed=3, num_iterations=6, max_number_of_session_name=1, holdout=6
    )
    generate(Run(tmp_path / "run"), chosen, [OPTICS, GEOLOGY])
    assert status(Run(tmp_path / "run"))["complete"]


def test_subjects_without_a_syllabus_are_told_apart_from_used_up_ones(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    faulty = "rehearsal?bad_json=0.7"
    chosen = settings(
        model_name_for_curriculum=faulty, max_asks=1, num_subject_queries=8, num_pairs=40, max_number_of_session_name=1
    )
    outcome = generate(run, chosen, [OPTICS, GEOLOGY])
    assert any(short.unplanned for short in outcome.short.values())
    better = chosen.model_copy(update={"model_name_for_curriculum": "rehearsal"})
    repair(run, better, compile_filter('stage == "syllabus"'), "x")
    generate(run, chosen, [OPTICS, GEOLOGY])
    assert len(pairs(tmp_path / "run")) == 40


def test_the_test_set_is_guarded_without_gates_too(tmp_path: Path) -> None:
    chosen = settings(model_name="rehearsal?duplicate=0.6", num_pairs=40, holdout=5, gates=False)
    generate(Run(tmp_path / "run"), chosen, [OPTICS, GEOLOGY])
    held_out = {row["question"] for row in rows(tmp_path / "run", "holdout")}
    assert not held_out & {row["question"] for row in rows(tmp_path / "run", "instructions")}
    assert {row["reason"] for row in rows(tmp_path / "run", "rejected")} == {"holdout"}


def test_a_plan_names_all_questions_that_may_be_bought() -> None:
    chosen = settings(num_pairs=200, holdout=5)
    assert counts(chosen, 4)["question"] == 260 + 4 * allowance(chosen)
    assert counts(settings(num_pairs=200), 4)["question"] == 260


def test_a_discipline_that_gets_no_share_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    generate(run, settings(num_pairs=10), [OPTICS])
    with pytest.warns(UserWarning, match="none are left for 'Geology'"):
        generate(run, settings(num_pairs=10), [OPTICS, GEOLOGY])


def test_weights_that_are_gone_do_not_stop_a_run_that_has_its_shares(tmp_path: Path) -> None:
    weights = tmp_path / "weights.csv"
    weights.write_text("Optics,3\n")
    chosen = settings(num_pairs=12, weights=str(weights))
    generate(Run(tmp_path / "run"), chosen, [OPTICS, GEOLOGY])
    weights.unlink()
    assert generate(Run(tmp_path / "run"), chosen, [OPTICS, GEOLOGY]).tally.instructions == 12


def test_a_reply_is_signed_by_the_model_that_wrote_it(tmp_path: Path) -> None:
    """After a killed repair comes one with another model: it takes none of the first one's replies."""
    run, chosen = Run(tmp_path / "run"), settings(model_name="rehearsal?refuse=0.4")
    generate(run, chosen, [OPTICS])
    where = compile_filter('stage == "question"')
    repair(run, chosen.model_copy(update={"model_name": "rehearsal?latency=0.0001"}), where, "x")
    # As if killed between the reply and its judgement: the replies stay, what became of them is gone.
    for name in ("instructions", "rejected"):
        (file,) = tmp_path.glob(f"run/disciplines/*/{name}.jsonl")
        kept = [line for line in file.read_text().splitlines(True) if '"rehearsal?latency' not in line]
        file.write_text("".join(kept))
    repair(run, chosen.model_copy(update={"model_name": "rehearsal"}), where, "x")
    models = {line["id"]: line["model"] for line in rows(tmp_path / "run", "calls")}
    made = rows(tmp_path / "run", "instructions")
    assert any(row["question_model"] == "rehearsal" for row in made)
    assert all(models[row["question_call"]] == row["question_model"] for row in made)


def test_an_edited_line_is_left_alone_by_repair(tmp_path: Path) -> None:
    run, chosen = Run(tmp_path / "run"), settings(model_name="rehearsal?refuse=0.3")
    generate(run, chosen, [OPTICS])
    (file,) = tmp_path.glob("run/disciplines/*/rejected.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[0]["item"] = {"edited": True}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    outcome, counts = repair(
        run, chosen.model_copy(update={"model_name": "rehearsal"}), compile_filter("not simulated or simulated"), "x"
    )
    assert counts.total() == len(lines) - 1 and not outcome.bugs


def test_the_run_is_begun_before_anything_is_asked(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    begin(run, "generate", settings(), [OPTICS], "digest")
    assert status(run)["complete"] is False
