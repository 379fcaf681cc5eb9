"""One pace of several workers: each call has leave, and while nothing holds calls back few of them ask for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.engines.pace import FIRST_WINDOW, Hard, Pace
from glan_dspy.errors import Stopped
from glan_dspy.run.serving import Endpoint, Paces
from glan_dspy.run.shared import NEWS, SharedPace, _no_news
from tests.clock import simulate


class Together:
    """A coordinator's side and so many workers', with a way of `delay` seconds between them."""

    def __init__(self, hard: Hard, workers: int, delay: float = 0.0) -> None:
        self.delay, self.said, self.sent, self.sending, self.most = delay, 0, 0, 0, 0
        self.endpoints: dict[str, Endpoint] = {}
        self.heard: list[tuple[int, bool]] = []
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
            self.heard.append((number, message["pace"]["easy"]))
            self.workers[number].go(message["pace"]["go"], message["pace"]["easy"])

        return lambda message: self._carry(message, hear)

    def _to_coordinator(self, number: int) -> Callable[[Any], None]:
        def send(message: Any) -> None:
            self.said += 1
            self._carry(message, lambda said: self.paces[number].hear(said["pace"]))

        return send

    @property
    def pace(self) -> Pace:
        return self.endpoints["m"].pace

    @property
    def in_flight(self) -> int:
        return sum(paces.in_flight for paces in self.paces)

    async def call(self, number: int, seconds: float, refused: bool = False) -> None:
        pace = self.workers[number]
        sent_at = await pace.enter()
        self.sent += 1
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
    """Time for what is on its way, and for spare places to go back."""
    await asyncio.sleep(3 * (NEWS + together.delay))


async def calling(together: Together, callers: int, calls: int, seconds: float) -> float:
    """So many callers, each of so many calls one after the other; gives back the seconds that it took."""

    chance = random.Random(callers)

    async def caller(number: int) -> None:
        for _ in range(calls):
            await together.call(number % len(together.workers), seconds * chance.uniform(0.5, 1.5))

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*map(caller, range(callers)))
    return asyncio.get_running_loop().time() - began


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
        assert together.in_flight == 0
        for endpoint in together.endpoints.values():
            assert endpoint.pace.in_flight == 0 and not endpoint.pace._in_line()
            assert endpoint.pace.refusals or endpoint.pace._sent == together.sent

    simulate(main)


@pytest.mark.parametrize("concurrency", [100, 110, 200])
def test_while_nothing_holds_calls_back_they_do_not_ask_each_for_itself(concurrency: int) -> None:
    async def main() -> None:
        together = Together(Hard(concurrency), 2, delay=0.03)
        seconds = await calling(together, callers=100, calls=60, seconds=0.1)
        assert together.pace.window >= 100 > FIRST_WINDOW
        assert seconds < 60 * 0.1 * 1.25  # which is what the slowest of a hundred needs: there is hardly any waiting
        assert together.said < 600  # to begin with they ask, until the window is wide enough
        await settled(together)
        assert together.pace._sent == 6000 and together.in_flight == 0

    simulate(main)


def test_a_rush_is_over_when_it_is_over() -> None:
    """Who asked in the rush, and then went in a place that was passed on, is not asked for any more."""

    async def main() -> None:
        together = Together(Hard(64), 2, delay=0.03)
        steady = asyncio.create_task(calling(together, callers=60, calls=60, seconds=0.1))
        await asyncio.sleep(1)
        await calling(together, callers=20, calls=2, seconds=0.1)
        await asyncio.sleep(1)
        before, began = together.said, asyncio.get_running_loop().time()
        await steady
        assert together.said - before < 2 * ((asyncio.get_running_loop().time() - began) / NEWS + 10)

    simulate(main)


def test_who_has_all_the_places_does_not_keep_them_from_another_worker() -> None:
    async def main() -> None:
        together = Together(Hard(10), 2, delay=0.03)
        greedy = [asyncio.create_task(together.call(0, 0.1)) for _ in range(600)]
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        for _ in range(5):
            await together.call(1, 0.1)
        assert asyncio.get_running_loop().time() - began < 20
        await asyncio.gather(*greedy)

    simulate(main)


def test_a_refusal_to_one_worker_ends_the_ease_of_all() -> None:
    async def main() -> None:
        together = Together(Hard(100), 2, delay=0.01)
        for _ in range(3):
            await asyncio.gather(*(together.call(number, 0.1) for number in (0, 1)))
        assert together.heard[-1][1]
        others = [asyncio.create_task(together.call(1, seconds)) for seconds in (*[0.095] * 9, 0.5)]
        await asyncio.gather(*(together.call(0, 0.1, refused=True) for _ in range(10)))
        sent = together.sent
        late = asyncio.create_task(together.call(0, 0.1))
        await asyncio.sleep(0.015)
        assert together.sent == sent  # a worker that was refused waits until the coordinator lets it go
        await asyncio.sleep(0.02)
        assert not together.heard[-1][1] and together.pace.refusals == 1
        assert together.in_flight == 1  # of the call that is still under way: no place is kept, and what ended is told
        assert together.pace._sent == together.sent
        await asyncio.gather(late, *others)
        await settled(together)
        assert together.in_flight == 0
        assert together.pace.rate is not None and not together.pace.is_easy

    simulate(main)


def test_a_place_that_was_cut_from_the_window_is_not_passed_on() -> None:
    async def main() -> None:
        pace = Pace(Hard(10))
        for _ in range(10):
            await pace.enter()
        assert pace.is_easy
        pace.window = 9.0
        assert not pace.is_easy

    simulate(main)


def test_calls_that_were_passed_on_count_where_refusals_are_few() -> None:
    async def main() -> None:
        pace = Pace(Hard(10))
        await pace.enter()
        pace.passed_on(999)
        for _ in range(5):
            pace.refused(pace.clock())
        assert pace.refusals == 0

    simulate(main)


def test_the_time_of_leave_is_by_the_coordinators_clock_and_by_its_quickest_message() -> None:
    async def main() -> None:
        pace = SharedPace("m", lambda message: None)
        loop = asyncio.get_running_loop()

        async def granted(late: float) -> float:
            asking = asyncio.create_task(pace.enter())
            await asyncio.sleep(0)
            pace.go([loop.time() + 1000 - late], True)
            return await asking

        assert await granted(late=0.0) == 1000
        await asyncio.sleep(50)
        assert await granted(late=5.0) == 1045
        pace.leave()
        assert await pace.enter() == 1050

    simulate(main)


def test_who_keeps_to_a_limit_of_the_users_asks_for_each_call() -> None:
    async def main() -> None:
        for hard in (Hard(100, rpm=6000.0), Hard(100, tpm=1e9)):
            together = Together(hard, 1)
            for _ in range(5):
                await together.call(0, 0.1)
            assert not any(easy for _, easy in together.heard)

    simulate(main)


def test_a_dead_workers_spare_places_are_free_and_nobody_writes_to_it() -> None:
    async def main() -> None:
        together = Together(Hard(4), 2, delay=0.01)
        await asyncio.gather(*(together.call(0, 0.1) for _ in range(4)))
        together.paces[0].lose()
        assert together.in_flight == 0 and not together.endpoints["m"].eased
        before = len(together.heard)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(together.call(1, 0.1) for _ in range(4)))
        assert asyncio.get_running_loop().time() < began + 0.2
        last = len(together.heard)
        asking = {"want": [0.0], "waiting": 1, "heard": together.workers[1]._heard}
        together.paces[1].hear({**_no_news(), **asking, "name": "m"})
        together.paces[1].lose()  # before it was told
        await settled(together)
        assert {number for number, _ in together.heard[before:last]} == {1} and len(together.heard) == last

    simulate(main)


def test_who_waits_no_more_is_taken_out_of_the_line() -> None:
    async def main() -> None:
        sent: list[Any] = []
        paces = Paces(Hard(3), {}, sent.append)

        def hear(**news: Any) -> None:
            paces.hear({**_no_news(), "heard": len(gone()), "name": "m", **news})

        def gone() -> list[float]:
            return [time for message in sent for time in message["pace"]["go"]]

        hear(want=[0.0] * 8, waiting=8)
        await asyncio.sleep(0)
        assert len(gone()) == 3
        hear(waiting=2)  # of the five that were left, three have given up
        hear(waiting=2, left=3)
        await asyncio.sleep(0.1)
        assert len(gone()) == 5 and paces.in_flight == 2

    simulate(main)
