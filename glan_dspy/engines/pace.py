"""How fast an endpoint may be asked: a window of calls in flight, and a rate, both found by asking.

Concurrency alone cannot hold ten calls a second against a server that answers in 50 ms, and a rate alone
drowns a server that needs a minute a call. So there are both:

    window   starts small and doubles each round trip, is cut by a tenth at the first refusal, and is never
             above `concurrency`
    rate     none until the first 429; then what the endpoint really took from one refusal to the next, a
             little less, growing again: slowly first, faster the longer no 429 comes. A few refusals among
             many calls are no measure of anything: they hold nobody back, unless they ask for a longer wait
             than half a second

A burst of 429s is one refusal: everybody is held back until Retry-After has passed, and only then is it
reckoned what was taken. Between two refusals an allowance that refills is used up exactly, so that this is
its rate, whatever burst it allows. `x-ratelimit-*` headers slow the last tenth of an allowance down to the
speed at which it refills.
Hard limits (`rpm`, `tpm`) are kept from the first call on. One Pace a model and endpoint, on one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from glan_dspy.engines.allowance import refill
from glan_dspy.engines.lately import Lately
from glan_dspy.errors import Stopped

FIRST_WINDOW = 32
CUT = 0.9
FIRST_GROWTH, LAST_GROWTH, GROWTH_DOUBLES = 0.001, 0.05, 10.0
"""Of the rate: share a second after a refusal, its bound, and the seconds without refusal in which it doubles."""

FIRST_GROWTH_A_CALL, GROWTH_A_CALL = 0.003, 0.0002
"""The least that the rate grows with each call served: before a second refusal has confirmed it, and after."""

FAST_GROWTH = 0.005

TRUSTED_CALLS = 20
"""With fewer between two refusals, what was taken is too little to measure a rate by."""

SHORTEST_HOLD, UNTOLD_HOLD = 0.05, 0.5
"""Seconds without a call after a refusal, and after one that names no Retry-After: the rest of its burst comes in."""

MILD = 0.01
"""Up to that share of refusals is a brush with the limit, or an endpoint's whim: nothing to slow down for."""

SLOWEST = 1 / 60
"""Calls a second: whatever was measured, one a minute is tried."""

LONGEST_WISH = 900.0


@dataclass(frozen=True)
class Hard:
    """Limits that the user sets; None is none."""

    concurrency: int
    rpm: float | None = None
    tpm: float | None = None


class Pacer(Protocol):
    """What a Limit asks for leave: a Pace, or one that another process keeps for several."""

    async def enter(self, tokens: float = 0.0) -> float: ...
    def leave(self) -> None: ...
    def served(self, tokens: float | None = None, headers: Mapping[str, str] | None = None) -> None: ...
    def refused(self, sent_at: float, retry_after: float | None = None) -> None: ...
    def stop(self) -> None: ...


class Pace:
    """Who may go, and when. All methods are called on one event loop; none but `enter` waits."""

    def __init__(self, hard: Hard, clock: Callable[[], float] | None = None) -> None:
        self.hard = hard
        self.clock = clock or asyncio.get_running_loop().time
        self.window = float(min(FIRST_WINDOW, hard.concurrency))
        self.rate: float | None = None
        """Calls a second that the endpoint was seen to bear; None until it refused one."""
        self.advised: float | None = None
        """Calls a second at which the endpoint's headers say its allowance refills, when that runs low."""
        self.in_flight = 0
        self.refusals = 0
        self.stopped = False
        self._waiting: deque[tuple[asyncio.Future[bool], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._next_call = self._next_token = self._held_until = 0.0
        self._since = self._refused_at = self._grown_at = self.clock()
        self._sent = self._refused = self._by_window = self._by_rate = 0
        self._reckoning = self._held_by_rate = self._confirmed = False
        self._quiet = self._growth = 0.0
        self._tokens_a_call = 1000.0
        self._lately = Lately(self._since)

    # --- entering and leaving -----------------------------------------------------------------------

    @property
    def is_easy(self) -> bool:
        """Whether nothing holds calls back but how many are in flight, and nobody waits for that."""
        held = self._in_line() or self._reckoning or self.allowed() or self.hard.tpm
        return not held and self.in_flight <= self.window

    def passed_on(self, calls: int) -> None:
        """So many calls were sent, each in the place of one that had ended."""
        self._sent += calls
        self._lately.note(self.clock(), sent=calls)

    async def enter(self, tokens: float = 0.0) -> float:
        """Waits for leave to send a call of about that many prompt tokens; gives back when it was given.

        Raises Stopped where no call is to be sent any more.
        """
        if self.stopped or not (self._may_go_at_once(tokens) or await self._turn(tokens)):
            raise Stopped("the run is stopping")
        return self.clock()

    def _may_go_at_once(self, tokens: float) -> bool:
        if self._in_line() or self._wait() > 0:
            return False
        self._go(tokens)
        return True

    async def _turn(self, tokens: float) -> bool:
        """Waits in line. Whether leave was given; if not, the run is stopping."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, tokens))
        self._pump()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave()
            raise

    def ask(self, tokens: float, go: Callable[[float], None]) -> asyncio.Future[bool] | None:
        """`enter` for whoever cannot wait here: calls `go` with the time when leave is given, at once or later.

        Gives back what to cancel where the call is given up before; None where nothing is to be waited for.
        """
        if self.stopped:
            return None
        if self._may_go_at_once(tokens):
            go(self.clock())
            return None
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        turn.add_done_callback(lambda turn: go(self.clock()) if not turn.cancelled() and turn.result() else None)
        self._waiting.append((turn, tokens))
        self._pump()
        return turn

    def stop(self) -> None:
        """Lets nobody go any more: whoever waits, or comes later, gets Stopped at once."""
        self.stopped = True
        for turn, _ in self._waiting:
            if not turn.done():
                turn.set_result(False)
        self._waiting.clear()

    def leave(self) -> None:
        self.in_flight -= 1
        self._pump()

    def served(self, tokens: float | None = None, headers: Mapping[str, str] | None = None) -> None:
        """A call was answered."""
        if tokens:
            self._tokens_a_call += 0.02 * (tokens - self._tokens_a_call)
        self.window = min(self.hard.concurrency, self.window + 1)
        self._grow()
        if headers:
            self.heed(headers)

    def refused(self, sent_at: float, retry_after: float | None = None) -> None:
        """A call was refused with 429. Slows down once for all that were sent before the last cut."""
        if sent_at < self._since:
            return  # the tail of a burst that was reckoned already
        now = self.clock()
        self._refused += 1
        self._lately.note(now, refused=1)
        hold = UNTOLD_HOLD if retry_after is None else min(max(retry_after, SHORTEST_HOLD), LONGEST_WISH)
        if hold <= UNTOLD_HOLD and not self._reckoning and self._lately.whimsical():
            return
        self._held_until = max(self._held_until, now + hold)
        if not self._reckoning:
            self._reckoning, self._refused_at = True, now
            self.refusals += 1
            if self.rate is None:  # from then on it is the rate that gives way: it bounds what is in flight as well
                self.window = max(1.0, self.window * CUT)

    def _reckon(self) -> None:
        """After the hold: what was taken between the last two refusals is the rate from now on."""
        taken, seconds = self._sent - self._refused, self._refused_at - self._since
        # The first refusal ends a burst that the endpoint allows once: it is counted over a second at least.
        measured = max(SLOWEST, taken / max(seconds, 1.0 if self.rate is None else 0.01) * 0.99)
        enough = taken >= TRUSTED_CALLS
        if self._refused <= MILD * self._sent:
            pass
        elif self.rate is None:
            self.rate = measured
        else:
            # The mean says little where it grew much in between, or where the window was what held it back.
            unfit = not enough or self._growth > FAST_GROWTH or self._by_window > self._by_rate
            self.rate = max(measured if enough else SLOWEST, self.rate * CUT) if unfit else measured
            self._quiet, self._confirmed = 0.0, True
        self._growth = 0.0
        self._since, self._grown_at = self._refused_at, self.clock()
        self._sent = self._refused = self._by_window = self._by_rate = 0
        self._reckoning = False

    # --- the rate -----------------------------------------------------------------------------------

    def allowed(self) -> float | None:
        """Calls a second, by the strictest of what is known; None for no limit."""
        known = [rate for rate in (self.rate, self.advised, self.hard.rpm and self.hard.rpm / 60) if rate]
        return min(known, default=None)

    def _grow(self) -> None:
        """Tries a little more, but only while it is the rate that holds calls back and not the window."""
        now = self.clock()
        seconds, self._grown_at = now - self._grown_at, now
        if self.rate is not None and self._held_by_rate:
            self._quiet += seconds
            self._growth = min(LAST_GROWTH, FIRST_GROWTH * 2.0 ** (self._quiet / GROWTH_DOUBLES))
            a_call = GROWTH_A_CALL if self._confirmed else FIRST_GROWTH_A_CALL
            self.rate *= 1 + max(self._growth * min(seconds, 10.0), a_call)
        self._held_by_rate = False

    def heed(self, headers: Mapping[str, str]) -> None:
        """Slows down where the endpoint's headers say that its allowance runs low."""
        advice = [
            refill(headers, "requests"),
            (tokens := refill(headers, "tokens")) and tokens / max(1.0, self._tokens_a_call),
        ]
        known = [rate for rate in advice if rate]
        self.advised = max(SLOWEST, min(known)) if known else None

    # --- the queue ----------------------------------------------------------------------------------

    def _wait(self) -> float:
        """Seconds until the next call may go by the clock; infinite while the window is full."""
        if self.in_flight >= max(1, int(self.window)):
            return float("inf")
        ready = self._held_until
        if self.allowed():
            ready = max(ready, self._next_call)
        if self.hard.tpm:
            ready = max(ready, self._next_token)
        seconds = ready - self.clock()
        return seconds if seconds > 1e-6 else 0.0  # what a float loses is nothing to set a timer for

    def _go(self, tokens: float) -> None:
        now = self.clock()
        if self._reckoning:
            self._reckon()
        self.in_flight += 1
        self._sent += 1
        self._lately.note(now, sent=1)
        if rate := self.allowed():
            # What was missed by a late wake-up is caught up, but no more than two calls of it, and 0.2 s.
            self._next_call = max(self._next_call, now - min(2 / rate, 0.2)) + 1 / rate
        if self.hard.tpm:
            # What a call takes on the average is its prompt and its reply; a longer prompt is known beforehand.
            spent = max(tokens, self._tokens_a_call) * 60 / self.hard.tpm
            self._next_token = max(self._next_token, now) + spent

    def _in_line(self) -> bool:
        """Whether anybody waits; who has given up no longer heads the line then."""
        while self._waiting and self._waiting[0][0].done():
            self._waiting.popleft()
        return bool(self._waiting)

    def _pump(self) -> None:
        """Lets go whoever may; sets a timer for the next one."""
        while self._in_line():
            turn, tokens = self._waiting[0]
            wait = self._wait()
            if wait > 0:
                if wait == float("inf"):
                    self._by_window += 1
                else:
                    self._by_rate += 1
                    self._held_by_rate = self._next_call > self._held_until
                    self._wake_in(wait)
                return
            self._waiting.popleft()
            self._go(tokens)
            turn.set_result(True)

    def _wake_in(self, seconds: float) -> None:
        """One timer is enough: what asks for a later wake-up than it finds will ask again then."""
        loop = asyncio.get_running_loop()
        if self._timer is not None and not self._timer.cancelled() and self._timer.when() >= loop.time():
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._pump()
