"""Both servers, once for all tests of the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.documents.servers import Pair, Server
from tests.conformance.rules.emulator import Emulator, installed
from tests.support.server import serving


@pytest.fixture(scope="package")
def homefire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("differential"), "--dev") as process:
        server = Server(process.port)
        yield server
        server.close()


@pytest.fixture(scope="package")
def pair(homefire: Server) -> Iterator[Pair]:
    folder = installed()
    if folder is None:
        pytest.skip("the Firestore emulator is not installed")
    emulator = Emulator(folder)
    server = Server(emulator.port)
    try:
        yield Pair(server, homefire)
    finally:
        server.close()
        emulator.close()
