"""The pytest plugin ``homefire``: a fixture for tests of security rules, configured by ini options.

.. code-block:: ini

    [pytest]
    homefire_host = http://127.0.0.1:8080
    homefire_project = my-rules
    homefire_firestore_rules = firestore.rules
    homefire_storage_rules = storage.rules

Its fixture is synchronous, so that it needs no other plugin.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from homefire.sync.testing import RulesTestEnvironment

_OPTIONS = {
    "homefire_host": "Address of a Homefire server in development mode (default: HOMEFIRE_URL).",
    "homefire_project": "Project that tests of security rules use (default: rules-test).",
    "homefire_firestore_rules": "File with the rules for documents, from the root folder on.",
    "homefire_storage_rules": "File with the rules for objects, from the root folder on.",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini options."""
    for name, text in _OPTIONS.items():
        parser.addini(name, text, default="")


@pytest.fixture
def homefire_rules(pytestconfig: pytest.Config) -> Iterator[RulesTestEnvironment]:
    """A ``homefire.sync.testing`` environment with the configured rules and no documents or objects."""
    # Imported when first used: pytest loads this plugin in every run.
    from homefire.sync.testing import initialize_test_environment

    def text_of(option: str) -> str | None:
        name = pytestconfig.getini(option)
        return Path(pytestconfig.rootpath, name).read_text("utf-8") if name else None

    storage_rules = text_of("homefire_storage_rules")
    with initialize_test_environment(
        pytestconfig.getini("homefire_project") or "rules-test",
        firestore_rules=text_of("homefire_firestore_rules"),
        storage_rules=storage_rules,
        host=pytestconfig.getini("homefire_host") or None,
    ) as environment:
        environment.clear_firestore()
        if storage_rules is not None:
            environment.clear_storage()
        yield environment
