"""A run is killed at random moments and goes on; the server counts what was paid for."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.loopback_thread import counts, pairs, rows, running, written
from tests.processes import glan, start

QUESTIONS_AT_ONCE = ANSWERS_AT_ONCE = 16
IN_FLIGHT = 40


def killed_run(folder: Path, base_url: str, disciplines: int, kills: int, pairs_planned: int, seed: int) -> int:
    """Runs to the end through `kills` SIGKILLs spread over the work; gives back how many were really dealt."""
    rng = random.Random(seed)
    words = ["generate", "-o", "run", "--base-url", base_url, "--model-name", "sim", "--language", "English",
             "--question-batch-size", str(QUESTIONS_AT_ONCE), "--answer-batch-size", str(ANSWERS_AT_ONCE),
             "--concurrency", str(IN_FLIGHT)]  # fmt: skip
    for number in range(disciplines):
        words += ["--discipline", f"Discipline {number}"]
    calls = disciplines * 3 + pairs_planned * 2
    dealt = 0
    for kill in range(kills):
        answered = counts(base_url)["answered"]
        at = answered + rng.randint(1, max(2, (calls - answered) // (kills - kill + 1)))
        process = start(*words, cwd=folder)
        while process.running and counts(base_url)["answered"] < at:
            time.sleep(0.02)
        dealt += process.kill() < 0
    glan(*words, cwd=folder)
    return dealt


def check(folder: Path, base_url: str, disciplines: int, expected: int, kills: int) -> None:
    made = pairs(folder / "run")
    assert len(made) == len({id for id, _, _ in made}) == expected
    assert len(rows(folder / "run", "questions")) == expected
    needed = disciplines * 3 + 2 * expected
    served = counts(base_url)
    extra = served["answered"] - needed
    print(f"\n{expected} pairs, {kills} kills: {extra} calls more than the {needed} needed")
    assert 0 <= extra <= IN_FLIGHT * kills
    assert served["distinct"] == needed


def test_a_run_killed_at_random_points_ends_whole_and_pays_twice_only_for_what_was_in_flight(tmp_path: Path) -> None:
    with running("rehearsal?latency=0.05") as (base_url, _):
        kills = killed_run(tmp_path, base_url, disciplines=6, kills=2, pairs_planned=120, seed=1)
        assert kills >= 1
        check(tmp_path, base_url, 6, 120, kills)


@pytest.mark.long
def test_two_thousand_pairs_through_five_kills(tmp_path: Path) -> None:
    with running("rehearsal?latency=0.05") as (base_url, _):
        kills = killed_run(tmp_path, base_url, disciplines=100, kills=5, pairs_planned=2000, seed=2)
        assert kills == 5
        check(tmp_path, base_url, 100, 2000, kills)


def test_equal_seeds_give_equal_pairs_with_and_without_a_kill(tmp_path: Path) -> None:
    words = ["generate", "--model-name", "rehearsal?latency=0.02&bad_json=0.1&server_error=0.1", "--language", "Korean"]
    for name in ("Optics", "언어학", "Dance"):
        words += ["--discipline", name]
    glan(*words, "-o", "whole", "--answer-batch-size", "64", cwd=tmp_path)
    process = start(*words, "-o", "killed", cwd=tmp_path)
    while process.running and written(tmp_path / "killed", "instructions") < 7:
        time.sleep(0.01)
    assert process.kill() < 0, "it was done before it could be killed"
    assert 7 <= len(pairs(tmp_path / "killed")) < 60
    glan("generate", "-o", "killed", cwd=tmp_path)
    assert sorted(pairs(tmp_path / "killed")) == sorted(pairs(tmp_path / "whole"))
