"""A Ray cluster of two nodes on this machine, in a process of its own: `python -m tests.ray_cluster CPUS CPUS`.

It prints its address, and waits for words on its standard input: `kill` ends the second node as a power cut would,
`add` begins another one. It ends, with all its processes and files, when its input ends.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
"""Nothing of it is to be seen from another machine."""


class Nodes:
    """The cluster, for a test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        try:
            self.address = self._answer()
        except AssertionError:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _answer(self) -> str:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError("the cluster did not begin")

    def tell(self, word: str) -> None:
        assert self._process.stdin
        print(word, file=self._process.stdin, flush=True)
        assert self._answer() == word

    def end(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@contextmanager
def ray_cluster(*cpus: int, **env: str) -> Iterator[Nodes]:
    with tempfile.TemporaryDirectory(prefix="glan-test-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        nodes = _begun(cpus, {**os.environ, **LOOPBACK, "RAY_TMPDIR": folder, **env})
        try:
            yield nodes
        finally:
            nodes.end()


def _begun(cpus: tuple[int, ...], env: dict[str, str]) -> Nodes:
    words = [sys.executable, "-m", __name__, *map(str, cpus)]
    for _ in range(3):  # Ray gives a node 30 s to begin, which a busy machine may not keep
        with suppress(AssertionError):
            return Nodes(subprocess.Popen(words, stdin=-1, stdout=-1, stderr=-3, text=True, cwd=ROOT, env=env))
    raise AssertionError("no cluster began")


def _kill(node: Any, cluster: Any) -> None:
    """Its processes at once, workers and all; then the cluster's own knowledge of it."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text(encoding="ascii").split()
    for pid in [raylet, *map(int, children)]:
        os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def _main(cpus: list[int]) -> None:
    from ray.cluster_utils import Cluster

    how = {"object_store_memory": 80 << 20, "include_dashboard": False}
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], **how})
    nodes = [cluster.add_node(num_cpus=count, **how) for count in cpus[1:]]
    print(f"> {cluster.address}", flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            _kill(nodes.pop(), cluster)
        elif line.strip() == "add":
            nodes.append(cluster.add_node(num_cpus=cpus[-1], **how))
        print(f"> {line.strip()}", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    _main([int(word) for word in sys.argv[1:]])
