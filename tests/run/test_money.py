"""What a run costs, and that it never costs more than it may: the server adds up what it charged."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Config, Message, Request, Usage
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.loopback import Loopback
from glan_dspy.engines.budget import Budget
from glan_dspy.engines.tariff import FREE, Tariff, for_model, listed, prompt_bound
from glan_dspy.errors import UserError
from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings
from tests.loopback_thread import command, environment, glan, pairs, rows, running

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
            process = subprocess.Popen(command(*words), cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
            before = sum(server.answered.values())
            while process.poll() is None and sum(server.answered.values()) < before + 15:
                time.sleep(0.02)
            process.kill()
            process.wait()
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
    assert for_model(["2.5", "a/b=0.1"], "a/b") == 0.1 and for_model(["2.5", "a/b=0.1"], "c") == 2.5
    assert for_model([], "c") is None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 5000))
def test_the_worst_case_is_one(text: str, limit: int) -> None:
    request = Request(model="m", system=text, messages=(Message.user(text + "x"),), config=Config(max_tokens=limit))
    assert prompt_bound(request) >= 2 * len(text.encode())
    usage = Usage(input_tokens=2 * len(text.encode()) + 8, output_tokens=limit)
    tariff = Tariff(3.0, 15.0)
    assert (tariff.worst(request) or 0) >= (tariff.cost(usage) or 0)


def test_reservations_settle_to_what_was_charged() -> None:
    import asyncio

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
