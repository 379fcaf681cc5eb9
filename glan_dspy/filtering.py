"""The one language of `--where` and `--only`: an expression over an item's keys, safe to take from anybody.

    level <= 300 and discipline in ("Optics", "Botany")
    reason in ("truncated", "refusal")
    "laser" in question and len(answer) > 500 and not simulated

Names are the item's keys; one that it does not have is None: unlike any value, and neither less nor more than one.
Text that is a number counts as one beside a number: an imported question's level may be "300". There are
comparisons, `and`, `or`, `not`, `in`, sums and differences, `len`, `lower` and `startswith`; nothing else is
ever run.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.records import Instruction, Question, Rejected

Item = Mapping[str, Any]
Value = Callable[[Item], Any]

LONGEST = 2000
"""Characters."""
DEEPEST = 40
"""Brackets within brackets."""

KNOWN = frozenset(Instruction.model_fields) | {"reason", "stage", "detail", "score", "decision"}
"""Names that an item may have."""
ALWAYS = {name for name, field in Instruction.model_fields.items() if field.is_required()} | {"reason", "stage"}
"""Those that say something of every item: by themselves they choose nothing."""


def keys_of(item: Question | Rejected | Item) -> Item:
    """What an expression sees of an item, or of a pair's line; of a rejected one its own keys, and its rejection's."""
    if isinstance(item, Rejected):
        return {**item.item, "id": item.id, "stage": item.stage, "reason": item.reason, "detail": item.detail}
    return item.model_dump() if isinstance(item, Question) else {**_DEFAULTS, **item}


_DEFAULTS = {name: field.default for name, field in Instruction.model_fields.items() if not field.is_required()}


def compile_filter(text: str, option: str = "--only", known: Collection[str] = KNOWN) -> Callable[[Item], bool]:
    """A function that tells whether the expression holds for an item. It never raises.

    Raises UserError that points at the column where the text is no such expression.
    """
    text = re.sub(r"[\r\n\f]", " ", text).strip()  # one line, so that a column is one
    if len(text) > LONGEST:
        raise UserError(f"{option}: the expression has {len(text):,} characters, at most {LONGEST:,} are read")
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise _at(text, option, (error.offset or len(text) + 1) - 1, error.msg) from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise UserError(f"{option}: {text[:80]!r} cannot be read: {error}") from None
    value = _Reader(text, option, known).condition(tree)

    def holds(item: Item) -> bool:
        try:
            return bool(value(item))
        except (TypeError, ValueError, OverflowError):
            return False  # two things that cannot be compared: a level that is text, a key that is not there

    return holds


def _at(text: str, option: str, column: int, why: str) -> UserError:
    return UserError(f"{option} {text!r}: column {column + 1}: {why}")


_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: _number(a) + _number(b),
    ast.Sub: lambda a, b: _number(a) - _number(b),
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "len": (1, len),
    "lower": (1, lambda text: _text(text).lower()),
    "startswith": (2, lambda text, start: _text(text).startswith(start)),
}
"""How many arguments each takes, and what it gives."""


def _number(value: Any) -> float:
    if isinstance(value, (int, float)):
        return value
    raise TypeError("no number")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("no text")


class _Reader:
    """Turns a syntax tree into a function, and refuses what the language does not have."""

    def __init__(self, text: str, option: str, known: Collection[str]) -> None:
        self.text, self.option, self.known = text, option, known
        self.depth = 0

    def condition(self, node: ast.expr) -> Value:
        """What is read to be true or false of an item; a value by itself would choose all of them, or none."""
        value = self.read(node)
        if _is_bare(node):
            raise self._wrong(node, f"{self._words(node)!r} is compared with nothing; write for example level >= 300")
        return value

    def read(self, node: ast.expr) -> Value:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._wrong(node, f"more than {DEEPEST} levels of brackets and operators")
        try:
            return self._read(node)
        finally:
            self.depth -= 1

    def _read(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=str() | int() | float() | bool() | None as constant):
                return lambda item: constant
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = [self.read(part) for part in parts]
                return lambda item: tuple(value(item) for value in values)
            case ast.BoolOp(op=op, values=parts):
                values, every = [self.condition(part) for part in parts], isinstance(op, ast.And)
                return lambda item: (all if every else any)(_true(value, item) for value in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.condition(operand)
                return lambda item: not _true(value, item)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.read(operand)
                return lambda item: -_number(value(item))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                first, second, work = self.read(left), self.read(right), _ARITHMETIC[type(op)]
                return lambda item: work(first(item), second(item))
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(node, name, args)
        raise self._wrong(node, f"{self._words(node)!r} is not part of the language")

    def _name(self, node: ast.expr, name: str) -> Value:
        if name not in self.known:
            close = difflib.get_close_matches(name, self.known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(self.known))}"
            raise self._wrong(node, f"unknown name {name!r} ({hint})")
        return lambda item: item.get(name)

    def _call(self, node: ast.expr, name: str, args: list[ast.expr]) -> Value:
        if name not in _FUNCTIONS:
            raise self._wrong(node, f"unknown function {name!r}; known: {', '.join(_FUNCTIONS)}")
        count, function = _FUNCTIONS[name]
        if len(args) != count:
            raise self._wrong(node, f"{name} takes {count} argument{'s' * (count > 1)}, not {len(args)}")
        values = [self.read(arg) for arg in args]
        return lambda item: function(*(value(item) for value in values))

    def _comparison(self, node: ast.Compare) -> Value:
        values = [self.read(part) for part in (node.left, *node.comparators)]
        steps = [
            self._step(node, op, isinstance(right, ast.Constant))
            for op, right in zip(node.ops, node.comparators, strict=True)
        ]

        def compare(item: Item) -> bool:
            found = [value(item) for value in values]
            return all(step(a, b) for step, a, b in zip(steps, found, found[1:], strict=False))

        return compare

    def _step(self, node: ast.Compare, op: ast.cmpop, constant: bool) -> Callable[[Any, Any], Any]:
        if isinstance(op, (ast.In, ast.NotIn)):
            wanted = isinstance(op, ast.In)
            return lambda a, b: _within(a, b, constant) is wanted
        if type(op) not in _COMPARE:
            raise self._wrong(node, "'is' is not part of the language; use == or !=")
        work = _COMPARE[type(op)]
        return lambda a, b: work(*_alike(a, b))

    def _wrong(self, node: ast.expr, why: str) -> UserError:
        return _at(self.text, self.option, len(self._bytes(0, node.col_offset)), why)

    def _words(self, node: ast.expr) -> str:
        # Not by ast.unparse: that goes as deep as the tree, which may be deeper than Python lets it.
        return self._bytes(node.col_offset, node.end_col_offset)[:60]

    def _bytes(self, start: int, end: int | None) -> str:
        """A piece of the text by the places that a syntax tree gives, which count bytes of UTF-8."""
        return self.text.encode()[start:end].decode()


def _is_bare(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool()):  # True is everything, in so many words
            return False
        case ast.Name(id=name):
            return name in ALWAYS
        case ast.Call(func=ast.Name(id=name)):
            return name != "startswith"
        case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return False
    return True


def _within(part: Any, whole: Any, constant: bool) -> bool:
    """`discipline in ("Optics")` means the one in brackets, `"laser" in question` a piece of the text."""
    if constant:  # to Python the brackets around one value are none
        return _equal(part, whole)
    if isinstance(whole, (list, tuple)):
        return any(_equal(part, one) for one in whole)
    return whole is not None and part in whole


def _equal(a: Any, b: Any) -> bool:
    return bool(operator.eq(*_alike(a, b)))


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """The two as numbers where one is a number and the other is a number written as text."""
    if isinstance(a, (int, float)) and isinstance(b, str):
        return a, _read_number(b)
    if isinstance(b, (int, float)) and isinstance(a, str):
        return _read_number(a), b
    return a, b


def _read_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _true(value: Value, item: Item) -> bool:
    """What cannot be compared is false by itself, and does not make the whole expression so."""
    try:
        return bool(value(item))
    except (TypeError, ValueError, OverflowError):
        return False
