"""What a run will take, told before it begins: calls, tokens, dollars, hours; from priors or from a pilot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glan_dspy.errors import UserError
from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.judge import Wanted, judge
from glan_dspy.run.pilot import bytes_a_pair, uses_of
from glan_dspy.run.plan import hours, plan, total_dollars
from glan_dspy.run.status import Survey
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings


def disciplines(number: int) -> list[Discipline]:
    return [Discipline(name=f"Discipline {n}") for n in range(number)]


def planned(**changes: Any) -> Settings:
    return Settings(**{"model_name": "gpt-4o-mini", **changes})


def test_a_plan_is_priced_by_stage_and_in_all() -> None:
    rows = plan(planned(), 10)
    total = total_dollars(rows)
    assert total is not None and 0 < total.low < total.high
    assert {row.stage: row.calls for row in rows} == {"subjects": 10, "syllabus": 20, "question": 200, "answer": 200}
    assert total_dollars(plan(planned(batch=True), 10)) == pytest.approx(total * 0.5)
    assert total_dollars(plan(planned(base_url="http://x/v1"), 10)) is None


def test_no_reply_is_planned_above_its_limit_but_by_its_thoughts() -> None:
    for row in plan(planned(question_max_tokens=60, answer_max_tokens=80), 10):
        assert row.reply_tokens.high <= row.calls * row.token_limit
    thinking = plan(planned(model_name="o3-mini"), 10)
    assert sum(row.reply_tokens.high for row in thinking) > sum(row.reply_tokens.high for row in plan(planned(), 10))


def test_the_hours_follow_the_pace() -> None:
    slow, fast = planned(rpm=6), planned(question_batch_size=50, answer_batch_size=50)
    assert hours(slow, plan(slow, 10)).low == pytest.approx(430 / 6 / 60)
    assert hours(fast, plan(fast, 10)).high < hours(planned(), plan(planned(), 10)).high


def test_a_limit_on_the_rate_shortens_no_plan() -> None:
    """The rate's own figure may lie within the range that the calls in flight give."""
    free, limited = planned(), planned(rpm=600)
    without, within = hours(free, plan(free, 100)), hours(limited, plan(limited, 100))
    assert without.low <= within.low and without.high <= within.high


def test_a_pilot_tells_what_a_larger_run_takes(tmp_path: Path) -> None:
    settings = Settings(model_name="rehearsal", language="English", price_in=("1",), price_out=("2",))
    generate(Run(tmp_path / "pilot"), settings, disciplines(8))
    generate(Run(tmp_path / "large"), settings, disciplines(40))
    large = Survey()
    for discipline in disciplines(40):
        large.add_calls(Run(tmp_path / "large").shelf(discipline))
    rows = plan(settings, 40, uses_of(Run(tmp_path / "pilot"), settings))
    told = sum(row.prompt_tokens.low for row in rows), sum(row.prompt_tokens.high for row in rows)
    assert told[0] * 0.97 < large.prompt_tokens < told[1] * 1.03
    assert (bytes_a_pair(Run(tmp_path / "pilot")) or 0) > 1000


def test_a_pilot_that_was_judged_tells_what_it_told_before(tmp_path: Path) -> None:
    settings, run = Settings(model_name="rehearsal", language="English"), Run(tmp_path / "pilot")
    generate(run, settings, disciplines(1))
    before = uses_of(run, settings)
    judge(run, settings, Wanted())
    assert uses_of(run, settings) == before


def test_a_pilot_with_short_syllabi_is_stretched_by_the_priors(tmp_path: Path) -> None:
    settings = Settings(model_name="rehearsal", language="English")
    generate(Run(tmp_path / "pilot"), settings, disciplines(4))
    longer = settings.model_copy(update={"max_number_of_session_name": 30})
    short, long = (uses_of(Run(tmp_path / "pilot"), s)["question"].prompt.low for s in (settings, longer))
    assert 2 < long / short < 6


def test_too_small_a_pilot_is_refused(tmp_path: Path) -> None:
    settings = Settings(model_name="rehearsal", max_number_of_subjects=1, num_iterations=1)
    generate(Run(tmp_path / "pilot"), settings.model_copy(update={"num_questions_per_iteration": 1}), disciplines(1))
    with pytest.raises(UserError, match="too few calls"):
        uses_of(Run(tmp_path / "pilot"), settings)
