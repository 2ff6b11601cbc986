"""The official Node SDKs against a running server: each case of ``node/*.test.mjs`` is a test here."""

from __future__ import annotations

import pytest

from tests.integration.official.conftest import NodeRunner, cases


@pytest.mark.parametrize(("script", "case"), list(cases("node")))
def test_node(script: str, case: str, run_node: NodeRunner) -> None:
    results = run_node(script)
    assert case in results, f"the script ended before this case: {results['']['error']}"
    assert results[case]["ok"], results[case]["error"]
