"""The control calls of Google's emulator suite as test tools make them: statuses and bodies."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.integration.official.conftest import Server

OWNER = {"Authorization": "Bearer owner"}
PROJECT = "demo-control"
DOCUMENTS = f"projects/{PROJECT}/databases/(default)/documents"
OPEN = """service cloud.firestore {
  match /databases/{database}/documents { match /c/{id} { allow read, write: if true; } }
}
"""


def load(server: Server, source: str, project: str = PROJECT, **more: Any) -> httpx2.Response:
    body = {"rules": {"files": [{"name": "mine.rules", "content": source}]}, **more}
    return httpx2.put(f"{server.url}/emulator/v1/projects/{project}:securityRules", json=body)


def test_a_server_that_is_waited_for_says_that_it_is_there(server: Server) -> None:
    answer = httpx2.get(server.url)
    assert (answer.status_code, answer.text.strip()) == (200, "Ok")


def test_rules_are_loaded_and_their_coverage_is_told(server: Server) -> None:
    loaded = load(server, OPEN)
    assert loaded.status_code == 200
    assert {issue["severity"] for issue in loaded.json()["issues"]} <= {"WARNING"}
    read = httpx2.get(f"{server.url}/v1/{DOCUMENTS}/c/x")
    assert read.json()["error"]["status"] == "NOT_FOUND"
    coverage = httpx2.get(f"{server.url}/emulator/v1/projects/{PROJECT}:ruleCoverage").json()
    assert coverage["rules"]["files"] == [{"name": "mine.rules", "content": OPEN}]
    assert coverage["report"]
    page = httpx2.get(f"{server.url}/emulator/v1/projects/{PROJECT}:ruleCoverage.html")
    assert page.headers["content-type"].startswith("text/html")


def test_rules_with_a_mistake_are_refused_with_its_place(server: Server) -> None:
    refused = load(server, "service cloud.firestore { match /x { allow read: if foo( } }")
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["message"].startswith("Error compiling rules:\nL1:58 ")


def test_issues_of_mistakes_can_be_asked_for_without_failing(server: Server) -> None:
    answer = load(server, "servic", ignore_errors=True)
    assert answer.status_code == 200
    (issue,) = answer.json()["issues"]
    assert issue["severity"] == "ERROR"
    place = issue["sourcePosition"]
    assert (place["fileName"], place["line"], place["column"]) == ("mine.rules", 1, 1)


@pytest.mark.parametrize("database", ["(default)", "other"])
def test_documents_are_cleared_for_good(server: Server, database: str) -> None:
    documents = f"projects/{PROJECT}/databases/{database}/documents"
    written = httpx2.post(f"{server.url}/v1/{documents}/d", json={"fields": {}}, headers=OWNER)
    assert written.status_code == 200
    cleared = httpx2.delete(f"{server.url}/emulator/v1/{documents}")
    assert (cleared.status_code, cleared.json()) == (200, {})
    listed = httpx2.get(f"{server.url}/v1/{documents}/d", headers=OWNER).json()
    assert not listed.get("documents")


def test_the_hub_tells_where_each_service_is_and_switches_triggers(server: Server) -> None:
    found = httpx2.get(f"{server.url}/emulators").json()
    assert set(found) >= {"hub", "firestore", "auth", "storage"}
    host, port = server.address.split(":")
    assert {(each["host"], each["port"]) for each in found.values()} == {(host, int(port))}
    for action, enabled in (("disable", False), ("enable", True)):
        answer = httpx2.put(f"{server.url}/functions/{action}BackgroundTriggers")
        assert (answer.status_code, answer.json()) == (200, {"enabled": enabled})


def test_a_page_of_another_origin_may_ask_within_a_private_network(server: Server) -> None:
    answer = httpx2.request(
        "OPTIONS",
        f"{server.url}/v1/{DOCUMENTS}/c/x",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
            "Access-Control-Request-Private-Network": "true",
        },
    )
    assert answer.is_success
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
