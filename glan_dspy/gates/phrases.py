"""The phrases that the gates look for: one TOML file a language in phrases/, data and no code.

    [refusal]
    sorry   what an apology begins with             a refusal where `cannot` follows in the same breath
    cannot  what it says then; one of `alone` does as well
    alone   openings that refuse by themselves
    [leak]
    labels                    words before a colon that announce the answer
    labels_of_two_meanings    the same, of which some head a list of materials ("Solution: 0.1 M NaCl")
    [leak.mentions]           prompt words that a question must not mention
    [leak.table] .figure .passage .code     what refers to a thing that the question may lack

All are regular expressions over lower-case text whose apostrophes are ’. Those of `sorry` and `alone` begin with the
very letter that they match first, and the key of each line below [leak.*] is a word that what it matches always has:
both make the search cheap. A language is added by adding its file.
"""

from __future__ import annotations

import tomllib
import unicodedata
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["answer_labels", "plain", "spoken"]


def plain(text: str) -> str:
    """The text in the form that the patterns are written in: composed, lower case, with one kind of apostrophe."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return text.lower().replace("'", "’")


@cache
def spoken() -> dict[str, dict[str, Any]]:
    """What every language's file says, by the language's code; read once a process."""
    folder = resources.files(__package__).joinpath("phrases")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): tomllib.loads(file.read_text("utf-8")) for file in files}


@cache
def answer_labels() -> dict[str, bool]:
    """What may head an answer, in `plain` form, and whether the word has another meaning as well."""
    labels: dict[str, bool] = {}
    for said in spoken().values():
        labels |= {plain(label): True for label in said["leak"].get("labels_of_two_meanings", ())}
        labels |= {plain(label): False for label in said["leak"]["labels"]}
    return labels
