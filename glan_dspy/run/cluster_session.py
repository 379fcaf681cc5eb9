"""Ray, begun or joined for as long as one command takes.

    local        a Ray of this command's own: all its sockets on 127.0.0.1, closed to whoever lacks its token; its files
                 lie in a folder that goes when it goes
    auto         the cluster that this machine is a node of
    HOST:PORT    the same, by its head's address

No dashboard, no usage statistics, no log lines between ours. Ray pickles the calls of functions between its processes:
here those are this package's own functions, and bytes of JSON. Who can reach the ports of a cluster can run anything on
it; its token (RAY_AUTH_MODE=token) and a network of its own are what keeps others away.
"""

from __future__ import annotations

import io
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from glan_dspy.errors import UserError
from glan_dspy.settings import Settings

NAMESPACE = "glan"

ANSWERS, JOINS, BEGINS = 20.0, 60.0, 240.0
"""Seconds within which an address answers, a cluster lets us in, and a Ray of our own is there on a busy machine."""

STORE = 80 << 20
"""Bytes of shared memory for objects between processes, the least that Ray takes: nothing of ours is large."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What every gRPC server answers with a frame of settings."""


def wants_ray(settings: Settings) -> bool:
    return settings.ray not in (None, "off")


def require_ray(settings: Settings) -> None:
    """Raises UserError where Ray is asked for and is not installed."""
    if wants_ray(settings) and find_spec("ray") is None:
        raise UserError(f"--ray {settings.ray} needs Ray, which is not installed: pip install 'glan-dspy[ray]'")


@contextmanager
def ray_session(settings: Settings) -> Iterator[int]:
    """How many workers there are to be, with Ray there while the context lasts; 0 where it is not asked for.

    Raises UserError where Ray cannot be had. One that this process has joined already, as in a notebook, is used.
    """
    if not wants_ray(settings):
        yield 0
        return
    require_ray(settings)
    assert settings.ray
    with _environment({**_SILENCE, **(_own() if settings.ray == "local" else {})}):
        import ray  # only now: it reads some of its settings when it is imported

        if ray.is_initialized():
            yield settings.workers or _cpus(settings.ray)
        elif settings.ray == "local":
            with _begun(settings.workers or max(2, os.cpu_count() or 1)) as workers:
                yield workers
        else:
            with _joined(settings.ray):
                yield settings.workers or _cpus(settings.ray)


@contextmanager
def _begun(workers: int) -> Iterator[int]:
    # Not under a long TMPDIR: the names of Ray's sockets lie in there, and may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="glan-ray-", dir="/tmp" if os.access("/tmp", os.W_OK) else None))
    try:
        with _initialized("local", BEGINS, num_cpus=workers, include_dashboard=False, object_store_memory=STORE,
                          _temp_dir=str(folder)):  # fmt: skip
            yield workers
    finally:
        for _ in range(20):  # its last processes may still be writing there
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.2)


@contextmanager
def _joined(address: str) -> Iterator[None]:
    if address != "auto":
        require_answer(address)
    with _initialized(address, JOINS):
        yield


@contextmanager
def _initialized(address: str, seconds: float, **how: Any) -> Iterator[None]:
    """Ray there within so many seconds; `how` says what is not the same for a Ray of one's own and for a cluster."""
    import ray

    over = threading.Event()
    failed = _begin(address, seconds, how, over)
    if failed and "timed out during startup" in str(failed):
        failed = _begin(address, seconds, how, over)  # Ray gives itself 30 s, which a busy machine may not keep
    if failed:
        why = " ".join(str(failed).split()) or type(failed).__name__
        raise UserError(f"--ray {address}: {why[:400]}")
    try:
        with redirect_stdout(Quiet(sys.stdout)):
            yield
    finally:
        ray.shutdown()
        over.set()


def _begin(address: str, seconds: float, how: dict[str, Any], over: threading.Event) -> BaseException | None:
    """Begins Ray in a thread, until `over`; gives back why it could not.

    A thread can be left alone where Ray waits on and on, and our signal handlers stay as they are. Where Ray is begun
    the thread lives as long as it does: the kernel ends what a thread started (PR_SET_PDEATHSIG) when that ends.
    """
    there = threading.Event()
    failed: list[BaseException] = []

    def begin() -> None:
        import ray

        try:
            ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, **how)
        except BaseException as error:  # Ray ends some failures by SystemExit
            failed.append(error)
            there.set()
            return
        there.set()
        over.wait()

    threading.Thread(target=begin, daemon=True, name="ray.init").start()
    if not there.wait(seconds):
        return TimeoutError(
            f"no cluster let this machine in within {seconds:.0f} s; is it one of its nodes? "
            f"`ray start --address={address}` makes it one"
        )
    return failed[0] if failed else None


def require_answer(address: str, seconds: float = ANSWERS) -> None:
    """Raises UserError where no gRPC server answers at the address: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                connection.settimeout(seconds)
                connection.sendall(_PREFACE)
                if connection.recv(9)[3:4] != b"\x04":
                    raise ConnectionError("what answers is not Ray")
    except OSError as error:
        why = f"no answer within {seconds:.0f} s" if isinstance(error, TimeoutError) else error.strerror or error
        raise UserError(
            f"--ray {address}: no Ray cluster there ({why}); start one with `ray start --head --port={port}`, "
            "or use --ray local"
        ) from None


class Quiet(io.TextIOBase):
    """Standard output, which is for results, without what Ray prints there of nodes and workers that died."""

    def __init__(self, out: TextIO) -> None:
        self.out, self._end_of_ray = out, False

    def write(self, text: str) -> int:
        of_ray = text.startswith(("(raylet", "(gcs_server", "(autoscaler"))
        if not of_ray and not (self._end_of_ray and text == "\n"):
            self.out.write(text)
        self._end_of_ray = of_ray
        return len(text)

    def flush(self) -> None:
        self.out.flush()

    def isatty(self) -> bool:
        return self.out.isatty()


def _cpus(address: str) -> int:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus = int(resources.get("CPU", 0))
    if not cpus:
        raise UserError(f"--ray {address}: the cluster has no CPU; add a node, or say --workers N for those to come")
    return cpus


_SILENCE: dict[str, str | None] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else, under `uv run`, the current folder is sent to all nodes
    "RAY_COLOR_PREFIX": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning about GPUs that nobody asked for
}


@contextmanager
def _environment(values: dict[str, str | None]) -> Iterator[None]:
    """The variables set, or taken away, while the context lasts; the processes that Ray starts inherit them."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@lru_cache
def _own() -> dict[str, str | None]:
    """What a Ray of our own begins with; with one token for all that this process begins, since Ray reads it once."""
    return {
        "RAY_AUTH_MODE": "token" if "ray" not in sys.modules else None,  # imported, it has read the mode; it says token
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so it keeps to 127.0.0.1, on every system
        "RAY_worker_niceness": "0",  # else 15: workers that wait for whatever else the machine does
    }
