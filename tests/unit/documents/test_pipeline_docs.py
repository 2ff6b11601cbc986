"""docs/pipelines.md names every function and stage that there is."""

from __future__ import annotations

import re
from pathlib import Path

from baas.documents.pipelines.aggregates import ACCUMULATORS
from baas.documents.pipelines.expressions import FUNCTIONS
from baas.documents.pipelines.run import SOURCES

NAMED = set(re.findall(r"`(\w+)`", (Path(__file__).parents[3] / "docs/pipelines.md").read_text()))


def test_all_functions_are_named() -> None:
    assert not (FUNCTIONS.keys() | ACCUMULATORS) - NAMED


def test_all_sources_are_named() -> None:
    assert not SOURCES - NAMED
