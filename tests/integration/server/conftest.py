"""One production server with the example's rules, for the tests of this folder that don't stop it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import (
    FOUNDING_RULES,
    FOUNDING_STORAGE_RULES,
    Client,
    ServerProcess,
    serving,
)

EXAMPLE_RULES = ("--rules", str(FOUNDING_RULES), "--storage-rules", str(FOUNDING_STORAGE_RULES))


@pytest.fixture(scope="session")
def example_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("data"), *EXAMPLE_RULES) as server:
        yield server


@pytest.fixture
def anonymous(example_server: ServerProcess) -> Iterator[Client]:
    with Client(example_server.address) as client:
        yield client


@pytest.fixture(scope="session")
def ada(example_server: ServerProcess) -> Iterator[Client]:
    """A client of a signed-in user."""
    with Client(example_server.address) as anonymous, anonymous.signed_up() as client:
        yield client
