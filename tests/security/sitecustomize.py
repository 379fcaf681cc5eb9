"""Put into a folder on PYTHONPATH, it watches every Python process from its beginning, worker processes too.

What is done that must not be done is a line of the file WATCHED: an address that is none of WATCHED_PORTS on this
machine, a name that is looked up, a pickle that is read, a program that is started and is not Python.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import traceback
from typing import Any

_ASKED = (["uname", "-p"], ["/sbin/ldconfig", "-p"])
"""What the openai client and ctypes ask the machine about itself."""


def _tell(what: str, detail: object) -> None:
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_stack(limit=12)[:-2]]
    line = json.dumps({"what": what, "detail": str(detail), "where": lines}) + "\n"
    file = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, line.encode())
    os.close(file)


def _watch(event: str, args: Any) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if address is not None and address not in _HERE:
            _tell(event, address)
    elif event == "socket.getaddrinfo" and args[0] != "127.0.0.1":
        _tell(event, args[:2])
    elif event in ("socket.gethostbyname", "socket.gethostbyaddr", "os.system"):
        _tell(event, args)
    elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        if os.path.realpath(args[0]) != os.path.realpath(sys.executable) and list(args[1]) not in _ASKED:
            _tell(event, args[:2])
    elif event == "pickle.find_class":
        _tell(event, args)


def _no_pickle(*args: object, **more: object) -> Any:
    _tell("pickle", "is read")
    raise RuntimeError("a pickle is read")


if "WATCHED" in os.environ:
    _HERE = [("127.0.0.1", int(port)) for port in os.environ["WATCHED_PORTS"].split(",")]
    for name in ("load", "loads", "Unpickler"):
        setattr(pickle, name, _no_pickle)
    sys.addaudithook(_watch)
