"""What every test begins with: an environment that says nothing about models, keys or settings."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.processes import Forking

# No test is judged by its time. Under CI each run looks at the same examples; on a desk each run looks for new ones.
settings.register_profile("glan", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("glan")

# hypothesis examples share a test's fixtures, so the environment is cleaned once before them: that is what is wanted.
_PREFIXES = ("GLAN_", "OPENAI_", "AZURE_OPENAI_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith(_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "true")


@pytest.fixture(scope="session")
def glan() -> Forking:
    """Begins `glan` commands in processes of their own, at once: what they import was imported once."""
    from tests.processes import forking

    return forking()


def pytest_collection_finish() -> None:
    """Runs begin with a whole collection: the tests and their libraries are not looked at again each time."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    from tests.faults.table import summary

    summary(terminalreporter)


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # else what libraries hold to the end looks to them like leaks, and they say so
