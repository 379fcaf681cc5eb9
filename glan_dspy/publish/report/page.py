"""One HTML file that needs nothing else and lets nothing else in.

What models wrote reaches the page in two ways only: through the template, which escapes it, and as JSON in which no
character is left that HTML would read as its own; the script puts it into text nodes. Should that ever fail, the
policy in the file still runs no script and applies no style but the two whose hashes it names, and loads nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

import orjson

from glan_dspy.publish.report.numbers import filters
from glan_dspy.publish.report.words import meaning, reason, stage

__all__ = ["page"]

SCRIPTS = ("page.js", "treemap.js", "sample.js")
"""Put together in this order into one."""


def page(view: Mapping[str, Any], data: Mapping[str, Any]) -> bytes:
    """The file's bytes: `view` is what the template fills in, `data` what the script reads."""
    from markupsafe import Markup

    style = _read("report.css")
    script = '"use strict";\n(() => {\n' + "".join(map(_read, SCRIPTS)) + "})();\n"
    text: str = _template().render(
        **view, style=Markup(style), script=Markup(script), data=Markup(harmless(data)), policy=policy(style, script)
    )
    return text.encode("utf-8", "replace")


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which a page has this style and this script, and nothing that is fetched."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def harmless(data: Any) -> str:
    """The data as JSON that can stand inside any HTML element.

    >>> harmless({"a": "</script><!-- &"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u003c!-- \\\\u0026"}'
    """
    text = orjson.dumps(data).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return resources.files("glan_dspy.publish.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("glan_dspy.publish.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters, stage=stage, reason=reason, meaning=meaning)
    return environment.get_template("report.html.j2")
