"""How fast an endpoint is asked, by a clock of the test's own and against servers that refuse."""

from __future__ import annotations

import asyncio
import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.engines.allowance import duration, refill
from glan_dspy.engines.pace import Hard, Pace
from glan_dspy.errors import Stopped
from tests.clock import simulate


class Bucket:
    """A server that serves `rate` a second with a burst, and refuses the rest with Retry-After."""

    def __init__(self, rate: float, burst: float, latency: float, wish: float | None = 1.0) -> None:
        self.rate, self.burst, self.latency, self.wish = rate, burst, latency, wish
        self.tokens, self.at = burst, 0.0
        self.served: list[float] = []
        self.refused: list[float] = []

    async def ask(self, pace: Pace) -> None:
        now = asyncio.get_running_loop().time
        sent_at = await pace.enter()
        try:
            self.tokens = min(self.burst, self.tokens + (now() - self.at) * self.rate)
            self.at = now()
            if self.tokens < 1:
                self.refused.append(now())
                pace.refused(sent_at, self.wish)
                return
            self.tokens -= 1
            await asyncio.sleep(self.latency)
            self.served.append(now())
            pace.served()
        finally:
            pace.leave()


def driven(server: Bucket, seconds: float, hard: Hard, workers: int = 200) -> None:
    async def main() -> None:
        pace = Pace(hard)

        async def worker() -> None:
            while asyncio.get_running_loop().time() < seconds:
                await server.ask(pace)

        await asyncio.gather(*(worker() for _ in range(workers)))

    simulate(main)


def between(times: list[float], start: float, end: float) -> int:
    return sum(start <= time < end for time in times)


@pytest.mark.parametrize("latency", [0.05, 2.0, 20.0])
@pytest.mark.parametrize("wish", [1.0, 0.1, None])
def test_a_rate_is_learned_from_refusals_and_kept(latency: float, wish: float | None) -> None:
    server = Bucket(rate=10, burst=10, latency=latency, wish=wish)
    driven(server, 400, Hard(concurrency=400), workers=400)
    assert between(server.served, 120, 360) >= 0.95 * 2400
    assert between(server.refused, 120, 360) <= 0.03 * 2400


def test_without_refusals_all_that_the_user_allows_is_in_flight() -> None:
    server = Bucket(rate=1e9, burst=1e9, latency=1.0)
    driven(server, 30, Hard(concurrency=1000), workers=2000)
    assert between(server.served, 10, 30) >= 0.99 * 1000 * 20


def test_the_window_starts_small_and_doubles() -> None:
    server = Bucket(rate=1e9, burst=1e9, latency=1.0)
    driven(server, 5, Hard(concurrency=1000), workers=2000)
    assert [between(server.served, second, second + 0.5) for second in (1, 2, 3)] == [32, 64, 128]


def test_a_rate_that_grows_again_is_found_again() -> None:
    server = Bucket(rate=2, burst=2, latency=0.1)

    async def main() -> None:
        pace = Pace(Hard(concurrency=100))

        async def worker() -> None:
            while asyncio.get_running_loop().time() < 400:
                if asyncio.get_running_loop().time() > 100:
                    server.rate = server.burst = 50
                await server.ask(pace)

        await asyncio.gather(*(worker() for _ in range(100)))

    simulate(main)
    assert between(server.served, 340, 400) >= 0.8 * 60 * 50


@pytest.mark.parametrize("rpm", [30, 600, 6000])
def test_a_hard_rate_is_kept_from_the_first_call_on(rpm: int) -> None:
    server = Bucket(rate=1e9, burst=1e9, latency=0.05)
    driven(server, 120, Hard(concurrency=500, rpm=rpm))
    assert between(server.served, 0, 60) <= rpm + 3
    assert between(server.served, 60, 120) >= 0.97 * rpm


@pytest.mark.parametrize("rpm", [0.5, 1, 3, 10, 600])
@pytest.mark.parametrize("latency", [0.05, 5.0])
def test_a_hard_rate_holds_in_any_minute_and_is_used(rpm: float, latency: float) -> None:
    sent: list[float] = []

    async def main() -> None:
        await asyncio.sleep(1234.5)  # a loop's clock does not begin at 0
        start = asyncio.get_running_loop().time()
        pace = Pace(Hard(concurrency=100, rpm=rpm))

        async def worker() -> None:
            while asyncio.get_running_loop().time() < start + 600:
                sent.append(await pace.enter() - start)
                await asyncio.sleep(latency)
                pace.served()
                pace.leave()

        await asyncio.gather(*(worker() for _ in range(60)))

    simulate(main)
    caught_up = 2 if rpm > 60 else 0  # of what a wait for something else made late; never more than 0.2 s
    assert max(between(sent, at, at + 60) for at in sent) <= max(1, rpm) + 1 + caught_up
    assert between(sent, 0, 600) >= 0.95 * rpm * 10


@pytest.mark.parametrize("rpm", [1, 3, 10])
def test_a_quiet_time_is_not_made_up_for(rpm: int) -> None:
    sent: list[float] = []

    async def main() -> None:
        pace = Pace(Hard(concurrency=100, rpm=rpm))

        async def call() -> None:
            sent.append(await pace.enter())
            pace.leave()

        for _ in range(3):
            await asyncio.gather(*(call() for _ in range(2 * rpm)))
            await asyncio.sleep(300)

    simulate(main)
    assert max(between(sent, at, at + 60) for at in sent) <= rpm + 1


def test_a_stop_wakes_all_who_wait_and_lets_nobody_in() -> None:
    async def main() -> None:
        pace = Pace(Hard(concurrency=100, rpm=1))
        await pace.enter()
        waiting = [asyncio.ensure_future(pace.enter()) for _ in range(5)]
        await asyncio.sleep(1)
        pace.stop()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [Stopped] * 5 and asyncio.get_running_loop().time() == 1
        await asyncio.sleep(100)
        with pytest.raises(Stopped):
            await pace.enter()
        assert pace.in_flight == 1
        pace.leave()

    simulate(main)


def test_who_is_cancelled_while_a_stop_comes_took_no_place() -> None:
    async def main() -> None:
        pace = Pace(Hard(concurrency=1))
        await pace.enter()
        waiting = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        pace.stop()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pace.in_flight == 1

    simulate(main)


def test_a_hard_token_rate_is_kept() -> None:
    served: list[float] = []

    async def main() -> None:
        pace = Pace(Hard(concurrency=500, tpm=60_000))

        async def worker() -> None:
            while asyncio.get_running_loop().time() < 300:
                await pace.enter(500)
                pace.served(1000)
                pace.leave()
                served.append(asyncio.get_running_loop().time())

        await asyncio.gather(*(worker() for _ in range(50)))

    simulate(main)
    assert 170 <= between(served, 120, 300) <= 180  # prompt and reply together are 1000 tokens, of 1000 a second


def test_a_burst_of_refusals_counts_once() -> None:
    async def main() -> None:
        pace = Pace(Hard(concurrency=100))
        sent = [await pace.enter() for _ in range(30)]
        await asyncio.sleep(10)
        for at in sent:
            pace.refused(at, None)
        assert pace.refusals == 1 and pace.window == pytest.approx(32 * 0.9)

    simulate(main)


def test_retry_after_holds_everybody_back() -> None:
    async def main() -> None:
        pace = Pace(Hard(concurrency=100))
        pace.refused(await pace.enter(), 30.0)
        pace.leave()
        await asyncio.gather(*(pace.enter() for _ in range(5)))
        assert asyncio.get_running_loop().time() >= 30.0

    simulate(main)


def test_who_gives_up_waiting_leaves_no_hole() -> None:
    async def main() -> None:
        pace = Pace(Hard(concurrency=1))
        await pace.enter()
        waiting = [asyncio.ensure_future(pace.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        pace.leave()
        await waiting[1]
        assert not waiting[2].done() and pace.in_flight == 1
        pace.leave()
        await waiting[2]
        assert pace.in_flight == 1

    simulate(main)


def test_the_last_tenth_of_an_allowance_is_used_at_the_speed_it_refills() -> None:
    headers = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "30",
               "x-ratelimit-reset-requests": "57s"}  # fmt: skip
    assert refill(headers, "requests") == pytest.approx(10)
    assert refill({**headers, "x-ratelimit-remaining-requests": "100"}, "requests") is None
    assert refill({}, "requests") is None and refill({**headers, "x-ratelimit-reset-requests": "?"}, "requests") is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("1d", 86400), ("7", 7)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@given(st.lists(st.tuples(st.sampled_from(["serve", "refuse", "cancel"]), st.floats(0, 5)), max_size=60))
def test_nobody_waits_for_ever(steps: list[tuple[str, float]]) -> None:
    async def main() -> None:
        pace = Pace(Hard(concurrency=3))
        due: list[float] = []

        async def call(kind: str, seconds: float) -> None:
            task = asyncio.ensure_future(pace.enter())
            if kind == "cancel":
                await asyncio.sleep(seconds / 5)
                if task.cancel():
                    return
                pace.leave()
                return
            at = await task
            heapq.heappush(due, seconds)
            await asyncio.sleep(seconds)
            if kind == "serve":
                pace.served(10)
            else:
                pace.refused(at, seconds)
            pace.leave()

        await asyncio.gather(*(call(kind, seconds) for kind, seconds in steps))
        assert pace.in_flight == 0

    simulate(main)


@pytest.mark.parametrize("wish", [None, 0.01])
@pytest.mark.parametrize(("latency", "workers", "share"), [(0.05, 50, 0.01), (0.3, 40, 0.01), (5.0, 40, 0.003)])
def test_a_few_refusals_without_a_limit_behind_them_do_not_strangle_a_run(
    latency: float, workers: int, share: float, wish: float | None
) -> None:
    rng = random.Random(0)

    class Whimsical(Bucket):
        async def ask(self, pace: Pace) -> None:
            if rng.random() < share:
                pace.refused(await pace.enter(), wish)
                pace.leave()
                await asyncio.sleep(0.4)  # until it is sent again
            else:
                await super().ask(pace)

    server = Whimsical(rate=1e9, burst=1e9, latency=latency)
    driven(server, 100, Hard(concurrency=workers), workers=workers)
    alone = workers / (latency + share * 0.4)
    assert between(server.served, 40, 100) >= 0.9 * 60 * alone


def test_a_refusal_that_asks_for_a_wait_is_heeded_however_rare_it_is() -> None:
    async def main() -> None:
        pace = Pace(Hard(concurrency=100))
        for _ in range(1000):
            at = await pace.enter()
            pace.served()
            pace.leave()
        pace.refused(at, 20.0)
        await pace.enter()
        assert asyncio.get_running_loop().time() == pytest.approx(20)
        pace.leave()

    simulate(main)
