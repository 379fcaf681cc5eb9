"""What the file holds: all that it needs, under a policy that lets in nothing else, and texts that are only texts."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.publish.report.page import harmless
from glan_dspy.publish.report.write import report
from tests.publish.made import make_run, pair

BAD = "</script><script>x()</script><!-- {{ 7*7 }} \"' & \u2028 <b onclick=x()>"


class Reader(HTMLParser):
    """The elements of a page with their attributes, and the text of each script and style."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.texts:
            self.texts[self.cdata_elem][-1] += data


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    bad = {"question": BAD, "answer": BAD, "subject": BAD, "language": BAD, "strategy": BAD, "question_model": BAD}
    run = make_run(folder / "run", [pair(1, **bad), pair(2, f"D {BAD}"[:80])])
    return report(run, folder / "out.html").path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_the_policy_names_the_one_script_and_the_one_style_and_allows_nothing_else(page: Reader) -> None:
    (policy,) = [
        attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    data, script = page.texts["script"]
    (style,) = page.texts["style"]
    assert rules["script-src"] == f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
    assert rules["style-src"] == f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:" and "unsafe" not in policy
    assert json.loads(data)["rows"]


def test_no_element_has_a_style_a_handler_or_an_address_outside(page: Reader) -> None:
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name == "style" or name.startswith("on")], tag
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert (attrs.get(name) or "#").startswith(("#", "data:,")), (tag, attrs)
    assert [tag for tag, _ in page.elements].count("script") == 2


def test_what_a_model_wrote_is_escaped_wherever_it_stands(text: str) -> None:
    assert "<script>x()" not in text and "<b onclick" not in text and "{{ 7*7 }}" in text
    assert "&lt;script&gt;x()" in text and "\\u003cscript\\u003ex()" in text


def test_the_script_makes_no_markup_of_texts(page: Reader) -> None:
    script = page.texts["script"][1]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|srcdoc|fetch\(|http", script
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_harmless_json_is_the_same_data_without_what_html_reads(data: Any) -> None:
    said = harmless(data)
    assert json.loads(said) == data and not re.search("[<>&\u2028\u2029]", said)


def test_a_folder_whose_name_is_no_unicode_is_shown_all_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path / "caf\udce9", [pair(1)])
    assert "caf?" in report(run, tmp_path / "out.html").path.read_text(encoding="utf-8")
