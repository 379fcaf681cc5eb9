"""What a run costs, and that it never costs more than it may: the server adds up what it charged."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import BillingError, Config, Message, Request, Response, Usage
from dspy.utils.exceptions import LMBillingError
from hypothesis import given
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
from glan_dspy.run.generate import generate
from glan_dspy.run.money import open_budget
from glan_dspy.run.plan import plan, total_dollars
from glan_dspy.run.status import status
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
