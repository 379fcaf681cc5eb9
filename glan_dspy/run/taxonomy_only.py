"""A run that has a taxonomy, or is to get one, and no disciplines yet: somebody looks through them first."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from glan_dspy.run.store import Run


def has_taxonomy_only(run: Run) -> bool:
    """Of a run that exists."""
    about = run.about()
    return about.get("kind", "generate") == "generate" and not about["disciplines"]


def own_disciplines(run: Run) -> Path:
    """Where a taxonomy's disciplines are written, to be edited."""
    return run.path / "disciplines.txt"


def taxonomy_command(run: Run) -> str:
    """What goes on with a taxonomy that is not made yet."""
    command = "generate --generate-disciplines" if run.about()["settings"].get("generate_disciplines") else "taxonomy"
    return f"glan {command} -o {quote(str(run.path))}"


def next_command(run: Run) -> str:
    """What goes on with a run that has a taxonomy only."""
    path, out = own_disciplines(run), quote(str(run.path))
    return f"check {path}, then glan generate -o {out} goes on" if path.exists() else f"{taxonomy_command(run)} goes on"
