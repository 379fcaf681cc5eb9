"""One worker in a Ray task: whether it is fit for the run, and how it talks to the run's office.

A task holds a worker, and a worker leases disciplines for as long as there are any: the discipline is what is handed
out, what is lost with a node and what goes on elsewhere, as if each were a task of Ray's. But imports that take
seconds, warm connections, compiled programs and the benchmarks' index are then had once a worker and not once a
discipline, Ray has a hundred tasks to look after and not ten thousand, and a lease can be smaller than a task is worth.

The machine has its own environment: keys and --extra-header (GLAN_EXTRA_HEADER) are read there and never sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
import socket
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from glan_dspy import __version__
from glan_dspy.errors import UserError
from glan_dspy.layers import given_settings
from glan_dspy.run.cluster_session import NAMESPACE
from glan_dspy.settings import Settings, SettingsError, role

if TYPE_CHECKING:
    from glan_dspy.run.worker import Desk

log = logging.getLogger("glan")

SILENCE = 60.0
"""Seconds of silence after which the office counts as gone: it answers within POLL, unless its machine is stuck."""

TOKEN = ".cluster"
"""File of a run that holds the token of the command that writes it now."""


@dataclass(frozen=True)
class Assignment:
    """What a worker is told before it joins, as plain as JSON."""

    office: str
    run: str
    token: str
    kind: str
    digest: str
    """Of the program, whose prompts must be the same everywhere."""
    settings: dict[str, Any]
    """Without what is secret."""
    headers: list[str]
    """The names of the --extra-headers that each request is to have."""
    endpoints: list[str]
    versions: dict[str, str]
    host: str
    """The command's machine."""

    def dump(self) -> bytes:
        return orjson.dumps(self)


def assignment(office: str, run: Path, token: str, kind: str, digest: str, settings: Settings) -> Assignment:
    return Assignment(
        office=office,
        run=str(run),
        token=token,
        kind=kind,
        digest=digest,
        settings=plain(settings),
        headers=names_of(settings),
        endpoints=endpoints_of(settings),
        versions=versions(),
        host=socket.gethostname(),
    )


def plain(settings: Settings) -> dict[str, Any]:
    """The settings as they may travel: paths whole, for a worker has a folder of its own, and nothing secret."""
    values = settings.model_dump(mode="json")
    for name in ("program", "weights"):
        values[name] = values[name] and str(Path(values[name]).absolute())
    values["against"] = [str(Path(path).absolute()) for path in values["against"]]
    return {name: value for name, value in values.items() if role(name) != "secret"}


def names_of(settings: Settings) -> list[str]:
    return sorted(line.partition(":")[0].strip().lower() for line in settings.extra_header)


def endpoints_of(settings: Settings) -> list[str]:
    """Where the models are asked, as the settings and this machine's environment have it."""
    from glan_dspy.addresses import endpoint_for
    from glan_dspy.engines.rehearsal import is_rehearsal

    if all(map(is_rehearsal, (settings.curriculum_model, settings.question_model, settings.answer_model))):
        return []
    return [endpoint_for(settings, for_answer).place() for for_answer in (False, True)]


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"glan-dspy": __version__, "dspy": version("dspy")}


# --- on the worker's machine --------------------------------------------------------------------------


def worker_task(number: int, given: bytes) -> bytes:
    """A worker from its beginning to its end; gives back, as JSON, why it is unfit or what bug it met, or nothing."""
    told = Assignment(**orjson.loads(given))
    try:
        settings = own_settings(told)
        require_fit(told, settings)
    except (UserError, SettingsError) as error:
        return orjson.dumps({"unfit": f"{socket.gethostname()}: {error}"})
    except Exception:
        return orjson.dumps({"bug": traceback.format_exc()})
    with suppress(Exception):  # the office has its traceback already
        asyncio.run(attend(number, told, settings))
    return b"{}"


def own_settings(told: Assignment) -> Settings:
    """The command's settings with what is this machine's own: secrets, and a log that no other machine writes to."""
    here, log = given_settings().get("extra_header", ()), Path(told.settings["logfile_name"])
    if (host := socket.gethostname()) != told.host:
        log = Path(f"{log.stem}-{re.sub(r'[^A-Za-z0-9.-]', '_', host)}{log.suffix}")
    return Settings.model_validate({**told.settings, "extra_header": here, "logfile_name": log.name})


def require_fit(told: Assignment, settings: Settings) -> None:
    """Raises UserError where a worker here would not do what the command's own machine does."""
    from glan_dspy.connect import connect
    from glan_dspy.program import open_program

    if versions() != told.versions:
        raise UserError(f"has {_listed(versions())}, the command's machine {_listed(told.versions)}: install the same")
    try:
        token = (Path(told.run) / TOKEN).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {told.run}: {error.strerror}; it must lie on a file system that all nodes share "
                        "under the same path") from None  # fmt: skip
    if token != told.token:
        raise UserError(f"{told.run} is another run here: it must lie on a file system that all nodes share")
    for path in (*settings.against, *filter(None, [settings.program])):
        if not Path(path).exists():
            raise UserError(f"{path} is not there; it must lie on a file system that all nodes share")
    if names_of(settings) != told.headers:
        raise UserError(f"GLAN_EXTRA_HEADER must set the headers {', '.join(told.headers) or 'of none'} here too: "
                        "headers may hold keys, and are not sent between machines")  # fmt: skip
    if endpoints_of(settings) != told.endpoints:
        raise UserError(f"asks {_listed(endpoints_of(settings))}, the command's machine {_listed(told.endpoints)}: "
                        "set OPENAI_BASE_URL and AZURE_OPENAI_ENDPOINT alike, or give --base-url")  # fmt: skip
    connect(settings, answers_only=told.kind == "answer")
    if open_program(settings).digest != told.digest:
        raise UserError("has other prompts than the command's machine: install the same version of glan-dspy")


def _listed(values: dict[str, str] | list[str]) -> str:
    if isinstance(values, dict):
        values = [f"{name} {value}" for name, value in values.items()]
    return ", ".join(dict.fromkeys(values)) or "none"


async def attend(number: int, told: Assignment, settings: Settings) -> None:
    """Works for the office until it says that this is the end."""
    import ray

    from glan_dspy.run.worker import Desk, work

    office = ray.get_actor(told.office, namespace=NAMESPACE)
    carrier = Carrier(office, number)
    desk = Desk(carrier.deliver)
    await office.join.remote(number, f"process {os.getpid()} on {platform.node()}")
    try:
        await work(desk, listening(office, number, desk, settings))
    finally:
        await carrier.done()


async def listening(office: Any, number: int, desk: Desk, settings: Settings) -> None:
    """Hands on what the office says; ends the process where there is none any more, whatever it has in hand."""
    import ray.exceptions

    from glan_dspy.run.cluster_office import GONE
    from glan_dspy.run.worker import end_at_once

    try:
        while (data := await asyncio.wait_for(office.listen.remote(number), SILENCE)) != GONE:
            messages = orjson.loads(data)
            for message in messages:
                if "welcome" in message:
                    message["welcome"]["settings"] = settings.model_dump(mode="json")
            desk.hear(messages)
    except (ray.exceptions.RayError, TimeoutError) as error:
        log.warning("worker %d ends: no word from its coordinator (%s)", number, type(error).__name__)
    except Exception:
        log.exception("worker %d ends: a bug in what it heard", number)
    end_at_once()


class Carrier:
    """Brings to the office what the worker says: one bundle at a time, with all that came up meanwhile in the next."""

    def __init__(self, office: Any, number: int) -> None:
        self.office, self.number = office, number
        self._said: list[bytes] = []
        self._carrying: asyncio.Task[None] | None = None

    def deliver(self, data: bytes) -> None:
        self._said.append(data)
        if self._carrying is None:
            self._carrying = asyncio.create_task(self._carry())

    async def _carry(self) -> None:
        from glan_dspy.run.cluster_office import pause
        from glan_dspy.run.worker import end_at_once

        try:
            while self._said:
                said, self._said = self._said, []
                data = b"\n".join(said)
                await self.office.tell.remote(self.number, data)
                await asyncio.sleep(pause(len(data)))
        except Exception as error:  # the coordinator is gone, as a rule; whatever it is, what was said is lost
            log.warning("worker %d ends: it cannot tell its coordinator (%s)", self.number, type(error).__name__)
            end_at_once()
        self._carrying = None

    async def done(self) -> None:
        """Waits until all of it is there."""
        while self._carrying is not None:
            await self._carrying
