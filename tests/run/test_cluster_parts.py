"""What of a cluster needs no Ray: the office that workers talk to, and whether a worker is fit for the run."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from glan_dspy.errors import UserError
from glan_dspy.program import open_program
from glan_dspy.records import Discipline
from glan_dspy.run.begin import begin
from glan_dspy.run.cluster import this_command
from glan_dspy.run.cluster_office import GONE, Office
from glan_dspy.run.cluster_session import Quiet
from glan_dspy.run.cluster_worker import Assignment, Carrier, assignment, own_settings, plain, require_fit
from glan_dspy.run.coordinator import MOST_DEATHS
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome, Short, Tally, outcome_of
from glan_dspy.settings import Settings

SETTINGS = Settings(model_name="rehearsal", language="English")
DISCIPLINES = [Discipline(name=name) for name in ("Optics", "Dance")]


def a_run(folder: Path, settings: Settings = SETTINGS) -> Run:
    run = Run(folder / "run")
    begin(run, "generate", settings, DISCIPLINES, open_program(settings).digest)
    return run


def with_office(run: Run, talk: Callable[[Office], Awaitable[None]]) -> Outcome:
    """What came of it when the office was opened, talked to and closed."""

    async def main() -> Outcome:
        office = Office(str(run.path), "generate", SETTINGS.model_dump_json().encode())
        assert await office.open() == b""
        await talk(office)
        return outcome_of(orjson.loads(await office.close()))

    return asyncio.run(main())


async def heard(office: Office, number: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = orjson.loads(await office.listen(number))
    return messages


async def leased(office: Office, number: int) -> str:
    """The discipline that the worker gets, when it asks for one."""
    await office.tell(number, b'[{"lease":true}]')
    lease = next(message["lease"] for message in await heard(office, number) if "lease" in message)
    return str(lease["discipline"]["name"])


def test_what_a_lost_worker_had_is_the_next_ones_and_what_it_still_says_is_not_heard(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.join(1, "here")
        assert "welcome" in (await heard(office, 1))[0]
        assert await leased(office, 1) == "Optics"
        assert orjson.loads(await office.leave(1, "was lost", True)) == {"leased": True, "more": True}
        id = DISCIPLINES[0].id
        await office.tell(1, orjson.dumps([{"closed": {"id": id, "failed": False, "open": False, "why": ""}}]))
        assert await office.listen(1) == GONE
        await office.join(2, "there")
        assert await leased(office, 2) == "Optics"
        await office.leave(2, "ended", True)
        assert orjson.loads(await office.snapshot())["joined"] == [1, 2]

    assert with_office(a_run(tmp_path), talk).tally.disciplines_done == 0


@pytest.mark.parametrize("blame", [True, False])
def test_a_discipline_is_given_up_when_its_workers_die_over_it_but_not_when_its_nodes_do(
    tmp_path: Path, blame: bool
) -> None:
    async def talk(office: Office) -> None:
        for number in range(MOST_DEATHS):
            await office.join(number, "here")
            assert await leased(office, number) == "Optics"
            await office.leave(number, "was lost", blame)

    assert with_office(a_run(tmp_path), talk).failed == (["Optics"] if blame else [])


def test_a_bug_in_the_office_ends_the_run_and_is_shown(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.join(1, "here")
        await office.tell(1, b'[{"nonsense":1}]')
        assert orjson.loads(await office.snapshot())["told"]

    outcome = with_office(a_run(tmp_path), talk)
    assert "_hear_nonsense" in outcome.bugs[0] and not outcome.interrupted


def test_a_second_bug_is_no_second_ctrl_c(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.join(1, "here")
        assert await leased(office, 1) == "Optics"
        await office.tell(1, b'[{"nonsense":1}]')
        await office.struck("another")
        assert [message["stop"] for message in await heard(office, 1) if "stop" in message] == [1]
        assert not orjson.loads(await office.snapshot())["told"]  # what is in flight is waited for

    assert len(with_office(a_run(tmp_path), talk).bugs) == 2


def test_who_joins_after_it_was_given_up_gets_nothing(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.leave(1, "was lost", True)
        await office.join(1, "here")
        assert await office.listen(1) == GONE
        await office.join(2, "there")
        assert await leased(office, 2) == "Optics"

    with_office(a_run(tmp_path), talk)


def test_no_place_for_a_worker_ends_the_run_only_where_work_is_left(tmp_path: Path) -> None:
    async def with_work(office: Office) -> None:
        await office.cannot_go_on("no key")

    async def without(office: Office) -> None:
        await office.stop()
        await office.cannot_go_on("no key")

    assert with_office(a_run(tmp_path), with_work).reason == "no key"
    assert with_office(Run(tmp_path / "run"), without).reason == ""


def test_an_outcome_crosses_as_json_what_it_was() -> None:
    outcome = Outcome(
        Tally(instructions=3, rejected=Counter(refusal=2)), short={"Optics": Short(1, dry=True)}, needs=0.5
    )
    assert outcome_of(orjson.loads(orjson.dumps(outcome.plain()))) == outcome


def test_a_worker_says_one_bundle_at_a_time_and_in_order() -> None:
    said: list[bytes] = []
    under_way = 0

    class Slow:
        async def remote(self, number: int, bundles: bytes) -> None:
            nonlocal under_way
            under_way += 1
            assert under_way == 1 and number == 7
            await asyncio.sleep(0.01)
            under_way -= 1
            said.extend(bundles.split(b"\n"))

    class Handle:
        tell = Slow()

    async def main() -> None:
        carrier = Carrier(Handle(), 7)
        for number in range(50):
            carrier.deliver(b"%d" % number)
            await asyncio.sleep(0.001)
        await carrier.done()

    asyncio.run(main())
    assert said == [b"%d" % number for number in range(50)]


# --- is a worker fit? ---------------------------------------------------------------------------------


def assigned(run: Run, settings: Settings = SETTINGS, token: str = "token") -> Assignment:
    return assignment("office", run.path, token, "generate", open_program(settings).digest, settings)


def unfit(told: Assignment) -> str:
    with pytest.raises(UserError) as error:
        require_fit(told, own_settings(told))
    return str(error.value)


def test_a_worker_with_the_same_run_is_fit(tmp_path: Path) -> None:
    with this_command(a_run(tmp_path).path) as token:
        told = assigned(Run(tmp_path / "run"), token=token)
        require_fit(Assignment(**orjson.loads(told.dump())), own_settings(told))
    assert not (tmp_path / "run" / ".cluster").exists()


def test_a_worker_without_the_run_or_with_another_one_says_so(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert unfit(assigned(Run(tmp_path / "elsewhere"))).startswith(f"cannot read {tmp_path}/elsewhere: No such file")
    with this_command(run.path):
        assert "is another run here" in unfit(assigned(run))


def test_a_worker_of_another_version_or_with_other_prompts_says_so(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    with this_command(run.path) as token:
        told = assigned(run, token=token)
        assert "glan-dspy 0.0.1" in unfit(replace(told, versions={**told.versions, "glan-dspy": "0.0.1"}))
        assert "other prompts" in unfit(replace(told, digest="0123456789abcdef"))


def test_secrets_stay_where_they_are_and_each_machine_needs_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = SETTINGS.model_copy(update={"extra_header": ("X-Key: s3cret",), "against": ("tests",)})
    run = a_run(tmp_path, chosen)
    with this_command(run.path) as token:
        told = assigned(run, chosen, token)
        assert b"s3cret" not in told.dump() and told.settings["against"] == [str(Path("tests").absolute())]
        assert "GLAN_EXTRA_HEADER must set the headers x-key here too" in unfit(told)
        monkeypatch.setenv("GLAN_EXTRA_HEADER", '["X-Key: another"]')
        require_fit(told, own_settings(told))
        assert own_settings(told).extra_header == ("X-Key: another",)


def test_a_worker_that_would_ask_elsewhere_or_has_no_key_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = SETTINGS.model_copy(update={"model_name": "gpt-4o-mini"})
    run = a_run(tmp_path, chosen)
    with this_command(run.path) as token:
        told = assigned(run, chosen, token)
        assert "needs a key: set OPENAI_API_KEY" in unfit(told)
        monkeypatch.setenv("OPENAI_BASE_URL", "http://10.0.0.9:8000/v1")
        assert "asks http://10.0.0.9:8000/v1, the command's machine openai" in unfit(told)


def test_each_other_machine_has_a_log_of_its_own(tmp_path: Path) -> None:
    told = assigned(a_run(tmp_path))
    assert own_settings(told).logfile_name == "logfile.log"
    assert own_settings(replace(told, host="elsewhere")).logfile_name.startswith("logfile-")
    assert plain(SETTINGS).keys() == Settings.model_fields.keys() - {"extra_header"}


def test_what_ray_prints_of_its_nodes_is_not_among_the_results() -> None:
    out = io.StringIO()
    quiet: Any = Quiet(out)
    print("one", file=quiet)
    print("(raylet) The node has been marked dead.", file=quiet)
    print("two", file=quiet)
    print(file=quiet)
    assert out.getvalue() == "one\ntwo\n\n"
