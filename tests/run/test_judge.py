"""A run judged: each pair once a model, nothing bought twice, never more than may be spent."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from glan_dspy.engines.rehearsal_ask import inputs_of
from glan_dspy.errors import UserError
from glan_dspy.filtering import compile_filter
from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.judge import Marks, Wanted, judge
from glan_dspy.run.judgements import judgements_by, read_scores
from glan_dspy.run.lines import dump
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome
from glan_dspy.settings import Settings
from tests import bad_server
from tests.loopback_thread import counts, rows, running
from tests.processes import glan, start

MADE = Settings(model_name="rehearsal", language="English", max_number_of_subjects=1, num_iterations=1)
"""Ten pairs of two disciplines."""

WELL = {"why": " Nothing is wrong. ", "correct": 5, "self_contained": "4/5", "fits": 4.0, "useful": 3}


class Judge:
    """A judge that says the same of every pair; its answers end in 42 twice and in 41 the third time."""

    def __init__(self, said: dict[str, Any] | None = None) -> None:
        self.said = said or WELL
        self.judged: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    async def complete(self, http: web.Request) -> web.StreamResponse:
        body = orjson.loads(await http.read())
        question = inputs_of(body["messages"][-1]["content"])["question"]
        if "response_format" in body:
            self.judged[question] += 1
            text = json.dumps(self.said)
        else:
            self.answered[question] += 1
            text = f"Work it out.\n\nAnswer: {41 if self.answered[question] == 3 else 42}"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return web.json_response({"id": "x", "model": "m", "choices": [choice], "usage": USAGE})


USAGE = {"prompt_tokens": 1000, "completion_tokens": 200}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    generate(made, MADE, [Discipline(name="Optics"), Discipline(name="Algebra")])
    assert len(rows(made.path, "instructions")) == 10
    return made


def judged(run: Run, base_url: str, wanted: Wanted | None = None, **more: Any) -> tuple[Outcome, Marks]:
    settings = MADE.model_copy(update={"model_name_for_answer": "sim", "base_url": base_url, **more})
    return judge(run, settings, wanted or Wanted())


def ending_in(run: Run, ends: dict[str, str]) -> None:
    """Puts these words at the end of the pairs' answers, by discipline; those of the others end in words."""
    for discipline in run.disciplines():
        path = run.shelf(discipline).path / "instructions.jsonl"
        pairs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        end = ends.get(discipline.name, "So it goes.")
        path.write_bytes(b"".join(dump({**pair, "answer": f"Some steps.\n\n{end}"}) for pair in pairs))


def scores_of(run: Run) -> dict[str, float]:
    return {id: score for d in run.disciplines() for id, score in read_scores(run.shelf(d)).items()}


def test_every_accepted_pair_is_judged_and_a_rerun_buys_nothing(run: Run) -> None:
    server = Judge()
    with bad_server.running(server) as base_url:
        outcome, marks = judged(run, base_url)
        assert (marks.judged, marks.before, outcome.tally.calls) == (10, 0, 10)
        again, marks = judged(run, base_url)
        assert (marks.judged, marks.before, again.tally.calls) == (10, 10, 0)
    assert sum(server.judged.values()) == len(server.judged) == 10
    lines = rows(run.path, "judgements")
    assert {line["id"] for line in lines} == {pair["id"] for pair in rows(run.path, "instructions")}
    scores = {"correct": 5, "self_contained": 4, "fits": 4, "useful": 3}
    for line in lines:
        assert list(line) == ["id", "scores", "score", "why", "votes", "model", "call", "time"]
        assert (line["scores"], line["score"], line["votes"], line["model"]) == (scores, 4.0, None, "sim")
        assert line["why"] == "Nothing is wrong."
    calls = {line["id"]: line for line in rows(run.path, "calls")}
    assert all(calls[line["call"]]["stage"] == "judge.score" for line in lines)
    assert marks.sums == Counter({name: 10 * score for name, score in scores.items()})


def test_another_model_judges_again_and_the_newest_score_counts(run: Run) -> None:
    with bad_server.running(Judge()) as base_url:
        judged(run, base_url)
    with bad_server.running(Judge({**WELL, "correct": 1})) as base_url:
        _, marks = judged(run, base_url, model_name_for_answer="other")
    assert (marks.judged, marks.before) == (10, 0)
    assert set(scores_of(run).values()) == {3.0} and len(scores_of(run)) == 10
    assert all(line["score"] == 4 for d in run.disciplines() for line in judgements_by(run.shelf(d), "sim").values())


def test_dropped_and_held_out_pairs_are_not_judged(run: Run) -> None:
    optics = run.shelf(run.disciplines()[0])
    pairs = list(optics.read("instructions"))
    optics.append("decisions", {"id": pairs[0]["id"], "decision": "dropped", "reason": "duplicate"})
    optics.append("holdout", {**pairs[1], "id": "apart", "held_out": True})
    optics.close()
    with bad_server.running(Judge()) as base_url:
        assert judged(run, base_url)[1].judged == 9
    assert not {pairs[0]["id"], "apart"} & scores_of(run).keys()


def test_a_sample_is_the_same_each_time_and_part_of_a_larger_one(run: Run) -> None:
    server = Judge()
    with bad_server.running(server) as base_url:
        for sample, bought in ((3, 3), (3, 0), (6, 3), (100, 4)):
            outcome, marks = judged(run, base_url, Wanted(sample=sample))
            assert (marks.judged, outcome.tally.calls) == (min(sample, 10), bought)


def test_only_what_fits_is_judged_and_an_earlier_score_can_be_asked_for(run: Run) -> None:
    with bad_server.running(Judge()) as base_url:
        _, marks = judged(run, base_url, Wanted(compile_filter('discipline == "Optics"')))
        assert marks.judged == 5
        _, marks = judged(run, base_url, Wanted(compile_filter("not score")))
        assert (marks.judged, marks.before) == (5, 0)
        with pytest.raises(UserError, match="no accepted pair that fits --only"):
            judged(run, base_url, Wanted(compile_filter("score < 2")))


def test_votes_tell_how_many_further_answers_agree(run: Run) -> None:
    ending_in(run, {"Optics": "Answer: 42.0"})
    server = Judge()
    with bad_server.running(server) as base_url:
        judged(run, base_url)
        outcome, marks = judged(run, base_url, Wanted(votes=2))
        assert (outcome.tally.calls, marks.judged, marks.voted, marks.asked, marks.agreeing) == (10, 10, 5, 10, 10)
        outcome, marks = judged(run, base_url, Wanted(votes=3))
        assert (outcome.tally.calls, marks.voted, marks.asked, marks.agreeing) == (5, 5, 15, 10)
        assert judged(run, base_url, Wanted(votes=3))[0].tally.calls == 0
    assert set(server.judged.values()) == {1} and set(server.answered.values()) == {3}
    optics, algebra = (judgements_by(run.shelf(d), "sim").values() for d in run.disciplines())
    assert all(line["votes"] == {"asked": 3, "agree": 2, "own": "42.0"} and line["score"] == 4 for line in optics)
    assert all(line["votes"] is None for line in algebra)
    votes = rows(run.path, "votes")
    assert len(votes) == len({(vote["id"], vote["number"]) for vote in votes}) == 15
    assert {vote["said"] for vote in votes} == {"42", "41"}


@pytest.mark.parametrize("said", [{**WELL, "fits": 6}, {"why": "good", "correct": 5}, {**WELL, "correct": "high"}])
def test_a_judgement_that_cannot_be_used_is_on_record_and_is_not_bought_again(run: Run, said: dict[str, Any]) -> None:
    some = Wanted(sample=2, votes=2)
    server = Judge(said)
    with bad_server.running(server) as base_url:
        outcome, marks = judged(run, base_url, some)
        assert (outcome.tally.calls, marks.judged, marks.unusable, outcome.reason) == (6, 0, 2, "")
        assert judged(run, base_url, some)[0].tally.calls == 0
    assert not server.answered and scores_of(run) == {}
    for line in rows(run.path, "judgements"):
        assert (line["scores"], line["score"]) == (None, None) and line["why"].startswith("unparseable: ")


def test_a_killed_command_is_finished_by_the_same_one(tmp_path: Path, run: Run) -> None:
    ending_in(run, {"Optics": "Answer: 42", "Algebra": "Answer: 42"})
    with running("rehearsal?latency=0.1&server_error=0.1") as (base_url, _):
        words = ["judge", "run", "--model-name-for-judge", "sim", "--base-url", base_url, "--votes", "3",
                 "--concurrency", "4"]  # fmt: skip
        for target in (8, 20):
            process = start(*words, cwd=tmp_path)
            while process.running and counts(base_url)["answered"] < target:
                time.sleep(0.01)
            assert process.kill() < 0, "it was done before it could be killed"
        done = glan(*words, cwd=tmp_path)
        assert "10 pairs judged by sim" in done.stdout and "of 30 agree, on 10 pairs" in done.stdout
        served = counts(base_url)
    assert served["distinct"] == 40 and 40 <= served["answered"] <= 40 + 2 * 4
    assert len({(vote["id"], vote["number"]) for vote in rows(run.path, "votes")}) == 30


def test_the_cap_holds_and_a_higher_one_goes_on(run: Run) -> None:
    prices: dict[str, Any] = {"price_in": ("1000",), "price_out": ("1000",)}
    with bad_server.running(Judge()) as base_url:
        outcome, marks = judged(run, base_url, max_cost=12.0, concurrency=1, **prices)
        assert outcome.budget and 0 < marks.judged < 10
        _, marks = judged(run, base_url, max_cost=80.0, **prices)
        assert marks.judged == 10
    calls = [line for line in rows(run.path, "calls") if line["stage"] == "judge.score"]
    assert [line["cost_usd"] for line in calls] == [pytest.approx(1.2)] * 10


def test_a_cap_over_an_unknown_price_is_refused_before_anything_is_sent(run: Run) -> None:
    with pytest.raises(UserError, match="price of model 'sim' is not known"):
        judged(run, "http://127.0.0.1:9/v1", max_cost=1.0)
    assert rows(run.path, "judgements") == []


def test_scores_of_the_simulated_model_are_for_simulated_pairs_only(run: Run) -> None:
    _, marks = judge(run, MADE, Wanted())
    assert marks.judged == 10 and min(scores_of(run).values()) >= 1 and len(set(scores_of(run).values())) > 1
    about = run.about()
    run.write_about({**about, "settings": {**about["settings"], "model_name": "gpt-4o"}})
    with pytest.raises(UserError, match="name a real --model-name-for-judge"):
        judge(run, MADE, Wanted())


@pytest.mark.parametrize("adapter", ["chat", "json"])
def test_dspys_own_adapters_carry_a_judgement_too(run: Run, adapter: str) -> None:
    _, marks = judge(run, MADE.model_copy(update={"adapter": adapter}), Wanted())
    assert (marks.judged, marks.unusable) == (10, 0)


def test_scores_are_equal_at_any_concurrency(tmp_path: Path, run: Run) -> None:
    judge(run, MADE.model_copy(update={"model_name": "rehearsal?latency=0.005&bad_json=0.2"}), Wanted(votes=2))
    other = Run(tmp_path / "other")
    generate(other, MADE, run.disciplines())
    one = MADE.model_copy(update={"model_name": "rehearsal?latency=0.005&bad_json=0.2", "concurrency": 1})
    judge(other, one, Wanted(votes=2))
    assert scores_of(run) == scores_of(other) and len(scores_of(run)) >= 9


def test_a_run_without_pairs_says_so(tmp_path: Path) -> None:
    empty = Run(tmp_path / "run")
    generate(empty, MADE.model_copy(update={"generate_question_only": True}), [Discipline(name="Optics")])
    with pytest.raises(UserError, match="has no accepted pairs yet"):
        judge(empty, MADE, Wanted())
