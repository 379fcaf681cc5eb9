"""`glan status`: how far a run is."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from glan_dspy.run.status import Survey

QUICKLY_COVERED = 20_000
"""Pairs whose coverage takes no second to tell."""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")] = Path("runs/first"),
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    coverage: Annotated[
        bool | None,
        typer.Option(
            "--coverage/--no-coverage",
            help="What the pairs cover, and whether new ones still add something; by itself up to 20,000 pairs.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Show what a run holds and whether it is complete. Reads only; safe while the run goes on."""
    import orjson

    from glan_dspy.run import coverage as covering
    from glan_dspy.run.status import status, survey
    from glan_dspy.run.store import Run
    from glan_dspy.run.taxonomy_only import has_taxonomy_only, next_command
    from glan_dspy.visible import escaped, one_line

    if json:
        print(escaped(orjson.dumps({**status(Run(run)), "coverage": covering.coverage(Run(run))}).decode()))
        return 0
    found, about = survey(Run(run)), Run(run).about()
    kind = about.get("kind", "generate")
    only = " --generate-question-only" if about["settings"].get("generate_question_only") else ""
    goes_on = f"glan {kind} -o {quote(str(run))}{only} goes on"
    if has_taxonomy_only(Run(run)):
        goes_on = next_command(Run(run))
    rejected = ", ".join(f"{reason} {count:,}" for reason, count in found.rejected.most_common())
    curated = ", ".join(f"{reason} {count:,}" for reason, count in found.curated.most_common())
    rows = [
        *((name, f"{getattr(found, name):,}") for name in ("disciplines", "subjects", "syllabi", "questions")),
        ("instructions", f"{found.instructions:,}"),
        *([("held out", f"{found.held_out:,}")] if found.held_out else []),
        ("rejected", rejected or "0"),
        *((name, f"{items:,} items found, in {texts:,} texts") for name, items, texts in benchmarks(found)),
        *([("curated", curated)] if curated else []),
        *(
            [("language", f"not told for {found.language_not_told:,}: the gate lets it pass")]
            if found.language_not_told
            else []
        ),
        ("calls", f"{found.calls:,}"),
        ("prompt tokens", f"{found.prompt_tokens:,}{cached_share(found)}"),
        ("reply tokens", f"{found.completion_tokens:,}"),
        ("cost", cost(found)),
        ("complete", "yes" if found.complete else f"no; {goes_on}"),
    ]
    if coverage or (coverage is None and 0 < found.instructions <= QUICKLY_COVERED):
        rows += coverage_rows(covering.coverage(Run(run)))
    for name, value in rows:
        print(f"{name:>14}  {one_line(value)}")  # a level or a reason that came from a file may be any text
    return 0


def benchmarks(found: Survey) -> list[tuple[str, int, int]]:
    """Each benchmark of which something was found while the run was made: its items found, and in how many texts."""
    names = dict.fromkeys(name for name, _ in found.contaminated)
    hits = {name: [count for (other, _), count in found.contaminated.items() if other == name] for name in names}
    return [(name, len(counts), sum(counts)) for name, counts in hits.items()]


def cached_share(found: Survey) -> str:
    if not found.cached_tokens:
        return ""
    return f", {found.cached_tokens / found.prompt_tokens:.0%} of them from the endpoint's cache"


def cost(found: Survey) -> str:
    """What was spent, how fast, and what it comes to at the end, as far as that is known."""
    if not found.cost:
        return "$0.00" if found.cost_known else "unknown: --price-in and --price-out tell the price"
    text = f"${found.cost:,.2f}" + ("" if found.cost_known else " and calls of unknown price")
    if found.minutes > 1:
        text += f", ${found.cost / found.minutes:,.2f} a minute"
    if not found.complete and found.instructions:
        text += (
            f", about ${found.cost / found.instructions * found.planned:,.2f} for the {found.planned:,} pairs planned"
        )
    return text


def coverage_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines of the table, of what `run.coverage` found; "-" for what cannot be told yet."""
    even = found["evenness"]
    copies = sorted(found["near_duplicates"]["disciplines"].items(), key=lambda item: -item[1])
    most = ", ".join(f"{name} {percent(share)}" for name, share in copies[:3] if share)
    return [
        *((name.replace("_", " "), used(found[name])) for name in ("sessions", "key_concepts")),
        (
            "evenness",
            f"disciplines {decimal(even['disciplines'])}, levels {decimal(even['levels'])} (1: all have as many)",
        ),
        ("levels", shares(found["levels"])),
        ("strategies", shares(found["strategies"])),
        ("distinct", distinct(found["distinct"])),
        ("duplicates", f"{percent(found['near_duplicates']['share'])} of the questions{most and ', most in ' + most}"),
        ("new phrases", novelty(found["new_phrases"])),
    ]


def used(things: dict[str, Any]) -> str:
    return f"{things['used']:,} of {things['of']:,} used, {percent(things['share'])}"


def distinct(found: dict[str, Any]) -> str:
    parts = (f"{part} {' '.join(map(decimal, found[part]))}" for part in ("questions", "answers"))
    return f"{', '.join(parts)}: of 1, 2, 3 words in {found['pairs']:,} pairs"


def novelty(found: dict[str, Any]) -> str:
    if not found["questions"]:
        return "-: no discipline has ten questions"
    first, last = percent(found["first_tenth"]), percent(found["last_tenth"])
    return f"the last tenth of the questions brought {last}, the first tenth {first}"


def shares(found: dict[str, float]) -> str:
    """The first twelve: levels that came from a file may be any text."""
    listed = [f"{name} {percent(share)}" for name, share in found.items()]
    return ", ".join(listed[:12] + ["…"] * (len(listed) > 12)) or "-"


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
