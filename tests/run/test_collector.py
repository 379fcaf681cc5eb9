"""What a run does to Python's garbage collector, and leaves as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from glan_dspy.run.collector import YOUNG, rare_collections


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.freeze()


def test_collections_are_rare_while_a_run_lasts() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold()[0] == YOUNG and gc.get_freeze_count() > 0
    assert gc.get_threshold() == before


@pytest.mark.parametrize("frozen", [True, False])
def test_what_a_host_has_frozen_stays_frozen_and_nothing_else(frozen: bool) -> None:
    gc.unfreeze()
    if frozen:
        gc.freeze()
    with rare_collections():
        pass
    assert (gc.get_freeze_count() > 0) is frozen
