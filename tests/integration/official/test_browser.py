"""The official web SDK in a real headless Chromium: each case of ``browser/*.test.mjs`` is a test here."""

from __future__ import annotations

import shutil

import pytest

from tests.integration.official.conftest import NodeRunner, cases

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]


@pytest.mark.parametrize(("script", "case"), list(cases("browser")))
def test_browser(script: str, case: str, run_node: NodeRunner) -> None:
    results = run_node(script)
    assert case in results, f"the script ended before this case: {results['']['error']}"
    assert results[case]["ok"], results[case]["error"]
