"""Worker processes on this machine: begun, listened to, replaced when they die, and let go of at the end.

python -m glan_dspy.run.workers      is one worker; it talks through its standard input and output
"""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
import sys
from collections import deque
from typing import Any

from glan_dspy.run.coordinator import Coordinator, Member
from glan_dspy.run.wire import Message, Outbox, frame, read_frame

GRACE = 30.0
"""Seconds that a worker has to end by itself when it was told to, before it is killed."""

MOST_KILLED = 3
"""Workers in one place, one after the other, that may be killed before they had anything to do."""

TAIL = 40
"""Lines of a dead worker's last words that are kept."""

LINE = 2_000
"""Characters of each."""


class Process:
    """One worker process and the coordinator's end of its pipes."""

    def __init__(self, number: int, coordinator: Coordinator) -> None:
        self.number, self.coordinator = number, coordinator
        self.last_words: deque[str] = deque(maxlen=TAIL)
        self.leased = False
        """Whether it ever had a discipline."""
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> str:
        """From its beginning to its end; why it ended, empty where it was to."""
        # In a session of its own: Ctrl-C is for the coordinator, which tells the workers.
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=-1, stdout=-1, stderr=-1, start_new_session=True
        )  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        pipe = process.stdin
        outbox = Outbox(lambda data: pipe.write(frame(data)) if not pipe.is_closing() else None)

        def send(message: Message) -> None:
            self.leased = self.leased or "lease" in message
            outbox.send(message)

        member = self.coordinator.join(f"{self.number} (process {process.pid})", send)
        words = asyncio.create_task(listen(process.stderr, self.last_words))
        try:
            await self._hear(member, process.stdout)
            code = await process.wait()
            await words
        finally:
            if process.returncode is None:
                process.kill()
            self.coordinator.leave(member, why := _told(process.returncode))
        return "" if code == 0 else why

    async def _hear(self, member: Member, reader: asyncio.StreamReader) -> None:
        while (messages := await read_frame(reader)) is not None:
            self.coordinator.hear(member, messages)

    @property
    def was_killed(self) -> bool:
        return self._process is not None and (self._process.returncode or 0) < 0

    def kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()


async def listen(reader: asyncio.StreamReader, last_words: deque[str]) -> None:
    """Keeps the last lines that a worker prints. Whatever they are: a full pipe would hold the worker up for ever."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    begun = ""
    while data := await reader.read(1 << 16):
        *whole, begun = (begun + decode(data)).split("\n")
        last_words.extend(line[:LINE].rstrip() for line in whole)
        begun = begun[:LINE]
    if begun:
        last_words.append(begun.rstrip())


async def run_workers(coordinator: Coordinator, count: int) -> None:
    """So many workers at a time, until there is nothing left to do; a dead one is replaced by a new one."""
    processes: set[Process] = set()
    numbers = iter(range(1, 1 << 30))

    async def places() -> None:
        killed = 0
        while True:
            process = Process(next(numbers), coordinator)
            processes.add(process)
            try:
                why = await process.run()
            finally:
                processes.discard(process)
            killed = killed + 1 if process.was_killed and not process.leased else 0
            # Who is killed before it had anything to do may have been in somebody's way; who ends so would again.
            if why and not process.leased and (not process.was_killed or killed == MOST_KILLED):
                coordinator.cannot_start(f"worker {why}: " + (" | ".join(process.last_words) or "no word of why"))
            if not coordinator.has_work:
                return

    async def killing() -> None:
        """Who does not end when all is done is not waited for without end."""
        await coordinator.all_told.wait()
        await asyncio.sleep(GRACE)
        for process in processes:
            process.kill()

    kill = asyncio.create_task(killing())
    try:
        await asyncio.gather(*(places() for _ in range(count)))
    finally:
        kill.cancel()
        for process in processes:
            process.kill()


def _told(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class _Ending(asyncio.Protocol):
    """Tells when the last word has left."""

    def __init__(self) -> None:
        self.said: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, error: Exception | None) -> None:
        self.said.set_result(None)


async def _main() -> None:
    """One worker, at the other end of the pipes."""
    from glan_dspy.run.worker import Desk, end_at_once, work

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_end_by_a_bug)
    out = os.dup(1)
    os.dup2(2, 1)  # whatever is printed goes to stderr, and never between two frames
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, ending = await loop.connect_write_pipe(_Ending, os.fdopen(out, "wb"))
    desk = Desk(lambda data: transport.write(frame(data)))

    async def hearing() -> None:
        while (messages := await read_frame(reader)) is not None:
            desk.hear(messages)
        end_at_once()

    try:
        await work(desk, hearing())
    finally:
        transport.close()
        await ending.said


def _end_by_a_bug(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback that broke has told the coordinator nothing: rather dead, and replaced, than waited for for ever."""
    loop.default_exception_handler(context)
    if "handle" in context:
        os._exit(70)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_main())
