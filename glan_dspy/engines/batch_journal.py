"""What is known of the batches of a run, kept in a file of lines that only grows.

A batch's life, one line each, all with its `token`, a fresh random word that also stands in the batch's metadata:

    begun    before anything is sent: the ids of its questions, the digest of its file, its model and endpoint
    file     the file is uploaded; the next thing sent creates the batch
    batch    the endpoint's id of the batch
    status   how it ended; its replies lie in the folder, whole
    done     every reply was used; nothing will be read of it again

A process killed between two lines leaves one question at most: after `file` and before `batch`, was the batch
created? The endpoint's own list answers it, by the token.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = dict[str, Any]


@dataclass(slots=True)
class Intent:
    """One batch, from its intention to its last used reply."""

    token: str
    address: str
    """Which endpoint: what was begun at another is not looked for here."""
    model: str
    ids: list[str]
    time: float
    """Of the last step before the batch is created, so that it is not older."""
    file: str = ""
    batch: str = ""
    status: str = ""
    unused: set[str] = field(default_factory=set)
    """Ids whose reply nobody has used yet, once its replies are being given out."""
    read: bool = False
    """Whether all its replies are given out, or their places known."""


def new_token() -> str:
    return secrets.token_hex(12)


class BatchJournal:
    """Writes the lines of one run's batches, and knows which are open from what earlier processes wrote.

    `append` puts a line on the disk before it returns. `sound` says whether what is done with replies still
    reaches the disk: while it does not, no batch is called done. Downloaded replies lie in `folder`.
    """

    def __init__(
        self,
        append: Callable[[Line], None],
        lines: Iterable[Line],
        folder: Path,
        sound: Callable[[], bool] = lambda: True,
    ) -> None:
        self.append, self.folder, self.sound = append, folder, sound
        self._open: dict[str, Intent] = {}
        for line in lines:
            self._read(line)

    def _read(self, line: Line) -> None:
        token, event = str(line.get("token")), line.get("event")
        if event == "begun":
            self._open[token] = Intent(token, line["address"], line["model"], list(line["ids"]), line["time"])
        elif event == "done":
            self._open.pop(token, None)
        elif (intent := self._open.get(token)) and event in ("file", "batch", "status"):
            setattr(intent, event, line[event])
            intent.time = line.get("time", intent.time)

    def take(self, address: str, model: str) -> list[Intent]:
        """The open batches of one endpoint and model, oldest first; each is handed out once."""
        mine = [i for i in self._open.values() if (i.address, i.model) == (address, model)]
        for intent in mine:
            del self._open[intent.token]
        return mine

    def replies(self, intent: Intent) -> Path:
        """Where a batch's replies are kept until they are used."""
        return self.folder / f"{intent.token}.jsonl"

    # --- the lines ----------------------------------------------------------------------------------

    def begin(self, token: str, address: str, model: str, ids: list[str], digest: str) -> Intent:
        intent = Intent(token, address, model, ids, time.time())
        about = {"address": address, "model": model, "requests": len(ids), "sha256": digest, "time": intent.time}
        self.append({"token": intent.token, "event": "begun", **about, "ids": ids})
        return intent

    def uploaded(self, intent: Intent, file: str) -> None:
        intent.file, intent.time = file, time.time()
        self.append({"token": intent.token, "event": "file", "file": file, "time": intent.time})

    def created(self, intent: Intent, batch: str) -> None:
        intent.batch = batch
        self.append({"token": intent.token, "event": "batch", "batch": batch})

    def ended(self, intent: Intent, status: str) -> None:
        intent.status = status
        self.append({"token": intent.token, "event": "status", "status": status})

    def done(self, intent: Intent, why: str = "used") -> None:
        if self.sound():
            self.append({"token": intent.token, "event": "done", "why": why})
            self.replies(intent).unlink(missing_ok=True)
