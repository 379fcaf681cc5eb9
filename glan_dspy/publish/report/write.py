"""`glan report`: a run as one page for a browser, also of a run that is still going."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from glan_dspy.errors import UserError
from glan_dspy.publish.draft import keep_out_of_the_run
from glan_dspy.publish.report.gather import gather
from glan_dspy.publish.report.page import page
from glan_dspy.publish.report.sample import rows_of
from glan_dspy.publish.report.view import data, view
from glan_dspy.run.store import Run, write_whole

__all__ = ["Report", "report"]


class Report(NamedTuple):
    """What was written."""

    path: Path
    size: int
    records: int
    unit: str
    spoilt: dict[str, int]
    """Lines that were passed over, by the file's name."""


def report(run: Run, to: Path) -> Report:
    """Writes the page; it appears whole or not at all, and the run is only read.

    Raises UserError: no run, a place that is a folder, cannot be written or is the run's own, a full disk.
    """
    run.about()
    _check(run, to)
    try:
        found = gather(run)
        rows = rows_of(run, found.sample)
    except OSError as error:
        raise UserError(f"cannot read {error.filename or run.path}: {error.strerror or error}") from None
    seen = view(run, found, time.time())
    text = page(seen, data(found, rows, [one.name for one in run.disciplines()]))
    try:
        write_whole(to, text)
    except OSError as error:
        raise UserError(f"cannot write {to}: {error.strerror or error}; nothing was left under that name") from None
    return Report(to, len(text), seen["records"], seen["unit"], seen["spoilt"])


def _check(run: Run, to: Path) -> None:
    """Before minutes are spent on reading."""
    if to.is_dir():
        raise UserError(f"-o {to} is a folder; name a file, such as {to / 'report.html'}")
    if to.suffix.lower() not in (".html", ".htm"):
        raise UserError(
            f"-o {to}: a browser opens files that end in .html; name one, such as {to.with_suffix('.html')}"
        )
    keep_out_of_the_run(to, run, "-o")
    home = next(folder for folder in to.absolute().parents if folder.exists())
    if not home.is_dir():
        raise UserError(f"cannot write {to}: {home} is a file")
    if not os.access(home, os.W_OK):
        raise UserError(f"cannot write {to}: nothing may be written to {home}")
