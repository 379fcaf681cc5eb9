"""A whole run against an account with a limit of its own: as fast as it allows, and hardly ever refused."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.loopback import Bucket
from tests.loopback_thread import running
from tests.processes import command, environment


def driven(folder: Path, bucket: Bucket, seconds: float, *flags: str) -> float:
    """Runs `glan generate` against the bucket for that long; gives back when it sent its first request."""
    with running("rehearsal?latency=0.05", bucket) as (base_url, _):
        words = ["generate", "--base-url", base_url, "--model-name", "sim", "--language", "English", "--recipe",
                 "large", "-o", "run", "--discipline", "Optics", "--discipline", "Dance", *flags]  # fmt: skip
        process = subprocess.Popen(command(*words), cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
        while not bucket.served:
            time.sleep(0.05)
        time.sleep(seconds)
        process.terminate()
        process.wait(60)
    return bucket.served[0]


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_six_hundred_a_minute_are_used_and_not_passed(tmp_path: Path, workers: str) -> None:
    bucket = Bucket(per_minute=600, burst=10)
    start = driven(tmp_path, bucket, 242, "--workers", workers)
    minutes = [sum(start + 60 * m <= at < start + 60 * (m + 1) for at in bucket.served) for m in range(4)]
    late_refused = sum(at >= start + 60 for at in bucket.refused)
    share = len(bucket.refused) / (len(bucket.refused) + len(bucket.served))
    print(f"\n{workers} workers: served a minute {minutes}, refused {len(bucket.refused)} ({share:.2%}), "
          f"after the first {late_refused}")  # fmt: skip
    assert all(570 <= minute <= 610 for minute in minutes[1:])
    assert share < 0.03
