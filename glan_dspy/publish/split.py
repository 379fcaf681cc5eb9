"""Which part of the data a pair belongs to, told by its id alone: pairs that are added later move none."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import NamedTuple

from glan_dspy.errors import UserError

EXAMPLE = "train=0.98,val=0.02"
_PLACES = 1 << 64


def place(id: str, purpose: str) -> int:
    """Where an id lies among 2**64 places, evenly; another purpose gives a place that has nothing to do with it."""
    text = f"{purpose}\0{id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


class Split(NamedTuple):
    """Named parts with their shares, which add up to 1."""

    shares: tuple[tuple[str, Decimal], ...]

    def part(self, id: str) -> str:
        """
        >>> parse_split("train=0.5,val=0.5").part("a"), parse_split("train=1").part("a")
        ('val', 'train')
        """
        if len(self.shares) > 1:
            at, end = place(id, "split"), Decimal(0)
            for name, share in self.shares[:-1]:
                end += share
                if at < int(end * _PLACES):
                    return name
        return self.shares[-1][0]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.shares)


def whole(name: str) -> Split:
    """Everything in one part."""
    return Split(((name, Decimal(1)),))


def parse_split(text: str) -> Split:
    """The parts of `train=0.98,val=0.02`. Raises UserError for another form, or where the shares do not add up to 1."""
    shares: dict[str, Decimal] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or not re.fullmatch(r"[A-Za-z]\w{0,39}", name, re.ASCII) or name.lower() == "all":
            raise _wrong(
                text, f"{part.strip()!r} is no NAME=SHARE; a name has letters, digits and '_', and is not 'all'"
            )
        if name.lower() in (known.lower() for known in shares):
            raise _wrong(text, f"{name!r} comes twice")
        try:
            share = Decimal(number)
        except InvalidOperation:
            raise _wrong(text, f"{number!r} is no number") from None
        if share.is_nan() or not 0 < share <= 1:
            raise _wrong(text, f"the share {number} of {name!r} is not above 0 and at most 1")
        shares[name] = share
    if (total := sum(shares.values())) != 1:
        raise _wrong(text, f"the shares add up to {total}, not to 1")
    return Split(tuple(shares.items()))


def _wrong(text: str, why: str) -> UserError:
    return UserError(f"--split {text!r}: {why}; for example {EXAMPLE}")
