"""What a run costs, and that it never costs more than it may: the server adds up what it charged."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import BillingError, Config, Message, Request, Response, Usage
from dspy.utils.exceptions import LMBillingError
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.loopback import Loopback
from glan_dspy import generate_subjects
from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.budget import Budget
from glan_dspy.engines.meter import Meter
from glan_dspy.engines.tariff import FREE, Tariff, for_model, listed, prompt_bound
from glan_dspy.errors import UserError
from glan_dspy.pricing import tariffs_of
from glan_dspy.records import Discipline
from glan_dspy.run import ledger
from glan_dspy.run.generate import generate
from glan_dspy.run.judge import Wanted, judge
from glan_dspy.run.money import open_budget
from glan_dspy.run.pilot import bytes_a_pair, uses_of
from glan_dspy.run.plan import hours, plan, total_dollars
from glan_dspy.run.status import Survey, status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings
from tests.loopback_thread import pairs, rows, running
from tests.processes import glan, start

PRICES: dict[str, Any] = {"price_in": ("100",), "price_out": ("400",)}
"""Dollars for a million tokens: so dear that a few dozen calls cost a dollar."""


def charged(server: Loopback, price_in: float = 100, price_out: float = 400) -> float:
    return (server.prompt_tokens * price_in + server.completion_tokens * price_out) / 1_000_000


def disciplines(number: int) -> list[Discipline]:
    return [Discipline(name=f"Discipline {n}") for n in range(number)]


@pytest.mark.parametrize("model", ["rehearsal?latency=0.01", "rehearsal?server_error=0.1&timeout=0.05&reset=0.05"])
@pytest.mark.parametrize("cap", [1.0, 2.5])
def test_the_cap_is_never_passed_and_nearly_used(tmp_path: Path, model: str, cap: float) -> None:
    with running(model) as (base_url, server):
        settings = Settings(model_name="sim", base_url=base_url, language="English", max_cost=cap,
                            answer_max_tokens=600, curriculum_max_tokens=800, **PRICES)  # fmt: skip
        outcome = generate(Run(tmp_path / "run"), settings, disciplines(20))
        assert outcome.budget and "of $" in outcome.budget
        assert charged(server) <= cap
        # Faults that may have been billed stay reserved; without them little is left unused.
        assert charged(server) > (0.5 if "latency" in model else 0.2) * cap
        assert status(Run(tmp_path / "run"))["cost_usd"] == pytest.approx(charged(server), rel=1e-6)


def test_the_cap_holds_over_all_commands_and_kills(tmp_path: Path) -> None:
    with running("rehearsal?latency=0.05") as (base_url, server):
        words = ["generate", "-o", "run", "--base-url", base_url, "--model-name", "sim", "--language", "English",
                 "--price-in", "100", "--price-out", "400", "--max-cost", "2", "--answer-max-tokens", "600",
                 "--curriculum-max-tokens", "800", "--num-iterations", "9"]  # fmt: skip
        for number in range(4):
            words += ["--discipline", f"Discipline {number}"]
        for _ in range(2):
            process = start(*words, cwd=tmp_path)
            before = sum(server.answered.values())
            while process.running and sum(server.answered.values()) < before + 15:
                time.sleep(0.02)
            process.kill()
        done = glan(*words, cwd=tmp_path, check=3)
        assert "the budget is reached" in done.stderr and "--max-cost 4" in done.stderr
        assert charged(server) <= 2
        again = glan("generate", "-o", "run", cwd=tmp_path, check=3)
        assert "the budget is reached" in again.stderr
        assert charged(server) <= 2
        made = len(pairs(tmp_path / "run"))
        glan("generate", "-o", "run", "--max-cost", "3", cwd=tmp_path, check=3)
        assert 2 < charged(server) <= 3 and len(pairs(tmp_path / "run")) > made


def test_an_unknown_price_refuses_the_cap_before_anything_is_made(tmp_path: Path) -> None:
    settings = Settings(model_name="my-own", base_url="http://127.0.0.1:9/v1", max_cost=5)
    with pytest.raises(UserError, match=r"price of model 'my-own' is not known.*--price-in"):
        generate(Run(tmp_path / "run"), settings, disciplines(1))
    assert not (tmp_path / "run").exists()


def test_unknown_costs_stay_unknown(tmp_path: Path) -> None:
    with running() as (base_url, _):
        settings = Settings(model_name="sim", base_url=base_url, language="English", num_iterations=1)
        generate(Run(tmp_path / "run"), settings, disciplines(1))
    assert status(Run(tmp_path / "run"))["cost_usd"] is None
    assert all(line["cost_usd"] is None for line in rows(tmp_path / "run", "calls"))


# --- prices -------------------------------------------------------------------------------------


def test_the_price_of_known_models_comes_with_its_source() -> None:
    tariff = listed("openai", "gpt-4o-mini")
    assert tariff is not None and tariff.known and "snapshot" in tariff.source
    assert tariff.input and tariff.output and 0 < tariff.input < tariff.output
    assert listed("openai", "no-such-model") is None


def test_a_cost_counts_cached_tokens_at_their_own_price() -> None:
    tariff = Tariff(input=10, output=100, cached=1)
    usage = Usage(input_tokens=1000, output_tokens=10, cache_read_tokens=600)
    assert tariff.cost(usage) == pytest.approx((400 * 10 + 600 * 1 + 10 * 100) / 1e6)
    assert Tariff(input=10, output=100, cached=1, cached_apart=True).cost(usage) == pytest.approx(
        (1000 * 10 + 600 + 1000) / 1e6
    )
    assert Tariff(input=10, output=100, share=0.5).cost(usage) == pytest.approx((1000 * 10 + 10 * 100) / 2e6)


def test_what_is_not_known_is_not_zero() -> None:
    assert Tariff(input=1.0).cost(Usage(input_tokens=1, output_tokens=1)) is None
    assert Tariff(1.0, 1.0).cost(Usage(input_tokens=1)) is None
    assert FREE.cost(Usage(input_tokens=1, output_tokens=1)) == 0.0


def test_a_price_for_one_model_goes_before_the_general_one() -> None:
    assert for_model(["2.5", "a/b=0.1"], {"a/b", "b"}) == 0.1 and for_model(["2.5", "a/b=0.1"], {"c"}) == 2.5
    assert for_model([], {"c"}) is None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 5000))
def test_the_worst_case_is_one(text: str, limit: int) -> None:
    request = Request(model="m", system=text, messages=(Message.user(text + "x"),), config=Config(max_tokens=limit))
    assert prompt_bound(request) >= 2 * len(text.encode())
    usage = Usage(input_tokens=2 * len(text.encode()) + 8, output_tokens=limit)
    tariff = Tariff(3.0, 15.0)
    assert (tariff.worst(request) or 0) >= (tariff.cost(usage) or 0)


def test_reservations_settle_to_what_was_charged() -> None:
    async def main(seed: int) -> None:
        rng = random.Random(seed)
        budget, really = Budget(cap=10.0, spent=1.0), 1.0

        async def call(number: int) -> None:
            nonlocal really
            worst = rng.uniform(0.1, 1.0)
            await budget.reserve(str(number), worst)
            await asyncio.sleep(0)
            cost: Any = rng.choice([worst * rng.random(), None, "refused"])
            if cost == "refused":
                budget.release(str(number))
            else:
                really += budget.settle(str(number), cost)
            assert budget.spent + sum(budget.reserved.values()) <= 10.0 + 1e-9

        results = await asyncio.gather(*(call(n) for n in range(60)), return_exceptions=True)
        assert any(isinstance(result, Exception) for result in results)
        assert budget.spent == pytest.approx(really) and not budget.reserved

    for seed in range(20):
        asyncio.run(main(seed))


def test_who_waits_for_room_is_served_in_order_and_one_that_never_fits_is_told() -> None:
    async def main() -> None:
        budget, order = Budget(cap=1.0), list[str]()
        await budget.reserve("first", 0.9)

        async def call(name: str, worst: float) -> None:
            await budget.reserve(name, worst)
            order.append(name)
            budget.settle(name, 0.01)

        calls = [asyncio.create_task(call(name, worst)) for name, worst in (("big", 0.8), ("small", 0.05))]
        given_up = asyncio.create_task(call("given up", 0.5))
        await asyncio.sleep(0)
        given_up.cancel()
        budget.release("first")
        await asyncio.gather(*calls)
        assert order == ["big", "small"]
        with pytest.raises(BillingError, match=r"\$0\.02.* of \$1\.00 are spent, and the next call may cost \$1\.50"):
            await budget.reserve("too big", 1.5)
        assert budget.needed == pytest.approx(1.52)

    asyncio.run(main())


def test_a_question_that_waits_in_a_batch_is_reserved_once_however_often_its_process_dies(tmp_path: Path) -> None:
    settings = Settings(model_name="sim", max_cost=1.0, price_in=("1",), price_out=("1",))
    run = Run(tmp_path / "run")
    generate(run, Settings(model_name="rehearsal"), [])

    async def reserve(id: str, key: str) -> None:
        with open_budget(run, settings) as budget:
            assert budget is not None
            await budget.reserve(id, 0.4, key)
            assert budget.spent + sum(budget.reserved.values()) == pytest.approx(0.4)

    for process in range(5):
        asyncio.run(reserve(f"call {process}", "answer/x/0"))

    async def alone() -> None:
        with open_budget(run, settings) as budget:
            assert budget is not None and budget.spent == pytest.approx(0.4)
            await budget.reserve("another", 0.4)

    asyncio.run(alone())
    with open_budget(run, settings) as budget:
        assert budget is not None and budget.spent == pytest.approx(0.8)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(2, 9))
@example([0, 2, 3, 0, 4, *[0] * 15, 1], 2)
def test_the_file_of_reservations_holds_what_is_open_and_not_much_more(moves: list[int], longest: int) -> None:
    open_ids: dict[str, None] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "LONGEST", longest)
        file = Path(folder) / "reserved.jsonl"
        book = ledger.Ledger(file, [{"id": "old", "usd": 1.0}], lambda: open_ids)
        for number, move in enumerate(moves):
            if str(move) in open_ids:
                del open_ids[str(move)]
            else:
                open_ids[str(move)] = None
                book.write({"id": str(move), "usd": number})
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            assert {"old", *open_ids} <= {line["id"] for line in lines}
            assert len(lines) <= 1 + 10 + longest
        book.close()


def test_a_call_that_ends_in_a_bug_keeps_nobody_waiting_for_its_room() -> None:
    class Broken:
        async def complete(self, request: Request) -> Response:
            raise ZeroDivisionError("ours")

    async def main() -> list[dict[str, Any]]:
        budget, noted = Budget(1.0), list[dict[str, Any]]()
        meter = Meter(Broken(), Tariff(input=1.0, output=1.0), budget)
        call = Call("answer", "x", record=noted.append)
        CALL.set(call)
        with pytest.raises(ZeroDivisionError):
            await meter.complete(Request(model="m", messages=(Message.user("Hi"),), config=Config(max_tokens=10)))
        assert not budget.reserved and budget.spent > 0
        with pytest.raises(BillingError):
            await asyncio.wait_for(budget.reserve("too much", 5.0), 1)
        return noted

    [line] = asyncio.run(main())
    assert line["error"] == "ZeroDivisionError" and line["reserved_usd"] > 0


def test_tokens_are_counted_as_the_api_counts_them_that_answers() -> None:
    def apart(model: str, **more: Any) -> tuple[bool, bool]:
        tariff = tariffs_of(Settings(model_name=model, price_in=("1",), price_out=("1",), **more))["question"]
        return tariff.cached_apart, tariff.reasoning_apart

    assert apart("anthropic/claude-sonnet-4-5") == (True, False) and apart("gemini/gemini-2.5-flash") == (False, True)
    for model in ("anthropic/claude-sonnet-4-5", "google/gemini-2.5-flash"):
        assert apart(model, base_url="https://router.example/v1") == (False, False)


def test_a_file_of_many_open_reservations_is_not_put_together_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "LONGEST", 10)
    open_ids = dict[str, None]()
    book = ledger.Ledger(tmp_path / "reserved.jsonl", [], lambda: open_ids)
    files = set[int]()
    for number in range(100):  # a new file has a new number, or takes that of the last one
        open_ids[str(number)] = None
        book.write({"id": str(number), "usd": 1.0})
        files.add(id(book._appender))
    book.close()
    assert len(files) <= 11


def test_what_a_dead_worker_had_in_flight_counts_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LONGEST", 10)
    settings = Settings(model_name="sim", max_cost=20.0, price_in=("1",), price_out=("1",))
    run = Run(tmp_path / "run")
    generate(run, Settings(model_name="rehearsal"), [])

    async def spend() -> None:
        with open_budget(run, settings) as budget:
            assert budget is not None
            await budget.reserve("the dead one's", 5.0)
            budget.lose("the dead one's")
            for number in range(30):  # which has the file put together anew
                await budget.reserve(str(number), 0.1)
                budget.settle(str(number), 0.0)

    asyncio.run(spend())
    calls = [{"id": str(number)} for number in range(30)]
    assert [line["usd"] for line in ledger.standing_in(run.path / "reserved.jsonl", calls)] == [5.0]


def test_a_reply_out_of_a_batch_that_is_read_once_more_leaves_no_reservation_standing(tmp_path: Path) -> None:
    """Noted by the first process, which died; reserved by the second, which found it noted."""
    file = tmp_path / "reserved.jsonl"
    book = ledger.Ledger(file, [])
    for id, item in (("first", "x"), ("second", "x"), ("third", "y")):
        book.write({"id": id, "usd": 0.4, "key": f"answer/{item}/0"})
    book.close()
    noted = {"id": "first", "stage": "answer", "item": "x", "ask": 0, "reply": "chatcmpl-1"}
    assert [line["id"] for line in ledger.standing_in(file, [noted])] == ["third"]


def test_a_line_that_somebody_edited_is_no_end_of_a_call(tmp_path: Path) -> None:
    book = ledger.Ledger(tmp_path / "reserved.jsonl", [])
    book.write({"id": "a", "usd": 0.4})
    book.close()
    assert len(ledger.standing_in(tmp_path / "reserved.jsonl", [{"note": "mine"}, {"reply": 1}, {}])) == 1


def test_one_name_at_two_endpoints_has_two_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    elsewhere = Settings(model_name="gpt-4o-mini", answer_base_url="http://127.0.0.1:9/v1")
    tariffs = tariffs_of(elsewhere)
    assert tariffs["question"].known and not tariffs["answer"].known
    assert total_dollars(plan(elsewhere, 10)) is None


def test_what_a_tier_costs_is_not_known_from_the_list() -> None:
    assert not tariffs_of(Settings(model_name="gpt-4o", extra_body={"service_tier": "priority"}))["answer"].known
    own = Settings(model_name="gpt-4o", extra_body={"service_tier": "flex"}, price_in=("1",), price_out=("2",))
    assert tariffs_of(own)["answer"].known


@pytest.mark.parametrize("name", ["model", "n", "messages", "stream"])
def test_what_decides_a_reply_cannot_be_added_to_it(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is not added"):
        Settings(extra_body={name: 2})


def test_thoughts_of_an_anthropic_model_are_reserved() -> None:
    request = Request(model="m", messages=(Message.user("x"),), config=Config(max_tokens=100))
    prices = {"price_in": ("1",), "price_out": ("10",), "model_name": "anthropic/claude-sonnet-4-5"}
    plain, thinking = (
        tariffs_of(Settings.model_validate({**prices, **more}))["answer"].worst(request)
        for more in ({}, {"reasoning_effort": "high"})
    )
    assert plain and thinking and thinking - plain == pytest.approx(16_384 * 10 / 1e6)
    usage = Usage(input_tokens=10, output_tokens=0, cache_write_tokens=1000)
    assert Tariff(1.0, 1.0, cached_apart=True).cost(usage) == pytest.approx(2010 / 1e6)


def test_calls_that_nobody_could_price_are_priced_when_a_cap_comes(tmp_path: Path) -> None:
    with running() as (base_url, server):
        first = Settings(model_name="sim", base_url=base_url, language="English", num_iterations=1)
        generate(Run(tmp_path / "run"), first, disciplines(1))
        capped = first.model_copy(update={"max_cost": 50.0, **PRICES})
        outcome = generate(Run(tmp_path / "run"), capped, disciplines(2))
        assert not outcome.budget
        with open_budget(Run(tmp_path / "run"), capped) as budget:
            assert budget is not None and budget.spent == pytest.approx(charged(server))


def test_the_functions_keep_to_a_cap(tmp_path: Path) -> None:
    with running() as (base_url, server):
        settings = Settings(
            model_name="sim",
            base_url=base_url,
            max_cost=0.3,
            curriculum_max_tokens=500,
            num_subject_queries=40,
            **PRICES,
        )
        with pytest.raises(LMBillingError, match=r"of \$0\.3.* are spent"):
            generate_subjects("Optics", settings)
        assert charged(server) <= 0.3
        with pytest.raises(UserError, match="price of model 'sim' is not known"):
            generate_subjects("Optics", settings.model_copy(update={"price_in": ()}))


# --- the plan -----------------------------------------------------------------------------------


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
