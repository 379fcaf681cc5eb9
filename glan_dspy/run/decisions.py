"""What `curate` decided about accepted pairs: disciplines/<folder>/decisions.jsonl, one line a decision.

    {"id", "decision": "dropped" | "kept", "reason", "detail", "found", "time", "settings"}

The newest decision about an id counts. A pair without one is kept, so only drops are written, and what brings
an earlier drop back. The pair itself stays in instructions.jsonl.
"""

from __future__ import annotations

from glan_dspy.run.lines import Line
from glan_dspy.run.store import Shelf

DROPPED, KEPT = "dropped", "kept"


def dropped(shelf: Shelf) -> dict[str, str]:
    """The reason for each id whose newest decision is a drop."""
    return {id: str(line.get("reason", "")) for id, line in drops(shelf).items()}


def drops(shelf: Shelf) -> dict[str, Line]:
    """The newest decision about each id, where that is a drop."""
    newest: dict[str, Line] = {}
    for line in shelf.read("decisions"):
        id = line.get("id")
        if line.get("decision") == DROPPED and isinstance(id, str):
            newest[id] = line
        elif line.get("decision") == KEPT and isinstance(id, str):
            newest.pop(id, None)
    return newest
