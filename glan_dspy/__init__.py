"""GLAN as a typed DSPy program: from a list of disciplines to an instruction-tuning dataset.

>>> from glan_dspy import GLAN, Settings, glan_instruction_generation
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from glan_dspy.api import (
        generate_answers,
        generate_questions,
        generate_subjects,
        generate_syllabus,
        generate_taxonomy,
        glan_instruction_generation,
        sample_class_sessions_and_key_concepts,
    )
    from glan_dspy.program import GLAN
    from glan_dspy.settings import Settings

__all__ = [
    "GLAN",
    "Settings",
    "generate_answers",
    "generate_questions",
    "generate_subjects",
    "generate_syllabus",
    "generate_taxonomy",
    "glan_instruction_generation",
    "sample_class_sessions_and_key_concepts",
]

_HOMES = {"GLAN": "program", "Settings": "settings"}


def __getattr__(name: str) -> Any:
    # DSPy takes two seconds to import; `glan --help` and `import glan_dspy` do not wait for it.
    if name not in __all__:
        raise AttributeError(f"module 'glan_dspy' has no attribute {name!r}")
    return getattr(import_module(f"glan_dspy.{_HOMES.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
