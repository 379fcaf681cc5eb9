"""The coordinator by itself, its workers played by the test: leases, one pace and one budget for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from glan_dspy.engines.budget import Budget
from glan_dspy.records import Discipline
from glan_dspy.run.begin import begin
from glan_dspy.run.coordinator import MOST_DEATHS, Coordinator, Member
from glan_dspy.run.quota import Quota
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Tally, tally_of
from glan_dspy.settings import Settings
from tests.clock import simulate

EIGHT = [Discipline(name=f"Discipline {n}") for n in range(8)]


class Player:
    """A worker that says what the test has it say, and remembers what it heard."""

    def __init__(self, coordinator: Coordinator, name: str) -> None:
        self.coordinator = coordinator
        self.heard: list[dict[str, Any]] = []
        self.wanted = 0
        self.member: Member = coordinator.join(name, self.heard.append)

    def says(self, **message: Any) -> None:
        self.coordinator.hear(self.member, [message])

    def all_heard(self, word: str) -> list[Any]:
        return [message[word] for message in self.heard if word in message]

    def leases(self) -> list[str]:
        return [lease["discipline"]["name"] for lease in self.all_heard("lease")]

    def closes(self, discipline: Discipline, **how: Any) -> None:
        self.says(closed={"id": discipline.id, "failed": False, "open": False, "why": "", **how})

    def wants(self, calls: int, left: int = 0) -> None:
        self.wanted += calls
        heard = self.may_send()
        self.says(pace={"name": "m", "want": [1.0] * calls, "waiting": self.wanted - heard, "heard": heard,
                        "left": left, "passed_on": 0, "served": [1.0] * left, "refused": [],
                        "headers": None})  # fmt: skip

    def may_send(self) -> int:
        return sum(len(told["go"]) for told in self.all_heard("pace"))


def played(
    folder: Path, play: Callable[[Coordinator], Any], budget: Budget | None = None, **settings: Any
) -> Coordinator:
    chosen = Settings.model_validate({"model_name": "rehearsal", **settings})
    run = Run(folder / "run")
    begin(run, "generate", chosen, EIGHT, "digest")

    async def main() -> Coordinator:
        coordinator = Coordinator(run, chosen, EIGHT, Quota(chosen), budget)
        await play(coordinator)
        return coordinator

    return simulate(main)


def test_each_worker_has_a_part_of_what_is_left_and_gets_more_as_it_closes(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        one, two = Player(coordinator, "1"), Player(coordinator, "2")
        for _ in range(4):
            one.says(lease=True)
        assert one.leases() == ["Discipline 0", "Discipline 1"]  # of eight, two each are enough to begin with
        two.says(lease=True)
        assert two.leases() == ["Discipline 2"]
        one.closes(EIGHT[0])
        assert one.leases()[2:] == ["Discipline 3"]
        assert coordinator.tally.disciplines_done == 1

    played(tmp_path, play)


def test_what_a_dead_worker_had_is_the_next_to_be_leased(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        one, two = Player(coordinator, "1"), Player(coordinator, "2")
        one.says(lease=True)
        coordinator.leave(one.member, "was ended by SIGKILL")
        two.says(lease=True)
        assert two.leases() == ["Discipline 0"]
        one.closes(EIGHT[0])  # a message that was still on its way says nothing any more
        assert coordinator.tally.disciplines_done == 0

    played(tmp_path, play)


def test_a_discipline_over_which_workers_die_is_left_to_a_rerun_and_the_others_go_on(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        for number in range(MOST_DEATHS):
            player = Player(coordinator, str(number))
            player.says(lease=True)
            assert player.leases() == ["Discipline 0"]
            coordinator.leave(player.member, "was ended by SIGSEGV")
        last = Player(coordinator, "last")
        for discipline in EIGHT[1:]:
            last.says(lease=True)
            last.closes(discipline)
        last.says(lease=True)
        assert last.all_heard("end") and coordinator.all_told.is_set()

    outcome = played(tmp_path, play).result()
    assert outcome.failed == ["Discipline 0"] and "SIGSEGV" in outcome.why


def test_a_discipline_that_failed_and_then_came_through_is_no_failure(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        one = Player(coordinator, "1")
        one.says(lease=True)
        one.closes(EIGHT[0], failed=True, open=True, why="no reply")
        assert coordinator.outcome.failed == ["Discipline 0"]
        coordinator._free.appendleft(EIGHT[0])  # the quota has more for it
        one.says(lease=True)
        one.closes(EIGHT[0])

    assert played(tmp_path, play).result().failed == []


def test_what_is_in_flight_at_a_first_stop_is_waited_for_and_at_a_second_one_is_not(tmp_path: Path) -> None:
    """`all_told` starts the time after which a worker that goes on is killed."""

    async def play(coordinator: Coordinator) -> None:
        one, two, idle = (Player(coordinator, name) for name in "123")
        one.says(lease=True)
        two.says(lease=True)
        idle.says(lease=True)
        coordinator.leave(two.member, "ended")
        coordinator.stop()
        assert coordinator.is_ending and not coordinator.all_told.is_set()
        one.says(lease=True)
        assert one.all_heard("end")
        if again:
            coordinator.stop()
            assert coordinator.all_told.is_set()
        else:
            idle.closes(EIGHT[2])
            assert not coordinator.all_told.is_set()
            coordinator.leave(one.member, "ended")
            assert coordinator.all_told.is_set()

    for again in (False, True):
        played(tmp_path / str(again), play)


def test_who_is_stuck_after_a_stop_is_waited_for_as_long_as_a_call_may_take(tmp_path: Path) -> None:
    """Nobody may be there to press Ctrl-C a second time."""

    async def play(coordinator: Coordinator) -> None:
        one = Player(coordinator, "1")
        one.says(lease=True)
        one.says(stopping={"reason": "no such model", "budget": False, "unheard": False})
        await asyncio.sleep(89)
        assert not coordinator.all_told.is_set()
        await asyncio.sleep(2)
        assert coordinator.all_told.is_set()

    played(tmp_path, play, timeout=90.0)


def test_no_pair_is_counted_twice_when_a_discipline_changes_hands(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        one, two = Player(coordinator, "1"), Player(coordinator, "2")
        one.says(lease=True)
        one.says(tally={EIGHT[0].id: Tally(instructions=5, found=5).plain()})
        one.says(tally={EIGHT[0].id: Tally(instructions=9, found=5, calls=8, cost=1.0).plain()})
        coordinator.leave(one.member, "was ended by SIGKILL")
        assert coordinator.tally.instructions == 9
        two.says(lease=True)
        two.says(tally={EIGHT[0].id: Tally(instructions=10, found=10).plain()})
        two.says(tally={EIGHT[0].id: Tally(instructions=12, found=10, calls=4, cost=0.5).plain()})
        tally = coordinator.tally
        assert (tally.instructions, tally.found, tally.calls, tally.cost) == (12, 5, 12, 1.5)

    played(tmp_path, play)


def test_calls_in_flight_are_bounded_for_all_workers_together(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        one, two = Player(coordinator, "1"), Player(coordinator, "2")
        one.wants(4)
        two.wants(4)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (one.may_send(), two.may_send(), coordinator.in_flight) == (4, 1, 5)
        one.wants(0, left=2)
        await asyncio.sleep(1)
        assert (two.may_send(), coordinator.in_flight) == (3, 5)
        coordinator.leave(one.member, "was ended by SIGKILL")  # with two of its own in flight
        await asyncio.sleep(1)
        assert (two.may_send(), coordinator.in_flight) == (4, 4)

    played(tmp_path, play, concurrency=5)


def test_the_rate_is_one_for_all_workers(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        players = [Player(coordinator, str(number)) for number in range(3)]
        for player in players:
            player.wants(100)
        for _ in range(60):
            await asyncio.sleep(1)
            for player in players:
                player.wants(0, left=player.member.paces.in_flight)
        sent = sum(player.may_send() for player in players)
        assert 55 <= sent <= 63

    played(tmp_path, play, rpm=60, concurrency=1000)


def test_the_parts_of_the_calls_in_flight_add_up_and_go_to_those_that_have_work(tmp_path: Path) -> None:
    async def play(coordinator: Coordinator) -> None:
        players = [Player(coordinator, str(number)) for number in range(3)]
        for player in players:
            player.says(lease=True)
        assert [player.all_heard("share")[-1] for player in players] == [(0, 3), (1, 3), (2, 3)]
        coordinator.leave(players[0].member, "was ended by SIGKILL")
        assert [player.all_heard("share")[-1] for player in players[1:]] == [(0, 2), (1, 2)]

    played(tmp_path, play)


def test_a_dead_workers_reservations_count_at_their_worst_and_its_place_in_line_is_free(tmp_path: Path) -> None:
    budget = Budget(10.0)

    async def play(coordinator: Coordinator) -> None:
        one, two = Player(coordinator, "1"), Player(coordinator, "2")
        one.says(reserve=["a", 4.0, ""])
        one.says(reserve=["b", 4.0, ""])
        one.says(reserve=["c", 4.0, ""])
        await asyncio.sleep(1)
        assert one.all_heard("room") == [["a", ""], ["b", ""]]
        one.says(settle=["a", 1.0])
        await asyncio.sleep(1)
        assert one.all_heard("room")[2:] == [["c", ""]]
        one.says(reserve=["d", 4.0, ""])
        two.says(reserve=["e", 1.5, ""])
        coordinator.leave(one.member, "was ended by SIGKILL")
        await asyncio.sleep(1)
        assert budget.spent == 9.0 and not budget.reserved
        assert "reached" not in str(two.all_heard("room")) and two.all_heard("room")[0][0] == "e"
        assert "$9.00 of $10.00 are spent" in two.all_heard("room")[0][1]

    played(tmp_path, play, budget)


def test_a_call_that_is_given_up_before_it_is_sent_costs_nothing(tmp_path: Path) -> None:
    budget = Budget(5.0)

    async def play(coordinator: Coordinator) -> None:
        one = Player(coordinator, "1")
        one.says(reserve=["a", 4.0, ""])
        one.says(reserve=["b", 4.0, ""])
        await asyncio.sleep(1)
        one.says(release="b")  # it still waits
        one.says(release="a")  # it has its room
        await asyncio.sleep(1)
        one.says(reserve=["c", 5.0, ""])
        await asyncio.sleep(1)
        assert [id for id, why in one.all_heard("room") if not why] == ["a", "c"]

    played(tmp_path, play, budget)


def test_a_tally_comes_through_the_wire_as_it_was() -> None:
    tally = Tally(instructions=3, cost=0.25)
    tally.rejected.update({"refusal": 2, "cut": 1})
    tally.errors["RateLimitError"] += 1
    assert tally_of(orjson.loads(orjson.dumps(tally.plain()))) == tally


def test_a_worker_without_a_reply_of_its_own_does_not_speak_for_the_others(tmp_path: Path) -> None:
    """What it takes for a wrong address is an outage where another worker's calls were answered: exit 3, not 1."""

    async def play(coordinator: Coordinator) -> None:
        one, two = Player(coordinator, "1"), Player(coordinator, "2")
        one.says(lease=True)
        two.says(lease=True)
        if heard:
            one.says(tally={EIGHT[0].id: Tally(calls=3).plain()})
        two.says(stopping={"reason": "the first 10 calls all failed alike", "budget": "", "unheard": True})

    for heard in (True, False):
        outcome = played(tmp_path / str(heard), play).result()
        assert bool(outcome.reason) is not heard
        assert outcome.failed == (["Discipline 1"] if heard else [])
        assert "failed alike" in (outcome.why if heard else outcome.reason)
