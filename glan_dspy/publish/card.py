"""The dataset card: README.md of an exported folder, with the metadata that the Hub reads.

The licence is the user's to choose: none is named. What comes from models or files is shown as plain text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from shlex import quote
from typing import Any

from glan_dspy import __version__
from glan_dspy.gates.language import can_tell
from glan_dspy.gates.languages import code_of
from glan_dspy.publish.again import (
    content_settings,
    generate_command,
    name_of_run,
    on_lines,
    other_parameters,
    without_folder,
)
from glan_dspy.publish.contents import Contents, Exported
from glan_dspy.publish.wanted import Wanted
from glan_dspy.run.status import Survey, survey
from glan_dspy.run.store import Run

CARD = "README.md"

MOST_DISCIPLINES = 500
"""Lines of the table; a card is read by people."""


def card(run: Run, wanted: Wanted, done: Exported, folder: str) -> str:
    """The text of README.md for an export to a folder of this name."""
    about, name = {**_UNKNOWN, **run.about()}, name_of_run(run.path)
    contents, found, settings = done.contents, survey(run), content_settings(about)
    export = ["glan export", quote(f"runs/{name}"), *wanted.flags(), f"--to {quote(folder)}"]
    text: str = _template().render(
        name=name,
        version=__version__,
        about=about,
        settings=settings,
        wanted=wanted,
        contents=contents,
        found=found,
        done=done,
        parts={part: contents.parts[part] for part in wanted.parts().names},
        codes=language_codes(contents),
        size=size_category(contents.rows),
        disciplines=contents.disciplines.most_common(MOST_DISCIPLINES),
        more_disciplines=max(0, len(contents.disciplines) - MOST_DISCIPLINES),
        models=_models(about, contents),
        blind=[language for language in contents.languages if not can_tell(language)],
        against=without_folder(held_against(run, about, found), is_file=True),
        others=list(other_parameters(about)),
        prices={flag: about["settings"].get(flag) for flag in ("price_in", "price_cached", "price_out")},
        again=_fenced(on_lines(generate_command(about, name)) + "\n" + on_lines(export)),
    )
    return text


def held_against(run: Run, about: dict[str, Any], found: Survey) -> list[str]:
    """The benchmarks that all pairs were held against: as they were made, or by the newest curation, if of them all."""
    files = list(about["settings"].get("against", []))
    judged, against = 0, list[Any]()
    for line in run.root_shelf().read("curations"):
        if isinstance(line.get("judged"), int) and isinstance(line.get("against"), list):
            judged, against = line["judged"], line["against"]
    if judged >= found.instructions + found.curated.total():
        files += map(str, against)
    return list(dict.fromkeys(files))


def language_codes(contents: Contents) -> list[str]:
    return list(dict.fromkeys(code for language in contents.languages if (code := code_of(language))))


_UNKNOWN = {"versions": {}, "program_digest": "not known", "created": "not known"}


def size_category(rows: int) -> str:
    """
    >>> size_category(999), size_category(1000), size_category(2_000_000)
    ('n<1K', '1K<n<10K', '1M<n<10M')
    """
    names = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    for power, (low, high) in enumerate(zip(["", *names], names, strict=False)):
        if rows < 1000 * 10**power:
            return f"{low}<n<{high}" if low else f"n<{high}"
    return "n>1T"


def _models(about: Mapping[str, Any], contents: Contents) -> dict[str, str]:
    """Who wrote what, by the pairs themselves; of the curriculum, which no pair names, by the settings."""
    settings = about["settings"]
    curriculum = settings.get("model_name_for_curriculum") or settings.get("model_name", "not known")
    return {
        **({} if about.get("kind") == "answer" else {"curriculum": without_folder(curriculum)}),
        "questions": _named(contents.question_models),
        "answers": _named(contents.answer_models),
    }


def _named(counts: Counter[str]) -> str:
    names = [(without_folder(model) or "not known", count) for model, count in counts.most_common(10)]
    return names[0][0] if len(names) == 1 else ", ".join(f"{model} ({count:,})" for model, count in names)


def plain(text: Any) -> str:
    """The text in one line, with nothing in it that Markdown or HTML would read as its own."""
    line = " ".join(str(text).split())
    return re.sub(r"[\\`*{}\[\]<>|#~$!&]|(?<!\w)_|_(?!\w)", lambda found: f"&#{ord(found[0])};", line)


def _fenced(text: str) -> str:
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text}\n{fence}"


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # No escaping of its own: a card is Markdown, and `plain` is for that.
    environment = Environment(
        loader=PackageLoader("glan_dspy.publish", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=plain, n=lambda number: f"{number:,}")
    return environment.get_template("card.md.j2")
