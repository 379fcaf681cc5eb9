"""The five ways of `benchmarks.speed`, each a driver of one process against benchmarks.fast_server.

    aiohttp   as its documentation writes it: `session.post(url, json=body)` and `await reply.json()` (both are Python's
              `json`); where the answer is an object, that is validated by the pydantic model that `glan` uses
    floor     the same with orjson instead of `json`, and of an object no more than orjson.loads: nothing is checked
    openai    AsyncOpenAI(http_client=DefaultAioHttpClient()).chat.completions.create, typed
    dspy      dspy.Predict with its default LM and adapter, `acall`; its cache off, or it would send one request
    glan      this project's whole run, `glan_dspy.run.generate.generate` into a new run directory on disk

All but dspy send the bodies of a run, with its schema. `aiohttp` gives back what `glan` does, checked objects, and
so it is what `glan` is compared with; `floor` shows the least that a call can cost here.

`python -m benchmarks.clients '{"client": "glan", ...}'` measures once and prints a line of JSON: a process of
its own for every figure, so that CPU and memory are that client's alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"  # DSPy would download a price list otherwise

Json = dict[str, Any]
Ask = Callable[[int], Awaitable[object]]

QUESTIONS = 100
"""Questions a syllabus in a text run: of its calls, 1 in 200 is a syllabus and 1 in 2,000 a subject list."""
SUBJECTS = 15
"""Subjects in a list, and in a discipline of a text run."""
LISTS = 10
"""Subject lists a discipline in a structured run, as in the paper: of its calls, 1 in 16 is such a list."""


@dataclass(frozen=True)
class Case:
    """One measurement."""

    client: str
    kind: str
    """text (prose of 1 KB) or json (objects of 3 KB)."""
    latency: float
    """Median seconds until the server answers; only told here, the server draws it."""
    in_flight: int
    calls: int
    """How many at least; a run rounds up to whole disciplines."""
    port: int = 0
    marks: tuple[int, ...] = ()
    """Numbers of pairs at which a run's memory is looked at."""

    def url(self, reply: str) -> str:
        return f"http://127.0.0.1:{self.port}/{reply}/v1"


# --- what is asked --------------------------------------------------------------------------------


def questions() -> list[tuple[Any, Json]]:
    """(signature, inputs) of the calls of a text run, question and answer in turn."""
    from benchmarks import fast_server
    from glan_dspy.signatures import AnswerQuestion, WriteQuestion

    sessions: Any = fast_server.syllabus()["sessions"]
    outline = "\n".join(f"{n}. {s['name']}: {'; '.join(s['key_concepts'])}" for n, s in enumerate(sessions, 1))
    place = {"language": "English", "subject": "Wave Optics, Part 1", "level": 300}
    sample = {"sessions": [sessions[3]["name"]], "key_concepts": sessions[3]["key_concepts"][:3]}
    return [
        (WriteQuestion, {**place, **sample, "discipline": "Optics", "max_tokens": 768, "syllabus": outline}),
        (AnswerQuestion, {**place, "question": fast_server.prose()}),
    ]


def syllabi() -> list[tuple[Any, Json]]:
    from glan_dspy.signatures import DesignSyllabus

    topics = [f"subtopic {index} with its laboratory" for index in range(1, 5)]
    inputs = {"discipline": "Optics", "subject": "Wave Optics, Part 1", "level": 300, "subtopics": topics}
    return [(DesignSyllabus, {"language": "English", "max_sessions": 10, **inputs})]


def bodies(kind: str) -> list[Json]:
    """The bodies that a run sends, but for their seeds."""
    from glan_dspy.adapters import CompactAdapter

    adapter, options = CompactAdapter(), {"temperature": 1.0, "top_p": 0.95, "max_tokens": 2048, "seed": 12345}
    made = []
    for signature, inputs in questions() if kind == "text" else syllabi():
        body = {"model": "x", "messages": adapter.format(signature, [], inputs), **options}
        form = adapter.plan(signature).response_format
        made.append(body | ({"response_format": form} if form else {}))
    return made


def reply_model(kind: str) -> Any:
    """The pydantic model of a structured reply; None where the reply is text."""
    from glan_dspy.adapters import CompactAdapter

    return CompactAdapter().plan(syllabi()[0][0]).model if kind == "json" else None


# --- the four that are compared with ----------------------------------------------------------------

HEADERS = {"content-type": "application/json", "authorization": "Bearer none"}


async def in_turn(ask: Ask, calls: int, in_flight: int) -> None:
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            await ask(number)

    await asyncio.gather(*(worker() for _ in range(in_flight)))


async def with_aiohttp(case: Case, calls: int) -> None:
    import aiohttp

    asked, url, checked = bodies(case.kind), case.url(case.kind) + "/chat/completions", reply_model(case.kind)
    connector = aiohttp.TCPConnector(limit=case.in_flight)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def ask(number: int) -> object:
            async with session.post(url, json=asked[number % len(asked)]) as reply:
                content = (await reply.json())["choices"][0]["message"]["content"]
                return checked.model_validate_json(content) if checked else content

        await in_turn(ask, calls, case.in_flight)


async def with_least(case: Case, calls: int) -> None:
    import aiohttp

    asked, url = bodies(case.kind), case.url(case.kind) + "/chat/completions"
    connector = aiohttp.TCPConnector(limit=case.in_flight)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def ask(number: int) -> object:
            async with session.post(url, data=orjson.dumps(asked[number % len(asked)])) as reply:
                content = orjson.loads(await reply.read())["choices"][0]["message"]["content"]
                return orjson.loads(content) if case.kind == "json" else content

        await in_turn(ask, calls, case.in_flight)


async def with_openai(case: Case, calls: int) -> None:
    import httpx2
    import openai

    asked = bodies(case.kind)
    limits = httpx2.Limits(max_connections=case.in_flight, max_keepalive_connections=case.in_flight)
    http = openai.DefaultAioHttpClient(limits=limits, timeout=600)
    async with openai.AsyncOpenAI(base_url=case.url(case.kind), api_key="none", http_client=http) as client:

        async def ask(number: int) -> object:
            reply = await client.chat.completions.create(**asked[number % len(asked)])
            return reply.choices[0].message.content

        await in_turn(ask, calls, case.in_flight)


async def with_dspy(case: Case, calls: int) -> None:
    import dspy

    signature, inputs = (questions() if case.kind == "text" else syllabi())[-1]
    predict = dspy.Predict(signature)
    predict.lm = dspy.LM("openai/x", api_base=case.url(f"chat-{case.kind}"), api_key="none", cache=False)

    async def ask(number: int) -> object:
        return await predict.acall(**inputs)

    await in_turn(ask, calls, case.in_flight)


# --- the whole run --------------------------------------------------------------------------------


def whole_run(case: Case, calls: int) -> int:
    """Walks a new run and gives back how many calls it made.

    Text: every step, with so many questions a syllabus that the rest is under 1 % of the calls. JSON: the
    same run up to the syllabi on disk; only the step that would add their questions is left out.
    """
    from glan_dspy.records import Discipline
    from glan_dspy.run.generate import generate
    from glan_dspy.run.store import Run
    from glan_dspy.run.walk import Walk
    from glan_dspy.settings import Settings

    text = case.kind == "text"
    if not text:

        async def no_questions(walk: Any, branch: Any, group: Any) -> None:
            await walk._syllabus_of(branch, group.subject)

        Walk._syllabus = no_questions  # type: ignore[assignment, method-assign]
    lists = 1 if text else LISTS
    subjects = SUBJECTS * lists
    a_discipline = subjects * QUESTIONS * 2 if text else subjects + lists
    disciplines = [Discipline(name=f"Optics {number}") for number in range(-(-calls // a_discipline))]
    settings = Settings(
        model_name="x",
        base_url=case.url("run"),
        language="English",
        num_subject_queries=lists,
        max_number_of_subjects=subjects,
        max_number_of_session_name=10,
        num_iterations=10,
        num_questions_per_iteration=QUESTIONS // 10,
        question_batch_size=case.in_flight,
        answer_batch_size=case.in_flight,
        concurrency=case.in_flight,
        gates=False,  # the server says the same to everybody; benchmarks.gates measures what they cost
    )
    with tempfile.TemporaryDirectory(prefix="glan-speed-") as folder:
        outcome = generate(Run(Path(folder) / "run"), settings, disciplines, lambda walk: watching(walk, case.marks))
    tally, planned = outcome.tally, len(disciplines) * subjects
    made = tally.instructions if text else tally.syllabi
    if outcome.bugs or outcome.reason or made != planned * (QUESTIONS if text else 1):
        raise RuntimeError(f"the run made {made} of {planned} x {QUESTIONS}: {outcome}")
    return tally.calls


memory: dict[int, float] = {}
"""MB at each number of pairs."""


@contextmanager
def watching(walk: Any, marks: tuple[int, ...]) -> Iterator[None]:
    """Notes the memory when the walk has made as many pairs as each mark says."""
    done = threading.Event()

    def watch() -> None:
        for mark in marks:
            while walk.tally.instructions < mark:
                if done.wait(0.02):
                    break
            memory[mark] = resident()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def resident() -> float:
    """MB of memory that the process holds now (Linux), or held at most (elsewhere)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


# --- measuring --------------------------------------------------------------------------------------

CLIENTS: dict[str, Callable[[Case, int], Any]] = {
    "aiohttp": with_aiohttp,
    "floor": with_least,
    "openai": with_openai,
    "dspy": with_dspy,
    "glan": whole_run,
}


def run_client(case: Case, calls: int) -> int:
    if case.client == "glan":
        return whole_run(case, calls)
    asyncio.run(CLIENTS[case.client](case, calls))
    return calls


def measure(case: Case) -> Json:
    """Figures of one client: it is driven a little first, so that imports and first uses are not in them."""
    run_client(case, min(case.calls, 64))
    answer_times(case)
    memory.clear()
    started, cpu = time.perf_counter(), time.process_time()
    calls = run_client(case, case.calls)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
    return {
        "cpu_ms": 1000 * cpu / calls,
        "calls_s": steady_rate(answer_times(case)) if case.latency else calls / seconds,
        "calls": calls,
        "rss_mb": resident(),
        "memory": {str(mark): mb for mark, mb in memory.items()},
    }


def answer_times(case: Case) -> list[float]:
    """When the server sent each answer since it was last asked."""
    with urllib.request.urlopen(f"http://127.0.0.1:{case.port}/times") as reply:
        times: list[float] = orjson.loads(reply.read())
    return sorted(times)


def steady_rate(times: list[float]) -> float:
    """Answers a second while all are in flight: from the 20th to the 80th percent of the answers."""
    first, last = len(times) // 5, len(times) * 4 // 5
    return (last - first) / (times[last] - times[first])


def main() -> None:
    given = orjson.loads(sys.argv[1])
    case = Case(**{**given, "marks": tuple(given.get("marks", ()))})
    print(orjson.dumps(measure(case)).decode(), flush=True)


if __name__ == "__main__":
    main()
