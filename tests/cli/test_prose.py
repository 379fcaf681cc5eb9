"""What a model wrote, drawn on a terminal: Markdown is read, formulas stay, nothing is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glan_dspy.cli.formulas import readable
from glan_dspy.cli.page import Page, Section
from glan_dspy.cli.painted import Painter

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def drawn(text: str, width: int = 80) -> str:
    """The text as a page has it, without colours and without what stands beside the lines."""
    page = Painter(width, plain=True)(Page("", "", (Section(text=text, markdown=True),)))
    return "\n".join(line.rstrip() for line in page.splitlines()[2:]).strip("\n")


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


@pytest.mark.parametrize(
    "formula",
    [
        r"$x_1*y_2*z$",
        r"$\frac{a}{b}$",
        r"\(a_1 * b_1 * c\)",
        r"\[ \frac{a}{b} \]",
        r"$$a*b*c_1_2$$",
        r"\begin{pmatrix} a_1 & b \\ c*d*e & f \end{pmatrix}",
        r"$\{x \mid x_1*x_2 = \$5\}$",
        r"\{1, 2\}\, \\ x",
        "2*3*4 = 24, x*y*z",
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "**so {} it** is", "- an item {}", "# A title {}", "| a |\n|---|\n| {} |", "> {}"]
)
def test_a_formula_stays_as_it_is_wherever_it_stands(formula: str, around: str) -> None:
    assert formula in drawn(around.replace("{}", formula))


@pytest.mark.parametrize(
    "block",
    [
        "\\[\n- x_2 * y\n= 4 * z_1\n\\]",
        "$$\n+ a_1*b_1*c\n\n1. d\n$$",
        "\\begin{align}\na &= b*c*d \\\\\n  &= e_1\n\\end{align}",
    ],
)
@pytest.mark.parametrize("before", ["", "in a paragraph:\n", "- in an item\n\n  ", "> "])
def test_a_formula_with_lines_of_its_own_keeps_them(block: str, before: str) -> None:
    margin = "> " if before == "> " else " " * len(before.rpartition("\n")[2])
    lines = drawn(before + block.replace("\n", f"\n{margin}") + "\n\nafter").splitlines()
    kept = [line.lstrip(" •▌") for line in lines]
    start = kept.index(block.splitlines()[0])
    assert kept[start : start + block.count("\n") + 1] == [line.lstrip() for line in block.splitlines()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**bold** and *not* `code*s*`", "bold and not code*s*"),
        ("costs $5 to $10, or $5-$10", "costs $5 to $10, or $5-$10"),
        ("one\ntwo\n\nthree", "one\ntwo\n\nthree"),
        ("3) c\n4) d", " 3) c\n 4) d"),
        ("7. g\n9. h", " 7. g\n 9. h"),
        ("- a\n  - b", " • a\n    • b"),
        ("+ 7\n- 8", "+ 7\n\n • 8"),
        ("a &lt; b <i>c</i> [d](e) ![f](g) <http://h>", "a &lt; b <i>c</i> [d](e) ![f](g) <http://h>"),
        ("[1]: http://x 'y'", "[1]: http://x 'y'"),
        (r"not \*em\*, a \_ b", "not *em*, a _ b"),
        ("unclosed \\( a_1 and $x and \\[ y", "unclosed \\( a_1 and $x and \\[ y"),
        ("```python\nx = 1 * 2\n```", "    python\n    x = 1 * 2"),
        ("|a|\n|-|\n|b|c|", "|a|\n|-|\n|b|c|"),  # a cell too many, which Markdown would drop
        ("> " * 30 + "deep", "> " * 30 + "deep"),
        (r"$\alpha \in \mathbb{R}$, \alpha", "$α ∈ ℝ$, \\alpha"),
    ],
)
def test_markdown_is_read_and_the_rest_is_left(text: str, shown: str) -> None:
    assert drawn(text) == shown.strip("\n").rstrip()


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (r"\frac{\alpha}{2} \leq \pi r^2", r"\frac{α}{2} ≤ π r^2"),
        (r"\sin\theta_1 \\ \alphabet \\beta", r"\sin θ_1 \\ \alphabet \\beta"),
        (r"48.8^\circ = 48.8^{\circ}, f \circ g, \int \infty \in", r"48.8° = 48.8°, f ∘ g, ∫ ∞ ∈"),
    ],
)
def test_commands_that_are_one_sign_become_it(formula: str, shown: str) -> None:
    assert readable(formula) == shown


def test_wide_characters_fold_at_the_width_and_a_long_formula_is_never_cut() -> None:
    shown = drawn("漢字" * 50 + "\n\n| a | b |\n|---|---|\n| $" + "x+" * 60 + "x$ | 語 |", width=40)
    assert sorted(letters(shown)) == sorted("漢字" * 50 + "ab" + "x" * 61 + "語")
    assert all(len(line) <= 20 for line in shown.splitlines() if "漢" in line)


def test_a_very_long_text_is_shown_as_it_is() -> None:
    text = "**b** " * 40_000
    assert letters(drawn(text)) == letters(text) and "**b**" in drawn(text)


SIGNS = "ab12 \n\t$\\*_[](){}|`~#>-+=<&;:.!^漢\u0301ا"
WORDS = "\n\n,$$,\\[,\\],\\begin{a},\\end{a},\n- ,\n1. ,\n> ,\n```,|-|,\n    ,\\zeta".split(",")
PIECES = st.sampled_from([*SIGNS, *WORDS])


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from([20, 40, 80]))
@example("|a|b|\n|-|-|\n|`|`", 20)
@example("- - - - - - - - - 1", 20)
@example("1. a\n\n   $$\n   b", 80)
def test_no_letter_and_no_digit_is_ever_lost(text: str, width: int) -> None:
    text = text.replace("\\zeta", "\\zetas")  # none that becomes a sign
    assert sorted(letters(drawn(text, width))) == sorted(letters(text))


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_what_reaches_the_terminal_is_text_and_colours(text: str) -> None:
    page = Page(text, text, (Section(text, ((text, text),), text, markdown=True), Section(text=text)))
    shown = ANSI.sub("", Painter(60)(page))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown.replace("\t", ""))
