"""Indexes of a running server: ``homefire indexes --url`` and the calls behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from baas.cli import build
from tests.support.server import Client, ServerProcess, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("indexes"), "--dev") as process:
        yield process


def homefire(server: ServerProcess, *words: str) -> Result:
    arguments = ["indexes", *words, "--url", server.address]
    return CliRunner().invoke(build(arguments), arguments)


def test_indexes_are_declared_listed_explained_and_dropped(
    server: ServerProcess, tmp_path: Path
) -> None:
    fields = [{"fieldPath": "s", "order": "ASCENDING"}, {"fieldPath": "n", "order": "DESCENDING"}]
    declared = tmp_path / "firestore.indexes.json"
    declared.write_text(json.dumps({"indexes": [{"collectionGroup": "c", "fields": fields}]}))
    answer = homefire(server, "declare", str(declared))
    assert (answer.exit_code, answer.output.startswith("1 indexes are pinned")) == (0, True)
    number, shape, state, source = homefire(server, "list").output.strip().split("\t")
    assert (shape, source) == ("c (collection): s asc, n desc", "firestore.indexes.json")
    assert state.endswith(", pinned")

    with Client(server.address, token="owner") as owner:
        owner.create("c", "a", s={"stringValue": "x"}, n={"integerValue": "1"})
    condition = {"field": {"fieldPath": "s"}, "op": "EQUAL", "value": {"stringValue": "x"}}
    asked = tmp_path / "query.json"
    query = {"from": [{"collectionId": "c"}], "where": {"fieldFilter": condition}}
    asked.write_text(json.dumps({"structuredQuery": query}))
    explained = homefire(server, "explain", str(asked)).output
    assert explained.startswith("Collection: (")
    assert "results: 1" in explained

    refused = homefire(server, "drop", number)
    assert (refused.exit_code, "pinned" in refused.output) == (1, True)
    assert homefire(server, "unpin", number).exit_code == 0
    assert homefire(server, "drop", number).exit_code == 0
    assert homefire(server, "pin", "999").exit_code == 1


def test_what_is_no_index_file_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    refused = homefire(server, "declare", str(other))
    assert (refused.exit_code, "not in the form" in refused.output) == (1, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/indexes"),
        ("POST", "/indexes:declare"),
        ("POST", "/indexes/1:pin"),
        ("POST", "/indexes/1:unpin"),
        ("DELETE", "/indexes/1"),
    ],
)
def test_only_administrators_may_ask(server: ServerProcess, method: str, path: str) -> None:
    body = {"content": "{}"}
    with Client(server.address) as nobody:
        address = f"{server.address}/v1/projects/homefire{path}"
        answer = nobody.http.request(method, address, json=body)
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
        token = nobody.sign_up()["idToken"]
        headers = {"authorization": f"Bearer {token}"}
        answer = nobody.http.request(method, address, json=body, headers=headers)
        assert answer.json()["error"]["status"] == "PERMISSION_DENIED"
        nobody.http.post(
            f"{server.address}/v1/accounts:delete?key=any", json={"idToken": token}
        ).raise_for_status()
