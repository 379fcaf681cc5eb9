"""The disciplines file: what a person writes, edits and votes on, and what a run begins with.

    # Academic-Natural Science
    ## Physical sciences
    Optics
    Astronomy

A line is a discipline; `#` and `##` head the fields and sub-fields above them. A leading `-` strikes a line
out, and with a heading everything under it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from glan_dspy.errors import UserError
from glan_dspy.records import Discipline, normalise

LONGEST_NAME = 200
"""Characters; a longer line is a paragraph that got into the file by mistake."""


class Entry(NamedTuple):
    """A discipline with the headings above it, and where it stands."""

    field: str
    sub_field: str
    name: str
    line: int

    @property
    def discipline(self) -> Discipline:
        return Discipline(name=self.name, field=self.field)


def read_disciplines(path: Path) -> tuple[Discipline, ...]:
    """The file's disciplines in order. Raises UserError: no file, not UTF-8, a bad or doubled line, nothing in it."""
    if not path.exists():
        raise UserError(
            f"there is no disciplines file {path}; name one with --disciplines-filepath, or use --discipline NAME"
        )
    entries = read_outline(path)
    if not entries:
        raise UserError(f"{path} names no discipline; write one a line, or use --discipline NAME")
    refuse_doubles(str(path), ((f"line {entry.line}", entry.name) for entry in entries))
    return tuple(entry.discipline for entry in entries)


def named_disciplines(names: Sequence[str]) -> tuple[Discipline, ...]:
    """The disciplines of `--discipline NAME …`."""
    for name in names:
        if problem := problem_with(name):
            raise UserError(f"--discipline {name[:60]!r} {problem}")
    refuse_doubles("--discipline", ((f"number {i}", name) for i, name in enumerate(names, 1)))
    return tuple(Discipline(name=" ".join(name.split())) for name in names)


def read_outline(path: Path) -> list[Entry]:
    """Every line that names a discipline and is not struck out; none is an answer too, for a vote."""
    return list(parse_outline(path, _text(path)))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"there is no disciplines file {path}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"cannot read the disciplines file {path}: {error.strerror}") from None


def parse_outline(path: Path, text: str) -> Iterable[Entry]:
    field = sub_field = ""
    struck: dict[int, bool] = {1: False, 2: False}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        out, line = line.startswith("-"), line.lstrip("-").strip()
        if heading := re.match(r"(#{1,2})\s*(?!#)(.*)", line):
            depth, name = len(heading.group(1)), heading.group(2).strip()
            field, sub_field = (name, "") if depth == 1 else (field, name)
            struck[depth] = out
            struck |= {2: False} if depth == 1 else {}
        elif line and not out and not any(struck.values()):
            if problem := problem_with(line):
                raise UserError(f"{path}, line {number}: {line[:60]!r} {problem}")
            yield Entry(field, sub_field, " ".join(line.split()), number)


def problem_with(name: str) -> str:
    """What keeps a line from being a discipline's name; empty where nothing does."""
    if not name.strip():
        return "is empty"
    if name.startswith("#"):
        return "is a heading of a third level; there are # fields and ## sub-fields"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; a discipline's name has at most {LONGEST_NAME}"
    if re.match(r"(~|\.{0,2}[\\/]|[A-Za-z]:[\\/])", name) or ".." in re.split(r"[\\/]", name):
        return "looks like a path; allowed: a discipline's name, such as Optics"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "holds a control character"
    return ""


def refuse_doubles(source: str, named: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for place, name in named:
        first = seen.setdefault(normalise(name), place)
        if first != place:
            raise UserError(f"{source} names {name!r} twice ({first} and {place}); leave one of them out")


def write_outline(entries: Iterable[tuple[str, str, str]]) -> str:
    """The text of a disciplines file from (field, sub-field, discipline), headings where they change."""
    lines: list[str] = []
    above = ("", "")
    for field, sub_field, name in entries:
        if field != above[0] or (above[1] and not sub_field):
            lines += [*([""] if lines else []), f"# {field}"]
        if sub_field and (field, sub_field) != above:
            lines.append(f"## {sub_field}")
        above = (field, sub_field)
        lines.append(name)
    return "\n".join(lines) + "\n"


def vote(outlines: Sequence[Sequence[Entry]]) -> list[tuple[str, str, str]]:
    """What more than half of the outlines kept (§2.1), in order of first appearance.

    A field or sub-field that no majority kept takes its descendants with it.
    """
    votes: Counter[tuple[str, str, str]] = Counter()
    spelling: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    for entries in outlines:
        nodes: set[tuple[str, str, str]] = set()
        for entry in entries:
            path = (normalise(entry.field), normalise(entry.sub_field), normalise(entry.name))
            nodes.add(path)
            spelling.setdefault(path, (entry.field, entry.sub_field, entry.name))
        votes.update(nodes)

    # A leaf has no more votes than what it stands under, so that its own are all there is to count.
    winners = [names for path, names in spelling.items() if 2 * votes[path] > len(outlines)]
    heads: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for names in winners:
        heads.setdefault(normalise(names[0]), {}).setdefault(normalise(names[1]), []).append(names)
    return [names for subs in heads.values() for group in subs.values() for names in group]
