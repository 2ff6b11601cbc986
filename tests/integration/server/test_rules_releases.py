"""Deploying rules to a running server: kept, released at once, rolled back, and there after a restart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ROOT, Client, ServerProcess, serving

OPEN = '{"rules": {".read": true}}'
CLOSED = '{"rules": {".read": false}}'
FIRESTORE = "projects/homefire/releases/cloud.firestore"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path / "data", "--dev") as running:
        yield running


@pytest.fixture
def admin(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address, token="owner") as client:
        yield client


@pytest.fixture
def visitor(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def deploy(admin: Client, source: str) -> str:
    """Create a ruleset and release it; answers its name."""
    rules = f"{admin.address}/v1/projects/homefire"
    files = [{"name": "firestore.rules.json", "content": source}]
    created = admin.http.post(f"{rules}/rulesets", json={"source": {"files": files}})
    assert created.status_code == 200, created.text
    name = str(created.json()["name"])
    released = admin.http.post(f"{rules}/releases", json={"name": FIRESTORE, "rulesetName": name})
    assert released.status_code == 200, released.text
    return name


def roll_back(admin: Client) -> int:
    return admin.http.post(f"{admin.address}/v1/{FIRESTORE}:rollback").status_code


def test_a_release_is_in_force_at_once(admin: Client, visitor: Client) -> None:
    deploy(admin, OPEN)
    assert visitor.get("posts/p").status_code == 404
    deploy(admin, CLOSED)
    assert visitor.get("posts/p").status_code == 403


def test_a_rollback_puts_the_earlier_ruleset_in_force(admin: Client, visitor: Client) -> None:
    deploy(admin, OPEN)
    deploy(admin, CLOSED)
    assert roll_back(admin) == 200
    assert visitor.get("posts/p").status_code == 404


def test_a_first_release_has_nothing_to_go_back_to(admin: Client) -> None:
    deploy(admin, OPEN)
    assert roll_back(admin) == 400


def test_a_source_that_does_not_compile_changes_nothing(admin: Client, visitor: Client) -> None:
    deploy(admin, OPEN)
    files = [{"name": "firestore.rules", "content": "service cloud.firestore {"}]
    refused = admin.http.post(
        f"{admin.address}/v1/projects/homefire/rulesets", json={"source": {"files": files}}
    )
    assert refused.status_code == 400
    assert "firestore.rules:1:" in refused.json()["error"]["message"]
    assert visitor.get("posts/p").status_code == 404


def test_a_ruleset_in_force_cannot_be_deleted(admin: Client) -> None:
    name = deploy(admin, OPEN)
    assert admin.http.delete(f"{admin.address}/v1/{name}").status_code == 400


def test_a_withdrawn_release_leaves_the_servers_default(admin: Client, visitor: Client) -> None:
    deploy(admin, CLOSED)
    assert admin.http.delete(f"{admin.address}/v1/{FIRESTORE}").status_code == 200
    assert visitor.get("posts/p").status_code == 404  # without rules, development is open


def test_a_visitor_may_not_deploy(visitor: Client) -> None:
    answer = visitor.http.get(f"{visitor.address}/v1/projects/homefire/rulesets")
    assert answer.status_code == 401


def test_a_deployed_release_is_in_force_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, "--dev") as server, Client(server.address, token="owner") as admin:
        deploy(admin, CLOSED)
    with serving(tmp_path) as server, Client(server.address) as visitor:
        assert visitor.get("posts/p").status_code == 403
    told = "".join(server.log)
    assert "denied get" in told
    assert "deployed rules are in force" in told


def test_a_key_deploys_to_a_production_server_at_any_address(tmp_path: Path) -> None:
    def homefire(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "baas.cli", *words]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )

    key, rules = tmp_path / "key.json", tmp_path / "rules.json"
    rules.write_text(OPEN)
    assert homefire("keys", "create", str(key), "--data", str(tmp_path / "data")).returncode == 0
    with serving(tmp_path / "data") as server, Client(server.address) as visitor:
        deploy = ("rules", "deploy", str(rules), "--url", server.address, "--key", str(key))
        done = homefire(*deploy)
        assert done.returncode == 0, done.stderr
        assert visitor.get("posts/p").status_code == 404
        keyless = homefire(*deploy[:-2])
        assert keyless.returncode == 1
        assert "--key FILE" in keyless.stderr
        content = json.loads(key.read_text())
        key.write_text(json.dumps(content | {"private_key_id": "0" * 40}))
        refused = homefire(*deploy)
        assert refused.returncode == 1
        assert "not signed with the key of a service account here" in refused.stderr


def test_rules_are_tested_without_being_kept(admin: Client) -> None:
    case = {
        "expectation": "ALLOW",
        "request": {"method": "get", "path": "/databases/(default)/documents/a/b"},
    }
    source = {"files": [{"name": "r.json", "content": CLOSED}]}
    answer = admin.http.post(
        f"{admin.address}/v1/projects/homefire:test",
        json={"source": source, "testSuite": {"testCases": [case]}},
    )
    assert answer.json()["testResults"][0]["state"] == "FAILURE"


def test_the_command_line_deploys_lists_and_rolls_back(
    server: ServerProcess, visitor: Client, tmp_path: Path
) -> None:
    def homefire(*words: str) -> str:
        command = [sys.executable, "-m", "baas.cli", "rules", *words, "--url", server.address]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    for source in (OPEN, CLOSED):
        (tmp_path / "rules.json").write_text(source)
        homefire("deploy", str(tmp_path / "rules.json"))
    assert visitor.get("posts/p").status_code == 403
    assert len(homefire("list").splitlines()) == 2
    assert "again" in homefire("rollback")
    assert visitor.get("posts/p").status_code == 404
