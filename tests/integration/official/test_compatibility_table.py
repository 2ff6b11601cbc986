"""Each test that docs/compatibility.md names is there."""

from __future__ import annotations

import re

from tests.integration.official.conftest import HERE, cases

TEXT = (HERE.parents[2] / "docs" / "compatibility.md").read_text()


def test_every_named_case_exists() -> None:
    known = {*cases("node"), *cases("browser")}
    named = re.findall(r"((?:node|browser)/\w+\.test\.mjs): \*([^*]+)\*", TEXT)
    assert len(named) > 100
    missing = {(script, " ".join(case.split())) for script, case in named} - known
    assert not missing


def test_every_named_python_test_exists() -> None:
    named = re.findall(r"((?:auth/)?test_\w+\.py): \*(\w+)\*", TEXT)
    assert len(named) > 20
    missing = [(file, name) for file, name in named if f"def {name}(" not in _source(file)]
    assert not missing


def _source(file: str) -> str:
    folder = HERE.parent if "/" in file else HERE
    return (folder / file).read_text()
