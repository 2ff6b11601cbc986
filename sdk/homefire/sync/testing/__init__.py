"""Tests of security rules: the twin of ``@firebase/rules-unit-testing``.

They need a server in development mode (``homefire serve --dev``).
"""

from __future__ import annotations

from homefire.sync.testing._environment import (
    RulesTestContext,
    RulesTestEnvironment,
    assert_fails,
    assert_succeeds,
    initialize_test_environment,
)

__all__ = [
    "RulesTestContext",
    "RulesTestEnvironment",
    "assert_fails",
    "assert_succeeds",
    "initialize_test_environment",
]
