"""The taxonomy of §2.1: asked for, merged, and written down for a person to check."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import orjson
from dspy.utils.exceptions import LMBillingError, LMError

from glan_dspy.connect import connect
from glan_dspy.engines.base import Call
from glan_dspy.engines.budget import REACHED
from glan_dspy.errors import BadReply, Stopped, UserError
from glan_dspy.outline import write_outline
from glan_dspy.program import GLAN, open_program
from glan_dspy.records import normalise
from glan_dspy.run.batches import batch_journal, noted_replies
from glan_dspy.run.begin import begin
from glan_dspy.run.command import bulk, forms_of, log_to, run_to_its_end
from glan_dspy.run.crew import first_line
from glan_dspy.run.lines import Line
from glan_dspy.run.money import known_tariffs, open_budget
from glan_dspy.run.store import Run, write_whole
from glan_dspy.run.taxonomy_only import own_disciplines
from glan_dspy.settings import Settings
from glan_dspy.signatures import FieldOutline
from glan_dspy.stages import asked


def make_taxonomy(run: Run, settings: Settings) -> Path:
    """Asks for the taxonomy (§2.1), writes taxonomy.json and disciplines.txt in the run, gives back the latter.

    Asked `num_taxonomy_queries` times and merged; replies are kept, so that a killed command pays for none twice.
    """
    glan = open_program(settings)
    connect(settings)
    known_tariffs(settings)
    with run.lock():
        refuse_another_taxonomy(run, settings)
        begin(run, "generate", settings, run.disciplines() if run.exists else (), glan.digest)
        with log_to(run.path / settings.logfile_name), bulk(settings):
            fields = merge_fields(run_to_its_end(_ask_taxonomy(run, settings, glan)), settings.max_number_of_fields)
        tree = {
            "language": settings.curriculum_language,
            "model": settings.curriculum_model,
            "fields": [field.model_dump() for field in fields],
        }
        path, listed = own_disciplines(run), write_outline(entries_of(fields))
        if is_edited(path, run.path / "taxonomy.json"):
            warnings.warn(f"{path} was edited and is left as it is", UserWarning, stacklevel=2)
        else:
            write_whole(path, listed.encode())
        write_whole(run.path / "taxonomy.json", orjson.dumps(tree, option=orjson.OPT_INDENT_2))
        return path


def is_edited(path: Path, taxonomy: Path) -> bool:
    """Whether the list of disciplines is another one than the taxonomy beside it gave, both from an earlier command."""
    try:
        before = [FieldOutline.model_validate(field) for field in orjson.loads(taxonomy.read_bytes())["fields"]]
        return path.read_text(encoding="utf-8") != write_outline(entries_of(before))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def refuse_another_taxonomy(run: Run, settings: Settings) -> None:
    """Raises UserError where the run holds a taxonomy's replies that were asked for with other settings."""
    if not run.exists or not any(True for _ in run.root_shelf().replies()):
        return
    before = run.about()["settings"]
    for name in ("max_number_of_fields", "curriculum_language", "model_name", "model_name_for_curriculum", "seed"):
        if before.get(name) != getattr(settings, name):
            raise UserError(
                f"{run.path} has a taxonomy made with {name} {before.get(name)!r}, not {getattr(settings, name)!r}; "
                "use another --out"
            )


async def _ask_taxonomy(run: Run, settings: Settings, glan: GLAN) -> list[FieldOutline]:
    shelf = run.root_shelf()
    kept: dict[str, Line] = {line["id"]: line for line in shelf.replies()}
    noted = noted_replies(shelf) if settings.batch else {}
    batches = ExitStack()
    journal = batches.enter_context(batch_journal(run, settings))
    budget = batches.enter_context(open_budget(run, settings))
    models = connect(settings, forms=forms_of(run), batch_journal=journal, budget=budget)
    glan.connect(models)

    def call(number: int, ask: int) -> Call:
        return Call(
            stage="taxonomy",
            item=str(number),
            ask=ask,
            record=lambda line: shelf.append("calls", line),
            recall=kept.get,
            noted=noted.get,
            keep=lambda line: shelf.append("replies", line),
        )

    async def query(number: int) -> list[FieldOutline]:
        try:
            reply, _ = await asked(
                lambda: glan.taxonomy.acall(
                    max_fields=settings.max_number_of_fields, language=settings.curriculum_language
                ),
                settings.max_asks,
                lambda ask: call(number, ask),
            )
        except LMBillingError as error:
            if error.provider_code != REACHED:
                raise
            raise Stopped(f"the budget is reached: {first_line(error)}; the same command goes on with more") from error
        return list(reply.fields)

    try:
        # All are waited for, also when one fails: the others' replies are paid for and kept for the next command.
        queries = (query(number) for number in range(settings.num_taxonomy_queries))
        found = await asyncio.gather(*queries, return_exceptions=True)
    finally:
        shelf.close()
        await models.aclose()
        batches.close()
    return usable_fields(found, settings)


def usable_fields(found: Sequence[list[FieldOutline] | BaseException], settings: Settings) -> list[FieldOutline]:
    """Of all queries, in their order; a query without a usable reply leaves its place empty. Raises where all did."""
    bad: BadReply | None = None
    for outcome in found:
        if isinstance(outcome, BadReply):
            bad = outcome
        elif isinstance(outcome, LMError):
            raise UserError(f"no taxonomy: {first_line(outcome)}; the same command tries again") from outcome
        elif isinstance(outcome, BaseException):
            raise outcome
    fields = [field for outcome in found if isinstance(outcome, list) for field in outcome]
    if not fields:
        raise UserError(
            f"the model {settings.curriculum_model!r} gave no usable taxonomy ({bad}); try another --out with another "
            "--model-name-for-curriculum"
        ) from bad
    return fields


def merge_fields(fields: Iterable[FieldOutline], most: int) -> list[FieldOutline]:
    """The first `most` fields; what several queries or places name stands once, where it came first."""
    merged: dict[str, dict[str, tuple[str, dict[str, str]]]] = {}
    names: dict[str, str] = {}
    seen: set[str] = set()
    for field in fields:
        subs = merged.setdefault(normalise(field.name), {})
        names.setdefault(normalise(field.name), field.name.strip())
        for sub in field.sub_fields:
            _, disciplines = subs.setdefault(normalise(sub.name), (sub.name.strip(), {}))
            for name in sub.disciplines:
                if normalise(name) not in seen:
                    seen.add(normalise(name))
                    disciplines[normalise(name)] = " ".join(name.split())
    return [
        FieldOutline.model_validate(
            {
                "name": names[key],
                "sub_fields": [
                    {"name": name, "disciplines": list(disciplines.values())}
                    for name, disciplines in subs.values()
                    if disciplines
                ],
            }
        )
        for key, subs in list(merged.items())[:most]
        if any(disciplines for _, disciplines in subs.values())
    ]


def entries_of(fields: Iterable[FieldOutline]) -> Iterator[tuple[str, str, str]]:
    return ((field.name, sub.name, name) for field in fields for sub in field.sub_fields for name in sub.disciplines)
