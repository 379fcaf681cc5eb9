"""Answers that came in at the same time are judged together, and written down together.

Alone, between two replies that are parsed, a judgement takes three times as long (gates/line.py). So an answer waits
for the end of the loop's turn in which its reply was read: for nothing that is not there already. A kill takes the
answers of one turn with it, some ten, as it does with all that are in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from glan_dspy.engines.base import Call
from glan_dspy.gates.line import Answered, AnswerGates
from glan_dspy.gates.verdict import Verdict
from glan_dspy.records import Instruction, Question
from glan_dspy.run.branch import Branch


@dataclass(slots=True, eq=False)
class Arrival:
    branch: Branch
    question: Question
    answered: Answered
    accepted: asyncio.Future[bool]

    def end(self, outcome: bool | Exception) -> None:
        if self.accepted.done():
            return  # who waited for it is gone; what was paid for is in its file all the same
        if isinstance(outcome, Exception):
            self.accepted.set_exception(outcome)
        else:
            self.accepted.set_result(outcome)


class Arrivals:
    """The pairs whose answers came in this turn of the loop."""

    def __init__(self, gates: AnswerGates, answer_max_tokens: int) -> None:
        self.gates, self.answer_max_tokens = gates, answer_max_tokens
        self._now: list[Arrival] = []

    async def judged(self, branch: Branch, question: Question, pair: Instruction, call: Call) -> bool:
        """Puts the pair where it belongs, or among the rejected; true when it was accepted.

        Raises what its gates or its file raise.
        """
        loop = asyncio.get_running_loop()
        answered = Answered(pair, at_limit(call, self.answer_max_tokens))
        if not self._now:
            loop.call_soon(self._judge)
        self._now.append(arrival := Arrival(branch, question, answered, loop.create_future()))
        return await arrival.accepted

    def _judge(self) -> None:
        arrivals, self._now = self._now, []
        passed: dict[Branch, list[Arrival]] = {}
        for arrival, verdict in zip(arrivals, self._verdicts(arrivals), strict=True):
            if isinstance(verdict, Exception):
                arrival.end(verdict)
            elif verdict:
                drop = partial(arrival.branch.drop, arrival.question, "answer", verdict, arrival.answered.pair.answer)
                _write([arrival], drop, accepted=False)
            else:
                passed.setdefault(arrival.branch, []).append(arrival)
        for branch, together in passed.items():
            pairs = [arrival.answered.pair for arrival in together]
            _write(together, partial(branch.accept, *pairs), accepted=True)

    def _verdicts(self, arrivals: Sequence[Arrival]) -> Sequence[Verdict | Exception | None]:
        """Where a gate breaks on one of them, the others are judged all the same."""
        try:
            return self.gates.judge([arrival.answered for arrival in arrivals])
        except Exception as bug:  # ours, in a gate: its own job ends by it
            return [bug] if len(arrivals) == 1 else [self._verdicts([arrival])[0] for arrival in arrivals]


def _write(arrivals: Sequence[Arrival], write: Callable[[], None], *, accepted: bool) -> None:
    """Writes, and ends the wait of each: by an error too, of whatever kind, or its job would wait for ever.

    A full disk and another writer are meant; the jobs know what follows from these, and that all else is a bug.
    """
    outcome: bool | Exception = accepted
    try:
        write()
    except Exception as error:
        outcome = error
    for arrival in arrivals:
        arrival.end(outcome)


def at_limit(call: Call, limit: int) -> bool:
    """Whether the reply is as long as it was allowed to be, whatever it says of its end."""
    usage = call.response.usage if call.response else None
    if usage is None or usage.output_tokens is None:
        return False
    said: int = usage.output_tokens - (usage.reasoning_tokens or 0)  # thoughts have room of their own
    return said >= limit
