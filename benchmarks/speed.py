"""Speed of one process, beside four other ways of asking the same: CPU a call, calls a second, memory.

    uv run python -m benchmarks.speed               # medians of 5 rounds, about 30 minutes
    uv run python -m benchmarks.speed --quick       # one short round, about three minutes
    uv run python -m benchmarks.speed --memory      # memory at 1,000, 10,000 and 100,000 pairs, about 4 minutes
    uv run python -m benchmarks.speed --only glan --json

`benchmarks/clients.py` says what the five clients are, `benchmarks/fast_server.py` what they ask. Each figure is
of a process of its own, against a server of its own; the rounds go through all cases in turn, so that a
machine that slows down in between slows them all. CPU is that of the client's process, all threads, user and
system. With a latency, calls/s are counted while all are in flight (the middle 60 % of the answers).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import orjson

from benchmarks.clients import Case

CLIENTS = {"aiohttp": 8_000, "floor": 8_000, "openai": 3_000, "dspy": 2_000, "glan": 8_000}
"""Calls of each client without latency; a slower one needs fewer for the same precision."""
CONDITIONS = (("text", 0.0, 256), ("json", 0.0, 256), ("text", 1.0, 256), ("text", 1.0, 1000))
MARKS = (1_000, 10_000, 100_000)

TARGETS = (
    ("text stages, CPU against aiohttp", ("text", 0.0, 256), "cpu_ms", "<=", 4.5),
    ("structured stages, CPU against aiohttp", ("json", 0.0, 256), "cpu_ms", "<=", 4.0),
    ("1,000 in flight at 1 s, calls/s against aiohttp", ("text", 1.0, 1000), "calls_s", ">=", 0.95),
)

Json = dict[str, Any]
Figures = dict[Case, list[Json]]


def cases(only: list[str], quick: bool) -> list[Case]:
    """The clients in turn under each condition; `quick` leaves one condition and half of the calls out."""
    found = []
    for kind, latency, in_flight in CONDITIONS:
        for client, most in CLIENTS.items():
            # A latency needs several times as many calls as are in flight, but DSPy's own client opens 100 at most.
            calls = (2_000 if client == "dspy" else 10 * in_flight) if latency else most // (2 if quick else 1)
            if not only or client in only:
                found.append(Case(client, kind, latency, in_flight, calls))
    return [case for case in found if not (quick and case.latency and case.in_flight < 1_000)]


@contextmanager
def server(latency: float) -> Iterator[int]:
    """A fast_server's port while the context lasts."""
    command = [sys.executable, "-m", "benchmarks.fast_server", "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def measured(case: Case) -> Json:
    with server(case.latency) as port:
        given = orjson.dumps(asdict(replace(case, port=port))).decode()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.clients", given], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr.strip().splitlines()[-1] if done.stderr else 'failed'}")
    figures: Json = orjson.loads(done.stdout.splitlines()[-1])
    return figures


def run(chosen: list[Case], rounds: int) -> Figures:
    figures: Figures = {case: [] for case in chosen}
    for number in range(rounds):
        for case in chosen:
            figures[case].append(found := measured(case))
            print(
                f"round {number + 1}: {case.client} {case.kind} {case.latency:g} s x {case.in_flight}: "
                f"{found['cpu_ms']:.2f} ms, {found['calls_s']:.0f} calls/s",
                file=sys.stderr,
                flush=True,
            )
    return figures


def middle(figures: list[Json], name: str) -> float:
    return median(float(found[name]) for found in figures)


def condition(case: Case) -> tuple[str, float, int]:
    return case.kind, case.latency, case.in_flight


def table(figures: Figures) -> str:
    lines = [
        "| replies | latency | in flight | client | CPU ms a call | (least-most) | x aiohttp | x floor "
        "| calls/s | RSS MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case, found in figures.items():
        cpu = middle(found, "cpu_ms")
        of = {other.client: rounds for other, rounds in figures.items() if condition(other) == condition(case)}
        ratios = [f"{cpu / middle(of[name], 'cpu_ms'):.2f}" if name in of else "" for name in ("aiohttp", "floor")]
        spread = f"{min(f['cpu_ms'] for f in found):.2f}-{max(f['cpu_ms'] for f in found):.2f}"
        lines.append(
            f"| {case.kind} | {case.latency:g} s | {case.in_flight} | {case.client} | {cpu:.2f} | {spread} "
            f"| {' | '.join(ratios)} | {middle(found, 'calls_s'):.0f} | {middle(found, 'rss_mb'):.0f} |"
        )
    return "\n".join(lines)


def targets(figures: Figures) -> Iterator[tuple[str, float, str, bool]]:
    """(what, the ratio found, the target, whether it was met), for what was measured of both."""
    for what, asked, name, relation, bound in TARGETS:
        of = {case.client: found for case, found in figures.items() if condition(case) == asked}
        if {"glan", "aiohttp"} <= of.keys():
            ratio = middle(of["glan"], name) / middle(of["aiohttp"], name)
            yield what, ratio, f"{relation} {bound}", ratio <= bound if relation == "<=" else ratio >= bound


def grown(figures: Json) -> str:
    at = {int(mark): mb for mark, mb in figures["memory"].items()}
    told = ", ".join(f"{mb:.0f} MB at {mark:,}" for mark, mb in at.items())
    growth = at[MARKS[-1]] - at[MARKS[-2]]
    return f"memory by pairs: {told}; growth {growth:.1f} MB, target < 20: {'met' if growth < 20 else 'MISSED'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round; figures are rough")
    parser.add_argument("--only", action="append", default=[], choices=tuple(CLIENTS), help="this client (repeatable)")
    parser.add_argument("--rounds", type=int, help="rounds of which medians are taken (5; 1 with --quick)")
    parser.add_argument("--memory", action="store_true", help="only the memory of a run of 100,000 pairs")
    parser.add_argument("--json", action="store_true", help="every figure of every round, instead of the table")
    arguments = parser.parse_args()
    if arguments.memory:
        found = measured(Case("glan", "text", 0.0, 256, 2 * MARKS[-1], marks=MARKS))
        print(orjson.dumps(found).decode() if arguments.json else grown(found))
        return
    figures = run(cases(arguments.only, arguments.quick), arguments.rounds or (1 if arguments.quick else 5))
    if arguments.json:
        print(orjson.dumps([{**asdict(case), "rounds": found} for case, found in figures.items()]).decode())
        return
    print(table(figures))
    for what, ratio, target, met in targets(figures):
        print(f"{what}: {ratio:.2f}, target {target}: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
