"""Tuning on models that can be taught: each optimizer teaches them, the file keeps it, and nothing is bought twice."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.cli.main import run
from glan_dspy.errors import UserError
from glan_dspy.optimize.compare import value_of
from glan_dspy.optimize.compile import Order, Progress, Tuned
from glan_dspy.optimize.journal import Halt
from glan_dspy.optimize.models import Names
from glan_dspy.optimize.optimizers import Budget, Optimizer, effort_of, named, require_installed
from glan_dspy.optimize.rows import load_rows
from tests.loopback_thread import counts, pairs, running
from tests.optimize.teachable import ALL_CONCEPTS, NAME_LEVEL, School, said
from tests.optimize.workshop import carried_out, few, few_in, order
from tests.processes import glan, start

SMALL: dict[Optimizer, Budget] = {"gepa": 90, "mipro": 70, "bootstrap": 8}
EACH = pytest.mark.parametrize("optimizer", SMALL)


class Finished(NamedTuple):
    """An order that was carried out once, for several tests to look at."""

    order: Order
    school: School
    tuned: Tuned
    file: bytes


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Optimizer], Finished]:
    @cache
    def once(optimizer: Optimizer) -> Finished:
        wanted = order(tmp_path_factory.mktemp(optimizer) / "vi.json", optimizer, SMALL[optimizer])
        school = School()
        tuned = carried_out(wanted, school, few(8))
        return Finished(wanted, school, tuned, tuned.path.read_bytes())

    return once


Once = Callable[[Optimizer], Finished]


def test_gepa_lifts_the_held_out_score_from_under_a_half_to_over_four_fifths_within_600_metric_calls(
    tmp_path: Path,
) -> None:
    progress = Progress()
    tuned = carried_out(order(tmp_path / "vi.json", "gepa", 560), School(), load_rows(), progress)
    assert value_of(tuned.before) < 0.5
    assert value_of(tuned.after) > 0.8
    assert progress.scores <= 600
    assert tuned.better and tuned.path == tmp_path / "vi.json"
    taught = orjson.loads(tuned.path.read_bytes())["question.write"]["signature"]["instructions"]
    assert ALL_CONCEPTS in taught and NAME_LEVEL in taught


@EACH
def test_every_optimizer_lifts_the_held_out_score(finished: Once, optimizer: Optimizer) -> None:
    tuned = finished(optimizer).tuned
    assert value_of(tuned.before) < 0.5
    assert value_of(tuned.after) > 0.8
    assert tuned.better


@EACH
def test_equal_seeds_give_equal_programs_at_any_number_of_threads(
    tmp_path: Path, finished: Once, optimizer: Optimizer
) -> None:
    one = order(tmp_path / "vi.json", optimizer, SMALL[optimizer], threads=1)
    assert carried_out(one, School(), few(8)).path.read_bytes() == finished(optimizer).file


@EACH
def test_a_second_command_goes_the_same_way_without_buying_anything(finished: Once, optimizer: Optimizer) -> None:
    wanted, idle = finished(optimizer).order, School()
    assert carried_out(wanted, idle, few(8)).path.read_bytes() == finished(optimizer).file
    assert not idle.asked


def test_no_pickle_is_read_from_the_log(tmp_path: Path, finished: Once) -> None:
    wanted = order(tmp_path / "vi.json", "gepa", SMALL["gepa"])
    (wanted.log / "gepa").mkdir(parents=True)
    opens_a_file = b"cbuiltins\nopen\n(S'" + str(tmp_path / "read").encode() + b"'\nS'w'\ntR."
    (wanted.log / "gepa" / "gepa_state.bin").write_bytes(opens_a_file)
    assert carried_out(wanted, School(), few(8)).path.read_bytes() == finished("gepa").file
    assert not (tmp_path / "read").exists()


class Failing:
    """The school until so many requests were answered; then the endpoint says what is given to it."""

    def __init__(self, school: School, after: int, error: Exception) -> None:
        self.school, self.left, self.error = school, after, error

    async def complete(self, request: Request) -> Response:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return await self.school.complete(request)


@pytest.mark.parametrize(("optimizer", "after"), [("gepa", 5), ("gepa", 60), ("mipro", 45), ("bootstrap", 28)])
def test_an_endpoint_that_fails_ends_the_optimizer_and_the_next_command_buys_only_the_rest(
    tmp_path: Path, finished: Once, optimizer: Optimizer, after: int
) -> None:
    school, wanted = School(), order(tmp_path / "vi.json", optimizer, SMALL[optimizer])
    failing = Failing(school, after, lm15.AuthError("the key is wrong", status=401))
    with pytest.raises(Halt) as halt:
        carried_out(wanted, failing, few(8))
    assert isinstance(halt.value.why, lm15.AuthError)
    assert carried_out(wanted, school, few(8)).path.read_bytes() == finished(optimizer).file
    assert school.requests == finished(optimizer).school.requests


def test_a_bug_in_the_engine_is_no_bad_pair(tmp_path: Path) -> None:
    failing = Failing(School(), 40, ZeroDivisionError("a bug"))
    with pytest.raises(Halt) as halt:
        carried_out(order(tmp_path / "vi.json", "gepa", 90), failing, few(8))
    assert isinstance(halt.value.why, ZeroDivisionError)


class Refusing(School):
    """Refuses one request in four as a content filter does, by what it says."""

    async def complete(self, request: Request) -> Response:
        if request.config.seed is not None and request.config.seed % 4 == 0:
            raise lm15.InvalidRequestError("filtered", status=400, provider_code="content_filter")
        return await super().complete(request)


def test_what_the_endpoint_refuses_is_a_bad_pair_and_not_the_end(tmp_path: Path) -> None:
    tuned = carried_out(order(tmp_path / "vi.json", "gepa", 90), Refusing(), few(10))
    reasons = [one.prediction.get("failed") for one in tuned.after]
    assert any(reason and "content_filter" in reason for reason in reasons)
    assert all(one.score.value == 0 for one in tuned.after if one.prediction.get("failed"))


class Halving(School):
    """Sends half a character in every text, as a provider may that cuts bytes."""

    async def complete(self, request: Request) -> Response:
        response = await super().complete(request)
        text = response.message.text or ""
        return response if text.startswith("{") else said(text.replace(" ", " \ud83d ", 1))


class Mute(School):
    """Has nothing to say where an optimizer asks for a better prompt."""

    async def complete(self, request: Request) -> Response:
        response = await super().complete(request)
        return said("") if "Basic instruction:" in (request.messages[-1].text or "") else response


def test_a_reflecting_model_that_says_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name another --reflection-model"):
        carried_out(order(tmp_path / "vi.json", "mipro", 30), Mute(), few(4))


def test_half_a_character_in_a_reply_stops_nothing(tmp_path: Path) -> None:
    wanted = order(tmp_path / "vi.json", "bootstrap", 4)
    first = carried_out(wanted, Halving(), few(4)).path.read_bytes()
    assert carried_out(wanted, School(), few(4)).path.read_bytes() == first


def test_what_is_no_better_leaves_the_file_alone(tmp_path: Path) -> None:
    out = tmp_path / "vi.json"
    out.write_text("mine")
    names = Names("reflector", "reflector", "examiner")  # writes good pairs already

    class Taught(School):
        async def pair(self, request: Request, taught: bool) -> Response:
            return await super().pair(request, taught=True)

    tuned = carried_out(order(out, "gepa", 40, names=names), Taught(), few(8))
    assert not tuned.better
    assert tuned.path == tmp_path / "vi.json.not-better"
    assert tuned.path.is_file()
    assert out.read_text() == "mine"


def test_only_the_stage_that_is_asked_for_changes(tmp_path: Path) -> None:
    built_in = order(tmp_path / "vi.json", "gepa", 60, stages=("answer",))
    saved = orjson.loads(carried_out(built_in, School(), few(8)).path.read_bytes())
    assert set(saved["tuned"]["diff"]) <= {"answer.write"}
    assert saved["tuned"]["stages"] == ["answer"]


@pytest.mark.parametrize("stage", ["subjects", "syllabus"])
def test_the_curriculum_can_be_tuned_as_well(tmp_path: Path, stage: str) -> None:
    tuned = carried_out(order(tmp_path / "vi.json", "gepa", 20, stages=(stage,)), School(), few(4))
    assert tuned.path.is_file()
    assert all(f"{stage}.language" in one.score.parts for one in tuned.after)


@pytest.mark.parametrize("budget", ["", "0", "-3", "much", "1.5"])
def test_a_budget_is_a_word_or_a_number_of_metric_calls(budget: str) -> None:
    with pytest.raises(UserError, match="light, medium, heavy, or a number"):
        effort_of(budget)
    assert effort_of("600") == 600 and effort_of("light") == "light"


def test_an_unknown_optimizer_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="gepa, mipro, bootstrap"):
        named("adam")


def test_without_optuna_mipro_says_what_to_install_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'glan-dspy\[optimize\]'"):
        require_installed("mipro")
    require_installed("gepa")


# --- the command --------------------------------------------------------------------------------


def words(url: str, valset: Path, *more: str) -> list[str]:
    return ["optimize", "--base-url", url, "--language", "Vietnamese", "--model-name", "pupil", "--reflection-model",
            "reflector", "--judge-model", "examiner", "--valset", str(valset), "-o", "vi.json",
            "--concurrency", "4", *more]  # fmt: skip


def kill_and_go_on(tmp_path: Path, rows: int, budget: int, share: list[float]) -> None:
    """Kills a command where that share of its replies was answered, and lets it go on; the server counts."""
    valset = few_in(tmp_path / "rows.jsonl", rows)
    school, undisturbed = School(), order(tmp_path / "whole" / "vi.json", "gepa", budget, valset=str(valset))
    whole = carried_out(undisturbed, school, few(rows)).path.read_bytes()
    needed = school.asked.total()
    with running() as (url, server):
        server.engine = School()  # type: ignore[assignment]
        asked = words(url, valset, "--budget", str(budget))
        for number, at in enumerate(share):
            folder = tmp_path / f"killed-{number}"
            folder.mkdir()
            before = counts(url)["answered"]
            killed(asked, folder, url, before + round(at * needed))
            held = len((folder / "vi.json.log" / "replies.jsonl").read_bytes().splitlines())
            at_death = counts(url)["answered"]
            glan(*asked, cwd=folder)
            assert counts(url)["answered"] - at_death == needed - held
            assert at_death - before - held <= 4  # those in flight
            assert (folder / "vi.json").read_bytes() == whole


def test_a_command_killed_in_the_middle_goes_on_and_buys_no_reply_twice(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, rows=6, budget=40, share=[0.6])


@pytest.mark.long
def test_a_command_killed_at_many_points_goes_on_and_buys_no_reply_twice(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, rows=20, budget=300, share=[0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])


def killed(words: list[str], folder: Path, url: str, at: int) -> None:
    process = start(*words, cwd=folder)
    while process.running and counts(url)["answered"] < at:
        time.sleep(0.005)
    assert process.kill() != 0
    time.sleep(0.1)  # for the server to have answered what it was asked


def test_the_saved_program_keeps_the_gain_in_another_process_and_through_generate(
    tmp_path: Path, finished: Once
) -> None:
    valset, program = few_in(tmp_path / "rows.jsonl", 8), str(finished("gepa").tuned.path)
    with running() as (url, server):
        server.engine = School()  # type: ignore[assignment]
        where = ("--base-url", url, "--language", "Vietnamese", "--model-name", "pupil")
        evaluated = glan("evaluate", "--program", "built-in", "--program", program, "--judge-model", "examiner",
                         "--valset", str(valset), "--json", *where, cwd=tmp_path)  # fmt: skip
        before, after = (entry["value"] for entry in orjson.loads(evaluated.stdout)["programs"])
        assert before < 0.5 and after > 0.8
        glan("generate", "-o", "tuned", "--program", program, "--discipline", "Optics", "--recipe", "debug", *where,
             cwd=tmp_path)  # fmt: skip
    made = pairs(tmp_path / "tuned")  # what is English the language gate drops
    assert len(made) == 2
    assert all("00)" in question for _, question, _ in made)


@pytest.mark.long
def test_without_the_program_the_pupil_writes_nothing_that_passes(tmp_path: Path) -> None:
    with running() as (url, server):
        server.engine = School()  # type: ignore[assignment]
        glan("generate", "-o", "plain", "--base-url", url, "--language", "Vietnamese", "--model-name", "pupil",
             "--discipline", "Optics", "--recipe", "debug", cwd=tmp_path)  # fmt: skip
    assert not pairs(tmp_path / "plain")


def test_the_command_says_what_it_plans_and_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with running() as (url, server):
        server.engine = School()  # type: ignore[assignment]
        assert run(words(url, few_in(tmp_path / "rows.jsonl", 6), "--budget", "40")) == 0
    out, err = capsys.readouterr()
    assert out.startswith("vi.json: better on 6 held-out rows: 0.008 -> ")
    assert "question.language  0.00 -> 1.00" in out
    assert "at most" in err and "next: glan generate --program vi.json --language Vietnamese" in err


def test_a_cap_is_kept_over_commands_and_a_higher_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with running() as (url, server):
        server.engine = School()  # type: ignore[assignment]
        priced = words(url, few_in(tmp_path / "rows.jsonl", 6), "--price-in", "1", "--price-out", "2", "--budget", "40")
        assert run([*priced, "--max-cost", "0.08"]) == 3
        said = capsys.readouterr().err
        assert "the budget is reached" in said and "with a higher --max-cost" in said
        assert 0 < spent(tmp_path) <= 0.08
        bought = counts(url)["answered"]
        assert run([*priced, "--max-cost", "0.08"]) == 3
        assert counts(url)["answered"] - bought <= 2  # what the room of a smaller call allows
        assert run([*priced, "--max-cost", "20"]) == 0
    assert (tmp_path / "vi.json").is_file()
    assert counted_twice(tmp_path) == 0


def spent(folder: Path) -> float:
    lines = (folder / "vi.json.log" / "calls.jsonl").read_bytes().splitlines()
    return sum(orjson.loads(line).get("cost_usd") or 0.0 for line in lines)


def counted_twice(folder: Path) -> int:
    ids = [orjson.loads(line)["id"] for line in (folder / "vi.json.log" / "replies.jsonl").read_bytes().splitlines()]
    return len(ids) - len(set(ids))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--stage", "taxonomy"), "--stage 'taxonomy' is unknown; it is one of subjects, syllabus, question, answer"),
        (("--stage", "question", "--stage", "syllabus"), "not both kinds at once"),
        (("--optimizer", "adam"), "--optimizer 'adam' is unknown; it is one of gepa, mipro, bootstrap"),
        (("--budget", "much"), "--budget 'much' is light, medium, heavy, or a number"),
        (("--valset", "missing.jsonl"), "cannot read the validation set missing.jsonl"),
        (("--program", "missing.json"), "cannot read the program missing.json"),
        (("--model-name", "gpt-4o"), "model 'gpt-4o' needs a key"),
        (("-o", "."), "-o . is a folder; name a file"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    rehearsed = ["--language", "Vietnamese", "--model-name", "rehearsal", "--reflection-model", "rehearsal"]
    assert run(["optimize", *rehearsed, "-o", "vi.json", *flags]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("glan: ") and message in last


def test_equal_requests_of_many_threads_are_bought_once(tmp_path: Path) -> None:
    """As where DSPy sends a straggler again."""
    from glan_dspy.engines.base import CALL, Call
    from glan_dspy.optimize.journal import Bought, Log

    class Slow(School):
        async def complete(self, request: Request) -> Response:
            await asyncio.sleep(0.02)
            return await super().complete(request)

    async def one(engine: Bought, stage: str | None) -> str:
        CALL.set(Call(stage=stage, item="") if stage else None)
        request = lm15.Request(model="pupil", messages=(lm15.Message.user("What is to be done?"),))
        return (await engine.complete(request)).message.text or ""

    async def all_of(stage: str | None) -> int:
        from glan_dspy.engines.journal import Journal

        school, log = Slow(), Log(tmp_path / str(stage))
        await asyncio.gather(*(asyncio.create_task(one(Bought(Journal(school), log), stage)) for _ in range(5)))
        return school.asked.total()

    assert asyncio.run(all_of("question")) == 1
    assert asyncio.run(all_of(None)) == 5  # an optimizer that asks again wants to hear something else
