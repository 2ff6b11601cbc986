"""Generated rulesets on Google's Firestore emulator and on a Homefire server: who may do what must be alike.

HOMEFIRE_RULES_SWEEP=first:last runs other seeds, as many as there is time for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.rules.emulator import Emulator, Server, installed, unsigned_token
from tests.conformance.rules.rulesets import (
    DOCUMENTS,
    ROOT,
    RequestGenerator,
    RulesetGenerator,
)
from tests.support.server import serving

REQUESTS = 30
SWEEP = os.environ.get("HOMEFIRE_RULES_SWEEP", "0:25").partition(":")
SEEDS = range(int(SWEEP[0]), int(SWEEP[2]))
pytestmark = pytest.mark.skipif(installed() is None, reason="the emulator is not installed")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder = installed()
    assert folder is not None
    with serving(tmp_path_factory.mktemp("rulesets"), "--dev") as process:
        both = Emulator(folder), Server(process.port)
        yield both
        for server in both:
            server.close()


def filled(server: Server, requests: RequestGenerator) -> None:
    server.clear()
    writes = [
        {"update": {"name": f"{ROOT}/{path}", "fields": requests.fields()}}
        for path in DOCUMENTS[:-3]
    ]
    status, answer = server.call("POST", f"/v1/{ROOT}:commit", {"writes": writes}, "owner")
    assert status == 200, answer


def asked(server: Server, number: int, requests: RequestGenerator) -> tuple[Any, Any]:
    """A request, and whether it was allowed: its status where it failed for another reason."""
    token = unsigned_token(requests.user())
    kind = number % 3
    if kind == 0:
        path = requests.path()
        status, answer = server.call("GET", f"/v1/{ROOT}/{path}", None, token)
        return ("get", path), (status, answer)
    if kind == 1:
        writes = {"writes": requests.writes()}
        status, answer = server.call("POST", f"/v1/{ROOT}:commit", writes, token)
        return ("commit", writes), (status, answer)
    parent, query = requests.query()
    url = f"/v1/{ROOT}{'/' + parent if parent else ''}:runQuery"
    status, answer = server.call("POST", url, {"structuredQuery": query}, token)
    return ("query", parent, query), (status, answer)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_verdicts(servers: tuple[Server, Server], seed: int) -> None:
    source = RulesetGenerator(seed).ruleset()
    loaded = [server.load(source) for server in servers]
    assert loaded[0] == loaded[1], source
    if not loaded[0]:
        return
    generators = RequestGenerator(seed), RequestGenerator(seed)
    for server, requests in zip(servers, generators, strict=True):
        filled(server, requests)
    for number in range(REQUESTS):
        (request, theirs), (_, ours) = (
            asked(server, number, requests)
            for server, requests in zip(servers, generators, strict=True)
        )
        if theirs[0] == 400:  # the emulator cannot do some commits that name a document twice
            return
        assert theirs[0] == ours[0], (source, request, theirs[1], ours[1])
