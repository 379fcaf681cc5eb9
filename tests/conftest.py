"""What every test begins with: an environment that says nothing about models, keys or settings."""

from __future__ import annotations

import os

import pytest

# hypothesis examples share a test's fixtures, so the environment is cleaned once before them: that is what is wanted.
_PREFIXES = ("GLAN_", "OPENAI_", "AZURE_OPENAI_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith(_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "true")
