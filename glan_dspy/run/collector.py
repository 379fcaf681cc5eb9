"""Python's cyclic garbage collector, as a long run wants it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 50_000
"""New objects that start a collection; Python's own 700 make one every few calls to a model."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collects less often, and never looks at what is there already: DSPy's modules alone are 400,000 objects.

    Nearly all that a call makes is freed as soon as the last name of it is gone; this is about cycles only.
    Without it a third of a run's CPU goes into looking at thousands of waiting calls and all modules again.
    What a host has frozen itself stays frozen.
    """
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not frozen:
            gc.unfreeze()
