"""The batch engine against a server with files and batches: every question gets its own reply, and none is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from dspy import lm15
from dspy.lm15 import Config, Message, Request, Response

from benchmarks.batch_server import BatchServer, Faults, answered, not_run
from glan_dspy.engines.base import CALL, Call
from glan_dspy.engines.batch import BatchEngine
from glan_dspy.engines.batch_desk import Pace
from glan_dspy.engines.batch_files import question_id, replies, response_of
from glan_dspy.engines.batch_journal import BatchJournal, Line
from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.engines.journal import text_of
from glan_dspy.engines.rehearsal import RehearsalEngine
from tests.batch_thread import running

T = TypeVar("T")

QUICK = Pace(settle=0.03, first_look=0.01, longest_look=0.02, doubt=0.3, room=0.02, longest_room=0.05)


def request(number: int, model: str = "m") -> Request:
    return Request(model=model, system="Be brief.", messages=(Message.user(f"Question {number}"),), config=Config())


def engine(base_url: str, folder: Path, lines: list[Line], pace: Pace = QUICK, **journal: Any) -> BatchEngine:
    """An engine whose journal goes on where the lines end."""
    kept = BatchJournal(lines.append, list(lines), folder, **journal)
    return BatchEngine(Endpoint(base_url=base_url), kept, pace=pace)


async def ask(engine: BatchEngine, number: int, model: str = "m") -> Response:
    """What a job does: one question, in a task that ends when the reply is used."""
    CALL.set(Call(stage="question.write", item=str(number)))
    return await engine.complete(request(number, model))


async def ask_all(engine: BatchEngine, numbers: Iterable[int], model: str = "m") -> list[Any]:
    tasks = [asyncio.create_task(ask(engine, number, model)) for number in numbers]
    return await asyncio.gather(*tasks, return_exceptions=True)


def run(engine: BatchEngine, work: Callable[[BatchEngine], Awaitable[T]]) -> T:
    async def main() -> T:
        try:
            return await work(engine)
        finally:
            await asyncio.sleep(0)
            await engine.aclose()

    return asyncio.run(main())


def all_of(engine: BatchEngine, count: int) -> list[Any]:
    return run(engine, lambda e: ask_all(e, range(count)))


def expected(number: int, model: str = "m") -> str:
    """The server's model is the simulated one: this is what it says to the question."""
    CALL.set(None)
    return text_of(asyncio.run(RehearsalEngine().complete(request(number, model))))


def check(got: Sequence[Any], numbers: Iterable[int]) -> None:
    assert [text_of(response) for response in got] == [expected(number) for number in numbers]


def sizes(server: BatchServer) -> list[int]:
    return [len(server.files[batch["input_file_id"]].splitlines()) for batch in server.batches.values()]


def events(lines: list[Line]) -> list[str]:
    return [line["event"] for line in lines]


# --- gathering ------------------------------------------------------------------------------------


def test_what_is_asked_together_is_one_batch_and_each_gets_its_own_reply(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running() as (url, server):
        check(all_of(engine(url, tmp_path, lines), 20), range(20))
        (batch,) = server.batches.values()
    assert sizes(server) == [20]
    assert events(lines) == ["begun", "file", "batch", "status", "done"]
    assert batch["metadata"] == {"glan_token": lines[0]["token"]} and batch["completion_window"] == "24h"
    assert list(tmp_path.iterdir()) == []


def test_a_full_file_is_sent_at_once(tmp_path: Path) -> None:
    with running() as (url, server):
        pace = replace(QUICK, most_requests=4, settle=0.2)
        check(all_of(engine(url, tmp_path, [], pace), 10), range(10))
    assert sorted(sizes(server)) == [2, 4, 4]


def test_a_file_has_no_more_bytes_than_are_allowed(tmp_path: Path) -> None:
    with running() as (url, server):
        check(all_of(engine(url, tmp_path, [], replace(QUICK, most_bytes=700)), 9), range(9))
    inputs = [server.files[batch["input_file_id"]] for batch in server.batches.values()]
    assert len(inputs) > 2 and max(map(len, inputs)) <= 700


def test_a_batch_has_one_model(tmp_path: Path) -> None:
    async def both(e: BatchEngine) -> list[Any]:
        return [*await asyncio.gather(ask_all(e, range(3), "a"), ask_all(e, range(3), "b"))]

    with running() as (url, server):
        a, b = run(engine(url, tmp_path, []), both)
    assert [text_of(r) for r in a] == [expected(n, "a") for n in range(3)]
    assert [text_of(r) for r in b] == [expected(n, "b") for n in range(3)]
    assert sizes(server) == [3, 3]


def test_equal_questions_of_nobody_are_two_questions(tmp_path: Path) -> None:
    async def twice(e: BatchEngine) -> None:
        CALL.set(None)
        await asyncio.gather(e.complete(request(1)), e.complete(request(1)))

    with running() as (url, server):
        run(engine(url, tmp_path, []), twice)
    assert sizes(server) == [2] and len(server.custom_ids) == 2


def test_a_question_is_its_name_and_its_words_but_not_its_attempt() -> None:
    call, body = Call(stage="s", item="1"), {"messages": ["a"]}
    assert question_id(call, body) == question_id(replace(call, attempt=3), body)
    others = [question_id(replace(call, ask=1), body), question_id(call, {"messages": ["b"]}), question_id(None, body)]
    assert len({question_id(call, body), *others}) == 4


def test_azure_has_its_own_addresses_and_looks_at_a_file_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(faults=Faults(pending_files=True)) as (url, server):
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", url.removesuffix("/v1"))
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key")
        azure = Endpoint(key_variable="AZURE_OPENAI_API_KEY", azure=True)
        journal = BatchJournal(lambda line: None, [], tmp_path)
        check(all_of(BatchEngine(azure, journal, pace=replace(QUICK, doubt=0.02)), 3), range(3))
    (batch,) = server.batches.values()
    line = orjson.loads(server.files[batch["input_file_id"]].splitlines()[0])
    assert batch["endpoint"] == line["url"] == "/chat/completions" and line["body"]["model"] == "m"


# --- how a batch may end --------------------------------------------------------------------------


def test_an_expired_batch_goes_on_in_halves(tmp_path: Path) -> None:
    with running(faults=Faults(expire_after=[4])) as (url, server):
        check(all_of(engine(url, tmp_path, []), 10), range(10))
    assert sizes(server) == [10, 3, 3] and set(server.bought.values()) == {1}


def test_of_a_cancelled_batch_the_finished_part_counts(tmp_path: Path) -> None:
    with running(faults=Faults(cancel_after=[6])) as (url, server):
        got = all_of(engine(url, tmp_path, []), 10)
    refused = [error for error in got if isinstance(error, lm15.InvalidRequestError)]
    assert len(refused) == 4 and "cancelled" in str(refused[0]) and len(server.batches) == 1
    assert sum(isinstance(reply, Response) for reply in got) == 6


def test_a_failed_batch_says_why_to_each(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running(faults=Faults(refuse=["Line 3 is odd"])) as (url, _):
        got = all_of(engine(url, tmp_path, lines), 3)
        assert all(isinstance(error, lm15.InvalidRequestError) and "Line 3 is odd" in str(error) for error in got)
        check(all_of(engine(url, tmp_path, lines), 3), range(3))


def test_a_full_queue_makes_batches_smaller_until_they_fit(tmp_path: Path) -> None:
    with running(faults=Faults(queue=4, delay=0.05)) as (url, server):
        check(all_of(engine(url, tmp_path, []), 15), range(15))
    assert set(server.bought.values()) == {1}
    assert (
        max(size for size, b in zip(sizes(server), server.batches.values(), strict=True) if b["status"] != "failed")
        <= 4
    )


def test_one_request_that_finds_no_room_is_a_rate_limit(tmp_path: Path) -> None:
    with running(faults=Faults(queue=0)) as (url, _):
        (error,) = all_of(engine(url, tmp_path, []), 1)
    assert isinstance(error, lm15.RateLimitError) and error.retry_after is not None


def test_failed_and_missing_lines_are_errors_that_heal(tmp_path: Path) -> None:
    with running(faults=Faults(line_errors=0.4, lost_lines=0.4)) as (url, server):
        e = engine(url, tmp_path, [])

        async def until_answered(e: BatchEngine) -> list[Any]:
            async def job(number: int) -> Response:
                try:
                    return await ask(e, number)
                except lm15.ServerError:
                    return await ask(e, number)

            return await asyncio.gather(*(asyncio.create_task(job(number)) for number in range(20)))

        check(run(e, until_answered), range(20))
    assert len(server.batches) >= 2 and set(server.bought.values()) == {1}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (answered("a", 429, {"error": {"message": "slow"}}), lm15.RateLimitError),
        (answered("a", 500, {"error": {"message": "oh"}}), lm15.ServerError),
        (answered("a", 401, {"error": {"message": "key"}}), lm15.AuthError),
        (answered("a", 400, {"error": {"message": "no", "code": "content_filter"}}), lm15.InvalidRequestError),
        (answered("a", 400, {"error": {"message": "x", "code": "context_length_exceeded"}}), lm15.ContextLengthError),
        (answered("a", 200, {"choices": []}), lm15.TransportError),
        ({"custom_id": "a", "response": {"status_code": 200, "body": "<html>"}, "error": None}, lm15.ServerError),
        ({"custom_id": "a", "response": None, "error": {"code": "request_timeout"}}, lm15.TimeoutError),
        ({"custom_id": "a", "response": None, "error": None}, lm15.ServerError),
        ({"custom_id": "a"}, lm15.ServerError),
        (not_run("a", "batch_expired"), lm15.ServerError),
    ],
)
def test_each_bad_line_is_a_typed_error(line: Line, kind: type[lm15.LM15Error]) -> None:
    with pytest.raises(lm15.LM15Error) as caught:
        response_of(line, "m")
    assert type(caught.value) is kind


def test_what_is_no_reply_in_an_output_file_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    good = orjson.dumps(answered("a", 200, {}))
    half = b'{"custom_id": "b", "response": {"status_code": 200, "body": {"x": "\\ud83d"}}}'
    path.write_bytes(b"\n".join([b"", b"<html>", b"[1]", b'{"custom_id": 5}', good, half, good[:20]]))
    assert [(reply.id, reply.good) for reply in replies(path)] == [("a", True), ("b", True)]


# --- what goes wrong on the way -------------------------------------------------------------------


def test_a_creation_whose_answer_is_lost_is_found_again(tmp_path: Path) -> None:
    with running(faults=Faults(lost_answers=1)) as (url, server):
        check(all_of(engine(url, tmp_path, []), 3), range(3))
    assert len(server.batches) == 1


def test_a_creation_that_is_refused_for_now_is_tried_again(tmp_path: Path) -> None:
    with running(faults=Faults(create_errors=[429, 503])) as (url, server):
        check(all_of(engine(url, tmp_path, [], replace(QUICK, doubt=0.01)), 3), range(3))
    assert len(server.batches) == 1 and server.uploads == 1


def test_a_creation_that_is_refused_is_told_to_all(tmp_path: Path) -> None:
    with running(faults=Faults(create_errors=[401])) as (url, _):
        got = all_of(engine(url, tmp_path, []), 3)
    assert [type(error) for error in got] == [lm15.AuthError] * 3


def test_a_download_that_breaks_off_is_begun_again(tmp_path: Path) -> None:
    with running(faults=Faults(half_files=2)) as (url, server):
        check(all_of(engine(url, tmp_path, []), 30), range(30))
    assert server.downloads == 3 and len(server.batches) == 1


# --- a second process -----------------------------------------------------------------------------


async def leave_waiting(e: BatchEngine, count: int, when: Callable[[], bool]) -> None:
    """What Ctrl-C does: the calls that wait are cancelled."""
    tasks = [asyncio.create_task(ask(e, number)) for number in range(count)]
    while not when():
        await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_the_next_process_takes_on_what_was_sent(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running(faults=Faults(delay=0.3)) as (url, server):
        run(engine(url, tmp_path, lines), lambda e: leave_waiting(e, 8, lambda: "batch" in events(lines)))
        check(all_of(engine(url, tmp_path, lines), 8), range(8))
        assert len(server.batches) == 1
    assert events(lines)[-1] == "done"


def test_a_batch_that_was_created_late_is_found_by_its_token(tmp_path: Path) -> None:
    """The process died after it asked for the batch; the endpoint was slow, and made it after the next one began."""
    lines: list[Line] = []
    with running(page=1) as (url, server):
        hold = server.hold("create")
        run(engine(url, tmp_path, lines), lambda e: leave_waiting(e, 3, hold.reached.is_set))
        hold.go_on.set()
        assert events(lines) == ["begun", "file"]

        async def late(e: BatchEngine) -> list[Any]:
            asking = asyncio.create_task(ask_all(e, range(3)))
            await asyncio.sleep(0.4)
            client = e._office().client
            for token in (lines[0]["token"], "another", "a third"):
                await client.batches.create(
                    input_file_id=lines[1]["file"],
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                    metadata={"glan_token": token},
                )
            return await asking

        check(run(engine(url, tmp_path, lines, replace(QUICK, doubt=5.0)), late), range(3))
    assert len(server.batches) == 3 and events(lines)[2:] == ["batch", "status", "done"]


def test_a_batch_that_was_never_created_is_sent_anew(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running() as (url, server):
        hold = server.hold("create")
        run(engine(url, tmp_path, lines), lambda e: leave_waiting(e, 3, hold.reached.is_set))
        hold.go_on.set()
        check(all_of(engine(url, tmp_path, lines), 3), range(3))
    assert len(server.batches) == 1 and set(server.bought.values()) == {1}


def test_replies_that_nobody_asked_for_wait_on_disk_and_are_not_downloaded_again(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running(faults=Faults(delay=0.2)) as (url, server):
        run(engine(url, tmp_path, lines), lambda e: leave_waiting(e, 8, lambda: "batch" in events(lines)))
        check(run(engine(url, tmp_path, lines), lambda e: ask_all(e, [5, 6])), [5, 6])
        assert "done" not in events(lines) and server.downloads == 1
        check(all_of(engine(url, tmp_path, lines), 8), range(8))
        assert (len(server.batches), server.downloads) == (1, 1)
    assert events(lines)[-1] == "done" and list(tmp_path.iterdir()) == []


def test_a_batch_is_done_only_when_whoever_asked_has_used_its_reply(tmp_path: Path) -> None:
    lines: list[Line] = []
    seen: list[bool] = []

    async def slow_writer(e: BatchEngine) -> None:
        async def job() -> None:
            await ask(e, 1)
            await asyncio.sleep(0.1)
            seen.append("done" in events(lines))

        await asyncio.create_task(job())

    with running() as (url, _):
        run(engine(url, tmp_path, lines), slow_writer)
    assert seen == [False] and events(lines)[-1] == "done"


def test_a_reply_whose_task_broke_is_given_out_again(tmp_path: Path) -> None:
    lines: list[Line] = []

    async def broken(e: BatchEngine) -> None:
        async def job() -> None:
            await ask(e, 1)
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            await asyncio.create_task(job())

    with running() as (url, server):
        run(engine(url, tmp_path, lines), broken)
        assert "done" not in events(lines)
        check(run(engine(url, tmp_path, lines), lambda e: ask_all(e, [1])), [1])
        assert len(server.batches) == 1


def test_while_the_run_is_not_sound_no_batch_is_done(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running() as (url, server):
        run(engine(url, tmp_path, lines, sound=lambda: False), lambda e: ask_all(e, [1]))
        assert "done" not in events(lines)
        check(run(engine(url, tmp_path, lines), lambda e: ask_all(e, [1])), [1])
        assert len(server.batches) == 1


def test_a_batch_that_the_endpoint_does_not_know_is_not_paid_again_unasked(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running(faults=Faults(delay=0.2)) as (url, server):
        run(engine(url, tmp_path, lines), lambda e: leave_waiting(e, 2, lambda: "batch" in events(lines)))
        server.batches.clear()
        got = all_of(engine(url, tmp_path, lines), 2)
        assert all(isinstance(error, lm15.ConfigurationError) and "another key" in str(error) for error in got)
        assert not server.batches
        # A month later its files are gone for certain.
        for line in lines:
            if "time" in line:
                line["time"] = time.time() - 31 * 86400
        got = all_of(engine(url, tmp_path, lines), 2)
        assert all(isinstance(error, lm15.ServerError) for error in got)
        check(all_of(engine(url, tmp_path, lines), 2), range(2))


def test_who_asks_after_a_batch_was_found_unknown_does_not_send_it_again(tmp_path: Path) -> None:
    """As when another project's key is used: the first to ask hears of it, and so do all that ask later."""
    lines: list[Line] = []
    with running(faults=Faults(delay=9)) as (base_url, server):
        run(engine(base_url, tmp_path, lines), lambda e: leave_waiting(e, 4, lambda: bool(server.batches)))
        server.batches.clear()

        async def one_after_the_other(e: BatchEngine) -> list[Any]:
            first = await ask_all(e, [0])
            await asyncio.sleep(0.1)
            return [*first, *await ask_all(e, [1, 2, 3])]

        got = run(engine(base_url, tmp_path, lines), one_after_the_other)
        assert [type(one) for one in got] == [lm15.ConfigurationError] * 4 and not server.batches


def test_batches_of_another_endpoint_are_left_alone(tmp_path: Path) -> None:
    lines: list[Line] = []
    with running(faults=Faults(delay=0.2)) as (url, server):
        run(engine(url, tmp_path, lines), lambda e: leave_waiting(e, 2, lambda: "batch" in events(lines)))
        with running() as (other_url, other):
            check(all_of(engine(other_url, tmp_path, lines), 2), range(2))
            assert len(other.batches) == 1
        check(all_of(engine(url, tmp_path, lines), 2), range(2))
        assert len(server.batches) == 1
