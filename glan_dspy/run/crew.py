"""The hands of a walk: open branches, run jobs, ask models, stop in good order.

How a call may end, and what follows:

    a reply that can be used      its record is written
    one that cannot (BadReply)    asked again, at most `max_asks` times in all, then rejected with its raw text
    no reply after all attempts   the item stays open, its discipline counts as failed, a rerun goes on with it
    a wrong key, model or bill    the run stops at once with that reason
    anything else                 a bug: its discipline is dropped, the others go on, and the traceback is shown
"""

from __future__ import annotations

import asyncio
import logging
import signal
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol, TypeVar

from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMUnexpectedError,
    LMUnsupportedModelError,
)

from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.budget import REACHED
from glan_dspy.errors import BadReply, Stopped
from glan_dspy.gates.line import QuestionGates
from glan_dspy.hiding import hidden, secrets
from glan_dspy.records import Discipline
from glan_dspy.run.batches import WIDE, disciplines_at_once
from glan_dspy.run.branch import Branch
from glan_dspy.run.claim import Fenced
from glan_dspy.run.pool import Job, Key, Pool
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Tally
from glan_dspy.settings import Settings
from glan_dspy.stages import asked

log = logging.getLogger("glan")

T = TypeVar("T")
Work = Callable[[], Awaitable[None]]

ENDS_THE_RUN = (LMAuthError, LMUnsupportedModelError, LMConfigurationError, LMBillingError)
SAME_FAILURES, SAME_REPLIES = 5, 10
"""That many calls of one stage failing alike, or useless alike, and none succeeding, end the run."""

REMEDIES = {
    "truncated": "begin with another --out and a higher token limit (--answer-max-tokens, …), or --reasoning-headroom",
    "empty": "a model that thinks first may need --reasoning-headroom (and another --out)",
    "unparseable": "try --structured; or another --out with --draft-first or another --model-name-for-curriculum",
    "abstained": "try another --out with another --model-name-for-answer",
}
_THINKS = "a judge that thinks first may need --reasoning-headroom; or name another --model-name-for-judge"
JUDGE_REMEDIES = {
    "truncated": _THINKS,
    "empty": _THINKS,
    "unparseable": "try --structured, or another --model-name-for-judge",
}
"""Of `glan judge`, which shares a run with other models' scores and has few of the flags above."""


class Synced(Protocol):
    def sync(self) -> None: ...


class Crew:
    """Runs the jobs of many branches; knows nothing of what the jobs do."""

    def __init__(self, run: Run, settings: Settings, pool: Pool, tally: Tally) -> None:
        self.run, self.settings, self.pool, self.tally = run, settings, pool, tally
        self.outcome = Outcome(tally)
        self.tally_of: Callable[[Discipline], Tally] = lambda discipline: tally
        self.on_closed: Callable[[Branch], None] = lambda branch: None
        """Told of each discipline that is through, or given up for now."""
        self.open: dict[str, Branch] = {}
        self._slots = asyncio.Semaphore(4 * WIDE if settings.batch else settings.concurrency)
        self._doors = asyncio.Semaphore(disciplines_at_once() if settings.batch else 1 << 60)
        self.synced: Synced | None = None
        """What else is to be on the disk each second."""
        self._stop = asyncio.Event()
        self._at_stop: list[Callable[[], None]] = []
        self._opened: set[str] = set()
        """Disciplines whose files were counted: one that is given more to ask is opened again."""
        self._finished: set[str] = set()
        self._number = 0
        self._streak: Counter[tuple[str, str]] = Counter()
        self.unheard = False
        """Whether it ended because no call of a stage had any reply, all failing alike."""
        self._replied: set[str] = set()
        """Stages that got a reply, of whatever use."""
        self._used: set[str] = set()
        """Stages that got one they could use: from now on what goes wrong is a single case."""

    async def work(self, more: Callable[[], bool] = lambda: False) -> Outcome:
        """Until no job is left and `more` adds none, a stop is asked for, or something ends the run."""
        syncing = asyncio.create_task(self._sync_every_second())
        handled = self._handle_signals()
        try:
            await self.pool.run()
            while not self.pool.stopping and more():
                await self.pool.run()
        finally:
            syncing.cancel()
            for number in handled:
                asyncio.get_running_loop().remove_signal_handler(number)
            for branch in self.open.values():
                self._close(branch)
        return self.outcome

    def stop(self) -> None:
        """Finishes what is in flight and starts nothing more; asked a second time, ends at once.

        What is in flight in a batch may take a day: it is not waited for, and the next command finds it.
        """
        if self.outcome.interrupted or self.settings.batch:  # a run that ends by itself was not asked yet
            self.pool.cancel()
        self.outcome.interrupted = True
        self._send_no_more()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Has it called as soon as the run stops; at once where it does already."""
        self._at_stop.append(callback)
        if self._stop.is_set():
            callback()

    async def pause(self, seconds: float) -> None:
        """What a retry waits by: a run that stops waits for nobody's Retry-After."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped("the run is stopping")

    def _handle_signals(self) -> list[signal.Signals]:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; or not in the main thread (a notebook)
            return []
        return [signal.SIGINT, signal.SIGTERM]

    async def _sync_every_second(self) -> None:
        while True:
            await asyncio.sleep(1)
            for branch in list(self.open.values()):
                try:
                    await asyncio.to_thread(branch.shelf.sync)
                except OSError as error:
                    self._cannot_write(branch, error)
            if self.synced is not None:
                self.synced.sync()

    def sound(self) -> bool:
        """Whether every reply so far was written down, or dropped on purpose."""
        return not (self.outcome.reason or self.outcome.bugs)

    def _end(self, reason: str) -> None:
        self.outcome.reason = self.outcome.reason or reason
        if self.settings.batch:
            self.pool.cancel()
        self._send_no_more()

    def _send_no_more(self) -> None:
        self._stop.set()
        self.pool.stop()
        for callback in self._at_stop:
            callback()

    # --- jobs of a branch ---------------------------------------------------------------------------

    def opening(
        self, discipline: Discipline, first: Callable[[Branch], Awaitable[None]], gates: Callable[[], QuestionGates]
    ) -> Job:
        """The job that opens a discipline's branch and begins its work with `first`."""

        async def job() -> None:
            await self._doors.acquire()
            shelf, tally = self.run.shelf(discipline), self.tally_of(discipline)
            branch = Branch(discipline, shelf, tally, gates(), lasting=self.settings.batch)
            self.open[discipline.id] = branch
            self._number = branch.number = self._number + 1
            branch.jobs = 1

            async def begin() -> None:
                again = discipline.id in self._opened
                self._opened.add(discipline.id)
                await asyncio.to_thread(branch.open, count=not again)
                await first(branch)

            await self._guarded(branch, begin)

        return job

    def forget(self, discipline: Discipline) -> None:
        """Has the discipline's files counted again when it is opened again: whoever opens it has other numbers."""
        self._opened.discard(discipline.id)

    def add(self, branch: Branch, lane: str, jobs: Iterable[Work], *, key: Key = ()) -> None:
        guarded = [partial(self._guarded, branch, job) for job in jobs]
        branch.jobs += len(guarded)
        self.pool.add(lane, *guarded, key=key)

    async def _guarded(self, branch: Branch, work: Work) -> None:
        """Runs one job; whatever goes wrong in it ends in the outcome, and other disciplines go on."""
        try:
            if not branch.broken:
                await work()
        except Stopped:
            pass  # given up unfinished because the run is stopping; a rerun goes on with it
        except Fenced as error:
            self._fenced(branch, error)
        except ENDS_THE_RUN as error:
            self._end_by(error)
        except OSError as error:
            self._cannot_write(branch, error)
        except LMUnexpectedError as error:
            # A line of calls.jsonl is written below DSPy, which takes any error there for its own.
            if isinstance(error.__cause__, Fenced):
                self._fenced(branch, error.__cause__)
            elif isinstance(error.__cause__, OSError):
                self._cannot_write(branch, error.__cause__)
            else:
                self._bug(branch)
        except LMError as error:
            self._item_failed(branch, error)
        except Exception:
            self._bug(branch)
        finally:
            branch.jobs -= 1
            if branch.jobs == 0:
                self._branch_done(branch)

    def _cannot_write(self, branch: Branch, error: OSError) -> None:
        self._end(f"cannot write to {branch.shelf.path}: {error.strerror or error}")

    def _close(self, branch: Branch) -> None:
        """Lets go of its files; some disks only say now that there was no room."""
        try:
            branch.close()
        except OSError as error:
            self._cannot_write(branch, error)

    def _fenced(self, branch: Branch, error: Fenced) -> None:
        """Another process goes on with the discipline: what this one still had to do of it is not done."""
        log.warning("%s: %s", branch.discipline.name, error)
        self.outcome.why = str(error)
        branch.failed = branch.broken = True

    def _bug(self, branch: Branch) -> None:
        text = hidden(traceback.format_exc(), secrets(self.settings.extra_header))
        log.error("a bug while walking %s\n%s", branch.discipline.name, text)
        self.outcome.bugs.append(text)
        branch.failed = branch.broken = True

    def leaves_open(self, error: LMError) -> bool:
        """Whether the error is that of one item, which is left to a rerun while the others go on."""
        return not (self._stop.is_set() or isinstance(error, ENDS_THE_RUN))

    def _item_failed(self, branch: Branch, error: LMError) -> None:
        if self._stop.is_set():
            return  # its retries were cut short: left open for a rerun, as everything is that was not begun
        kind = type(error).__name__
        branch.tally.failed[kind] += 1
        branch.failed = True
        self.outcome.why = f"no reply after {self.settings.max_attempts} attempts: {first_line(error)}"
        log.warning("%s: no reply, left open for a rerun: %s", branch.discipline.name, first_line(error))

    def _branch_done(self, branch: Branch) -> None:
        self._close(branch)
        del self.open[branch.discipline.id]
        self._doors.release()
        if branch.failed:
            self.outcome.fails(branch.discipline.name)
        elif not self.pool.stopping:
            self.outcome.comes_through(branch.discipline.name)
            self._finished.add(branch.discipline.id)
            self.tally.disciplines_done = len(self._finished)
            log.info("%s: done", branch.discipline.name)
        self.on_closed(branch)

    # --- asking -------------------------------------------------------------------------------------

    async def ask(
        self,
        branch: Branch,
        stage: str,
        item: str,
        make: Callable[[], Awaitable[T]],
        *,
        keep: bool = False,
    ) -> tuple[T, Call]:
        """A usable reply and the call that brought it. Raises the last BadReply after `max_asks` asks.

        What useless replies there were is kept too: a rerun gets them from the file, not from the endpoint. What
        was rejected is asked by new numbers: no file has a reply to those.
        """
        most = self.settings.max_asks
        return await asked(
            lambda: self._in_a_slot(stage, make),
            most,
            lambda ask: branch.call(stage, item, ask, keep=keep),
            branch.keep_useless,
            first=most * branch.rejections[item],
        )

    async def _in_a_slot(self, stage: str, make: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            if self._stop.is_set():
                raise Stopped("the run is stopping")
            try:
                result = await make()
            except BadReply as bad:
                self._count_useless(stage, bad)
                raise
            except ENDS_THE_RUN as error:
                self._end_by(error)  # now, and not when the job is over: the queries beside this one are not to be sent
                raise
            except (ContextWindowExceededError, LMInvalidRequestError) as error:
                self._count_failure(stage, error)
                raise refused_request(error) from error
            except LMError as error:
                if isinstance(error.__cause__, Stopped):
                    raise error.__cause__ from None  # it still waited for its pace; DSPy takes any error for its own
                self._count_failure(stage, error)
                raise
        self._replied.add(stage)
        self._used.add(stage)
        return result

    def _end_by(self, error: LMError) -> None:
        if isinstance(error, LMBillingError) and error.provider_code == REACHED:
            self.outcome.budget = first_line(error)
            self._end("")
        else:
            self._end(first_line(error))

    def _count_useless(self, stage: str, bad: BadReply) -> None:
        self._replied.add(stage)
        call = CALL.get()
        if call and call.recalled:
            return  # an old one from the file
        if stage not in self._used and self._again(stage, bad.reason) >= SAME_REPLIES:
            self._end(
                f"the first {SAME_REPLIES} {stage} replies could not be used, all alike ({bad}): "
                f"{remedy(stage, bad.reason)}"
            )

    def _count_failure(self, stage: str, error: LMError) -> None:
        if stage not in self._replied and self._again(stage, type(error).__name__) >= SAME_FAILURES:
            self.unheard = True
            self._end(f"the first {SAME_FAILURES} {stage} calls all failed alike: {first_line(error)}")

    def _again(self, stage: str, kind: str) -> int:
        self._streak[stage, kind] += 1
        return self._streak[stage, kind]


def remedy(stage: str, reason: str) -> str:
    """What a command has that may help where all replies of a stage are useless alike."""
    if stage == "judge":
        return JUDGE_REMEDIES.get(reason, "name another --model-name-for-judge")
    return REMEDIES.get(reason, "rejected.jsonl and replies.jsonl have the replies")


def refused_request(error: LMError) -> BadReply | LMError:
    """A request that the endpoint refuses for what it says is an outcome of that item, not of the endpoint."""
    if isinstance(error, ContextWindowExceededError):
        return BadReply("context_length", "", first_line(error), again=False)
    if "content_filter" in f"{getattr(error, 'provider_code', '')} {error}":
        return BadReply("content_filter", "", first_line(error), again=False)
    return error


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]
