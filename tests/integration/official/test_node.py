"""The official Node SDKs against a running server: each case of ``node/*.test.mjs`` is a test here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.official.conftest import NodeRunner

SCRIPTS = sorted((Path(__file__).parent / "node").glob("*.test.mjs"))


def cases() -> Iterator[tuple[str, str]]:
    for script in SCRIPTS:
        for name in re.findall(r"^test\('((?:[^'\\]|\\.)+)'", script.read_text(), re.MULTILINE):
            yield script.name, name.replace("\\'", "'")


@pytest.mark.parametrize(
    ("script", "case"), [pytest.param(*case, id=f"{case[0]}::{case[1]}") for case in cases()]
)
def test_node(script: str, case: str, run_node: NodeRunner) -> None:
    results = run_node(script)
    assert case in results, f"the script ended before this case: {results['']['error']}"
    assert results[case]["ok"], results[case]["error"]
