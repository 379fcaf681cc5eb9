"""The accepted pairs of a run in the form that a trainer reads, streamed."""

from __future__ import annotations

import re
from pathlib import Path

from glan_dspy.errors import UserError
from glan_dspy.publish.balance import Balance, balance
from glan_dspy.publish.card import CARD, card
from glan_dspy.publish.contents import Contents, Exported
from glan_dspy.publish.draft import (
    SHARD_ROWS,
    Draft,
    Place,
    Shard,
    empty_or_absent,
    find_place,
    move,
    move_folder,
)
from glan_dspy.publish.formats import FORMATS, shape
from glan_dspy.publish.pairs import accepted
from glan_dspy.publish.source import Source
from glan_dspy.publish.wanted import Wanted
from glan_dspy.records import digest
from glan_dspy.run.store import Run

__all__ = ["Exported", "accepted", "export"]


def export(run: Run, to: Path, wanted: Wanted) -> Exported:
    """Writes the pairs. Files appear whole or not at all; a file that is there is replaced, a folder never.

    `to` is a file that ends in .jsonl, .jsonl.zst or .parquet, one for each part of a split, or a folder: it gets
    Parquet files as the Hub names them and a dataset card. `azure` names the file in the folder as the Azure script
    does; a run with questions and no answers gives its questions file.
    Raises UserError: choices that cannot be, nothing to export, simulated pairs, a place that is taken or full.
    """
    run.about()
    place = find_place(to, run)
    wanted.check(place)
    if place.is_folder_of(wanted.form):
        empty_or_absent(to)
    try:
        source = Source(run, wanted)
        even = balance(source.pairs()) if wanted.balance else None
        return _write(source, place, even)
    except OSError as error:
        if error.filename and Path(error.filename).is_relative_to(run.path / "disciplines"):
            raise UserError(f"cannot read {error.filename}: {error.strerror}") from None
        raise UserError(f"cannot write to {to}: {error.strerror or error}; nothing was left under that name") from None


def _write(source: Source, place: Place, even: Balance | None) -> Exported:
    wanted, contents = source.wanted, Contents()
    parts, form = wanted.parts(), FORMATS[wanted.form]
    pairs = even.of(source.pairs()) if even else source.pairs()
    with _draft(place, wanted) as draft:
        for pair in pairs:
            part = parts.part(pair.id)
            draft.write(part, form.row(pair, wanted.wording))  # type: ignore[arg-type]
            contents.add(part, pair)
        shards = draft.finish(parts.names)
        files = _final_names(shards, place, source, contents)
        hidden = [shard.path for some in shards.values() for shard in some]
        done = Exported(files, contents, source.choice.left_out(), even, source.spoilt)
        if not place.is_folder_of(wanted.form):
            move(dict(zip(hidden, files, strict=True)))
            return done
        move({path: draft.folder / final.name for path, final in zip(hidden, files, strict=True)})
        text = card(source.run, wanted, done, place.path.absolute().name)
        (draft.folder / CARD).write_text(text, encoding="utf-8")
        move_folder(draft.folder, place.path)
        return done._replace(card=place.path / CARD)


def _draft(place: Place, wanted: Wanted) -> Draft:
    look = shape(wanted.form, wanted.wording)
    if place.is_folder_of(wanted.form):
        return Draft(
            place.path.absolute().parent, place.path.absolute().name, ".parquet", look, wanted.shard_size or SHARD_ROWS
        )
    if place.ending:
        return Draft(place.path.parent, place.path.name, place.ending, look)
    return Draft(place.path, "export", ".jsonl", look)


def _final_names(shards: dict[str, list[Shard]], place: Place, source: Source, contents: Contents) -> dict[Path, int]:
    """Each final file with its rows, in the order of the shards."""
    if place.is_folder_of(source.wanted.form):
        return {
            place.path / f"{part}-{index:05d}-of-{len(some):05d}.parquet": shard.rows
            for part, some in shards.items()
            for index, shard in enumerate(some)
        }
    if place.ending:
        return {place.file(part, len(shards)): some[0].rows for part, some in shards.items()}
    return {place.path / azure_name(source, contents): contents.rows}


def azure_name(source: Source, contents: Contents) -> str:
    """`GLAN_Instructions_{language}_{n}_Samples_{id}.jsonl`; the id is the run's, and says where it is simulated."""
    about = source.run.about()
    id = digest(about["created"], source.run.path.name)[:8] + ("-rehearsal" if contents.simulated else "")
    language = re.sub(r"[/\\\0]", "-", str(about["settings"].get("language", "Unknown")))  # no folder of a name's
    return f"GLAN_{source.kind}_{language}_{contents.rows}_Samples_{id}.jsonl"
