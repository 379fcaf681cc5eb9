"""One pace of several workers: each call has leave, and while nothing holds calls back few of them ask for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.engines.pace import FIRST_WINDOW, Hard
from glan_dspy.errors import Stopped
from glan_dspy.run.serving import Endpoint, Paces
from glan_dspy.run.shared import NEWS, SharedPace
from tests.clock import simulate


class Together:
    """A coordinator's side and so many workers', with a way of `delay` seconds between them."""

    def __init__(self, hard: Hard, workers: int, delay: float = 0.0) -> None:
        self.delay, self.said, self.sending, self.most = delay, 0, 0, 0
        self.endpoints: dict[str, Endpoint] = {}
        self.heard: list[bool] = []
        self.workers: list[SharedPace] = []
        self.paces: list[Paces] = []
        for number in range(workers):
            self.paces.append(Paces(hard, self.endpoints, self._to_worker(number)))
            self.workers.append(SharedPace("m", self._to_coordinator(number)))

    def _carry(self, message: Any, hear: Callable[[Any], None]) -> None:
        said = orjson.loads(orjson.dumps(message))
        asyncio.get_running_loop().call_later(self.delay, hear, said)

    def _to_worker(self, number: int) -> Callable[[Any], None]:
        def hear(message: Any) -> None:
            self.heard.append(message["pace"]["easy"])
            self.workers[number].go(message["pace"]["go"], message["pace"]["easy"])

        return lambda message: self._carry(message, hear)

    def _to_coordinator(self, number: int) -> Callable[[Any], None]:
        def send(message: Any) -> None:
            self.said += 1
            self._carry(message, lambda said: self.paces[number].hear(said["pace"]))

        return send

    @property
    def in_flight(self) -> int:
        return sum(paces.in_flight for paces in self.paces)

    async def call(self, number: int, seconds: float, refused: bool = False) -> None:
        pace = self.workers[number]
        sent_at = await pace.enter()
        self.sending += 1
        self.most = max(self.most, self.sending)
        assert self.sending <= self.in_flight
        try:
            await asyncio.sleep(seconds)
            if refused:
                pace.refused(sent_at, 0.1)
        finally:
            self.sending -= 1
            pace.leave()
        if not refused:
            pace.served(100)


async def settled(together: Together) -> None:
    """Time for what is on its way or told later, and for calls given up in line, whose leave comes and goes back."""
    await asyncio.sleep(4 * NEWS + 1000 * together.delay)


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 80), st.sampled_from([0.0, 0.01, 0.3]),
       st.sampled_from([0.0, 0.0, 0.01, 0.2]), st.booleans())  # fmt: skip
def test_no_call_goes_without_leave_and_all_leave_comes_back(
    seed: int, workers: int, concurrency: int, delay: float, refusals: float, stops: bool
) -> None:
    chance = random.Random(seed)

    async def main() -> None:
        together = Together(Hard(concurrency), workers, delay)

        async def caller(number: int) -> None:
            for _ in range(chance.randrange(1, 8)):
                await asyncio.sleep(chance.choice([0, 0, 0.05, 1]))
                call = together.call(number, chance.choice([0.001, 0.05, 0.7]), chance.random() < refusals)
                try:
                    await asyncio.wait_for(call, chance.choice([0.02, 600, 600, 600]))
                except TimeoutError:
                    pass
                except Stopped:
                    return

        callers = [asyncio.create_task(caller(chance.randrange(workers))) for _ in range(40)]
        if stops:
            await asyncio.sleep(chance.random() * 3)
            for endpoint in together.endpoints.values():
                endpoint.pace.stop()
            await asyncio.sleep(delay)
            for worker in together.workers:
                worker.stop()
        await asyncio.gather(*callers)
        await settled(together)
        assert together.most <= concurrency
        assert together.in_flight == 0 == sum(endpoint.pace.in_flight for endpoint in together.endpoints.values())

    simulate(main)


def test_while_nothing_holds_calls_back_they_do_not_ask_each_for_itself() -> None:
    async def main() -> None:
        together = Together(Hard(200), 2, delay=0.02)

        async def caller(number: int, calls: int) -> None:
            for _ in range(calls):
                await together.call(number, 0.1)

        await asyncio.gather(*(caller(number % 2, 5) for number in range(100)))
        assert together.endpoints["m"].pace.window >= 100 > FIRST_WINDOW
        before, began = together.said, asyncio.get_running_loop().time()
        await asyncio.gather(*(caller(number % 2, 50) for number in range(100)))
        seconds = asyncio.get_running_loop().time() - began
        assert seconds < 50 * 0.1 + 0.2  # no waiting between a call and the next one
        assert together.said - before < 2 * (seconds / NEWS + 10)
        await settled(together)
        assert together.endpoints["m"].pace._sent == 5500 and together.in_flight == 0

    simulate(main)


def test_a_refusal_to_one_worker_ends_the_ease_of_all() -> None:
    async def main() -> None:
        together = Together(Hard(100), 2, delay=0.02)
        for _ in range(3):
            await asyncio.gather(*(together.call(number, 0.1) for number in (0, 1)))
        assert together.heard[-1]
        burst = [together.call(0, 0.1, refused=True) for _ in range(10)]
        await asyncio.gather(together.call(1, 0.5), *burst)
        pace = together.endpoints["m"].pace
        assert not together.heard[-1] and pace.refusals == 1
        await settled(together)
        assert together.in_flight == 0
        await together.call(1, 0.1)
        assert pace.rate is not None and not pace.is_easy

    simulate(main)


def test_who_keeps_to_a_limit_of_the_users_asks_for_each_call() -> None:
    async def main() -> None:
        for hard in (Hard(100, rpm=6000.0), Hard(100, tpm=1e9)):
            together = Together(hard, 1)
            for _ in range(5):
                await together.call(0, 0.1)
            assert not any(together.heard)

    simulate(main)


def test_a_dead_workers_spare_places_are_free() -> None:
    async def main() -> None:
        together = Together(Hard(4), 2)
        await asyncio.gather(*(together.call(0, 0.1) for _ in range(4)))
        together.paces[0].lose()
        assert together.in_flight == 0
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(together.call(1, 0.1) for _ in range(4)))
        assert asyncio.get_running_loop().time() < began + 0.2

    simulate(main)
