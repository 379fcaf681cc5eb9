"""LaTeX in Markdown: two rules for markdown-it that take formulas out before anything else reads them.

    $x_1*y_2$   \\( … \\)                            inline, a token `math`
    $$ … $$     \\[ … \\]     \\begin{align} … \\end{align}     a token `math_block`, where they have lines of their own

Without these the stars and underscores in a formula are emphasis, and `\\[` and `\\\\` lose a backslash. A dollar is a
formula's only as Pandoc has it: no space inside it, no digit after it, so that "$5 to $10" stays money. What is not
closed is text. A backslash before `{`, `,` or another backslash, which LaTeX means and Markdown never, stays.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.escape import escape

__all__ = ["readable", "with_formulas"]

LONGEST = 5_000
"""Characters of a formula; what is not closed by then is none."""

_OPENING = re.compile(r"\$\$?|\\\(|\\\[|\\begin\{(?P<name>[A-Za-z]+\*?)\}")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_ESCAPED = "*_`#$~>-+.<!\n"
"""What Markdown takes a backslash from; all other punctuation after one is LaTeX."""


def with_formulas(parser: MarkdownIt) -> MarkdownIt:
    """The parser, and with it the two rules."""
    parser.inline.ruler.before("escape", "math", _inline)
    parser.inline.ruler.at("escape", _escape)
    parser.inline.ruler.before("emphasis", "times", _times)
    parser.block.ruler.before("fence", "math_block", _block, {"alt": ["paragraph", "blockquote", "list"]})
    return parser


def _inline(state: StateInline, silent: bool) -> bool:
    opening = _OPENING.match(state.src, state.pos, state.posMax)
    if opening is None:
        return False
    end = _end(state.src, opening, min(state.posMax, opening.end() + LONGEST))
    if end is None:
        return False
    if not silent:
        state.push("math", "math", 0).content = " ".join(state.src[state.pos : end].split())
    state.pos = end
    return True


def _end(text: str, opening: re.Match[str], limit: int) -> int | None:
    """Where the formula ends; None where it does not, and so is none."""
    closing, start = _closing(opening), opening.end()
    at = text.find(closing, start, limit)
    while closing == "$" and at > start and text[at - 1] == "\\":
        at = text.find(closing, at + 1, limit)
    if at <= start or _BLANK_LINE.search(text, start, at):
        return None
    inside, after = text[start:at], text[at + 1 : at + 2]
    if closing == "$" and (inside[0].isspace() or inside[-1].isspace() or after.isdecimal()):
        return None
    return at + len(closing)


def _closing(opening: re.Match[str]) -> str:
    if opening["name"]:
        return f"\\end{{{opening['name']}}}"
    return {"\\(": "\\)", "\\[": "\\]"}.get(opening[0], opening[0])


def _escape(state: StateInline, silent: bool) -> bool:
    """Markdown's own rule, where the backslash is not LaTeX's."""
    if state.src[state.pos] != "\\":
        return False
    if state.src[state.pos + 1 : state.pos + 2] in _ESCAPED:  # also at the end of the text
        return escape(state, silent)
    if not silent:
        state.append_pending(state.src[state.pos : state.pos + 2])
    state.pos += 2
    return True


def _times(state: StateInline, silent: bool) -> bool:
    """`2*3*4` and `x*y`, which are no emphasis: one star with a letter or a digit at either side."""
    around = state.src[max(0, state.pos - 1) : state.pos + 2]
    if not (len(around) == 3 and around[1] == "*" and around.isascii() and (around[0] + around[2]).isalnum()):
        return False
    if not silent:
        state.append_pending("*")
    state.pos += 1
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    first = state.bMarks[start] + state.tShift[start]
    opening = _OPENING.match(state.src, first, state.eMarks[start])
    if opening is None or opening[0] in ("$", "\\(") or state.is_code_block(start):
        return False
    closing = _closing(opening)
    at = state.src.find(closing, opening.end(), opening.end() + LONGEST)
    if at < 0:
        return False
    line = start
    while state.eMarks[line] < at:
        line += 1
        if line >= end or (state.sCount[line] < state.blkIndent and not state.isEmpty(line)):
            return False  # closed only behind the list or the quote that it stands in
    if state.src[at + len(closing) : state.eMarks[line]].strip(" \t.,;:"):
        return False  # text goes on behind it: it stands in a sentence
    if not silent:
        token = state.push("math_block", "", 0)
        token.content = state.getLines(start, line + 1, state.sCount[start], False).strip("\n")
    state.line = line + 1
    return True


# --- symbols ------------------------------------------------------------------------------------------------------

_SYMBOLS = dict(
    pair.split(":")
    for pair in (
        "alpha:α beta:β gamma:γ delta:δ epsilon:ϵ varepsilon:ε zeta:ζ eta:η theta:θ vartheta:ϑ iota:ι kappa:κ "
        "lambda:λ mu:μ nu:ν xi:ξ pi:π rho:ρ sigma:σ tau:τ upsilon:υ phi:ϕ varphi:φ chi:χ psi:ψ omega:ω "
        "Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ Pi:Π Sigma:Σ Upsilon:Υ Phi:Φ Psi:Ψ Omega:Ω "
        "times:× cdot:⋅ div:÷ pm:± mp:∓ le:≤ leq:≤ ge:≥ geq:≥ ne:≠ neq:≠ approx:≈ equiv:≡ sim:∼ cong:≅ propto:∝ "
        "ll:≪ gg:≫ to:→ rightarrow:→ leftarrow:← Rightarrow:⇒ Leftarrow:⇐ Leftrightarrow:⇔ leftrightarrow:↔ "
        "implies:⟹ iff:⟺ mapsto:↦ infty:∞ partial:∂ nabla:∇ sum:∑ prod:∏ int:∫ iint:∬ oint:∮ "
        "in:∈ notin:∉ ni:∋ subset:⊂ subseteq:⊆ supset:⊃ supseteq:⊇ cup:∪ cap:∩ emptyset:∅ varnothing:∅ setminus:∖ "
        "forall:∀ exists:∃ neg:¬ land:∧ lor:∨ wedge:∧ vee:∨ oplus:⊕ otimes:⊗ circ:∘ bullet:• star:⋆ perp:⊥ "
        "parallel:∥ angle:∠ langle:⟨ rangle:⟩ lfloor:⌊ rfloor:⌋ lceil:⌈ rceil:⌉ ldots:… dots:… cdots:⋯ vdots:⋮ "
        "ddots:⋱ hbar:ℏ ell:ℓ Re:ℜ Im:ℑ aleph:ℵ therefore:∴ because:∵ prime:′ dagger:† models:⊨ vdash:⊢"
    ).split()
)
"""The commands that are one sign and nothing else."""
_BLACKBOARD = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))
_COMMAND = re.compile(r"\\\\|\^\\circ(?![A-Za-z])|\^\{\\circ\}|\\mathbb\{(?P<set>[CHNPQRZ])\}|\\(?P<name>[A-Za-z]+)")


def readable(formula: str) -> str:
    """The formula with the signs that its commands stand for; what has arguments stays as it is.

    >>> readable(r"\\frac{\\alpha}{2} \\leq \\sin\\theta_1 \\\\ 48.8^\\circ")
    '\\\\frac{α}{2} ≤ \\\\sin θ_1 \\\\\\\\ 48.8°'
    """
    return _COMMAND.sub(_sign, formula)


def _sign(command: re.Match[str]) -> str:
    if command[0].startswith("^"):
        return "°"
    sign = _BLACKBOARD.get(command["set"] or "") or _SYMBOLS.get(command["name"] or "")
    if sign is None:
        return command[0]
    before = command.string[: command.start()][-1:]
    return f" {sign}" if before.isascii() and before.isalpha() else sign  # \\sin\\theta: else one word
