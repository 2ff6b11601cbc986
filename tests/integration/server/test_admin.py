"""The administrators' side: figures, and that nobody else sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Client, ServerProcess, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data: Path = tmp_path_factory.mktemp("admin")
    with serving(data, "--dev") as running:
        yield running


def test_metrics_tell_listeners_views_and_queues(server: ServerProcess) -> None:
    with Client(server.address, token="owner") as admin:
        text = admin.http.get(f"{server.address}/metrics").text
    for name in ("listen_streams", "listen_targets", "listen_views", "database_writes_waiting"):
        assert f"homefire_{name} 0.0" in text


def test_metrics_are_for_administrators(server: ServerProcess) -> None:
    with Client(server.address) as visitor:
        assert visitor.http.get(f"{server.address}/metrics").status_code == 401


def test_the_description_names_the_rules_api(server: ServerProcess) -> None:
    with Client(server.address) as visitor:
        paths = visitor.http.get(f"{server.address}/openapi.json").json()["paths"]
    assert "/v1/projects/{project}/rulesets" in paths
