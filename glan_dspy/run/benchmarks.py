"""The benchmarks that a command's `--against` names, ready to be looked for."""

from __future__ import annotations

from pathlib import Path

from glan_dspy.gates.contamination import Overlap, read_benchmarks
from glan_dspy.settings import Settings


def benchmarks_of(settings: Settings) -> Overlap | None:
    """The items of `--against`; None without any. Raises UserError for a file that cannot be read so."""
    if not (settings.against and settings.gates):
        return None
    overlap = Overlap()
    for item in read_benchmarks([Path(path) for path in settings.against], settings.against_field):
        overlap.add(*item)
    return overlap
