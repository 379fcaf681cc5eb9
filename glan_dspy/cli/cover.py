"""Covers words of this process's command line, which `ps` shows to everybody on the machine.

    glan generate --extra-header X-Team:*********************

Linux keeps the words in the process's own memory, so that they can be written over; elsewhere they stay. Nobody is kept
from seeing them before that: what must not be seen at all is given by the environment (GLAN_EXTRA_HEADER).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_ARG_START = 48
"""Which field of /proc/PID/stat tells where the words begin."""


def cover(words: Iterable[str]) -> None:
    try:
        shown = Path("/proc/self/cmdline").read_bytes()
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return
    start = int(fields[_ARG_START - 3])  # those behind the name begin with the third
    for word in map(os.fsencode, words):
        name, colon, value = word.partition(b":")
        place = shown.find(word)
        if start and value and place >= 0:
            ctypes.memset(start + place + len(name + colon), ord("*"), len(value))
