"""`homefire rules`, run as commands on files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from baas.cli.rules import app

RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /users/{uid} {
      allow read: if request.auth != null && request.auth.uid == uid;
      allow list: if resource.data.owner == request.auth.uid;
    }
  }
}
"""


def case(expectation: str, uid: str | None, path: str = "users/u1", **more: Any) -> dict[str, Any]:
    request = {"method": "get", "path": f"/databases/(default)/documents/{path}", **more}
    if uid:
        request["auth"] = {"uid": uid, "token": {}}
    return {"expectation": expectation, "request": request}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "firestore.rules"
    path.write_text(RULES)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def suite(folder: Path, *cases: dict[str, Any]) -> Path:
    path = folder / "suite.json"
    path.write_text(json.dumps({"testCases": list(cases)}))
    return path


def test_check_accepts_good_rules(rules: Path) -> None:
    result = run("check", rules)
    assert (result.exit_code, "ok, 0 warning(s)" in result.output) == (0, True)


def test_check_points_at_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.rules"
    path.write_text(RULES.replace("!= null", "!="))
    result = run("check", path)
    assert result.exit_code == 1
    assert f"{path}:5:38: ERROR" in result.output
    assert "\n" + " " * 37 + "^^" in result.output


def test_check_says_why_a_pattern_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bad.rules"
    path.write_text(RULES.replace("uid == uid", "uid.matches('.{1,2000}')"))
    assert "RE2: invalid repetition size: {1,2000}." in run("check", path).output


def test_check_warns_of_a_file_without_rules(tmp_path: Path) -> None:
    path = tmp_path / "empty.rules"
    path.write_text("")
    assert "everything is denied" in run("check", path).output


def test_check_of_a_missing_file(tmp_path: Path) -> None:
    assert run("check", tmp_path / "none").exit_code == 2


def test_a_suite_that_passes(rules: Path, tmp_path: Path) -> None:
    result = run("test", rules, suite(tmp_path, case("ALLOW", "u1"), case("DENY", "u2")))
    assert result.exit_code == 0
    assert "2 of 2 passed" in result.output


def test_a_suite_that_fails_says_why(rules: Path, tmp_path: Path) -> None:
    result = run("test", rules, suite(tmp_path, case("ALLOW", None)))
    assert result.exit_code == 1
    assert "false for 'get' @ L5" in result.output


def test_a_query_in_a_suite_is_proven(rules: Path, tmp_path: Path) -> None:
    mine = {"where": [{"field": "owner", "op": "==", "value": "u1"}]}
    result = run(
        "test",
        rules,
        suite(
            tmp_path,
            case("ALLOW", "u1", "users", method="list", query=mine),
            case("DENY", "u1", "users", method="list"),
        ),
    )
    assert result.exit_code == 0


def test_a_malformed_suite(rules: Path, tmp_path: Path) -> None:
    result = run("test", rules, suite(tmp_path, {"expectation": "MAYBE", "request": {}}))
    assert result.exit_code == 2
    assert "expectation must be" in result.output


@pytest.mark.parametrize("time", [{"@timestamp": "2026-01-01T00:00:00Z"}, 7, "noon"])
def test_a_time_that_is_none_is_refused_in_words(rules: Path, tmp_path: Path, time: object) -> None:
    result = run("test", rules, suite(tmp_path, case("ALLOW", "u1", time=time)))
    assert result.exit_code == 2
    assert "request.time must be an RFC 3339 time: " in result.output
    assert "attribute" not in result.output


def test_coverage_prints_counts_and_writes_a_page(rules: Path, tmp_path: Path) -> None:
    cases = suite(tmp_path, case("ALLOW", "u1"), case("DENY", None))
    printed = run("coverage", rules, cases).output
    assert "      2    5 |       allow read" in printed
    assert "  never    6 |       allow list" in printed
    page = tmp_path / "out.html"
    assert run("coverage", rules, cases, "--html", page).exit_code == 0
    assert 'title="never evaluated"' in page.read_text()


def test_explain_names_the_deciding_expression(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(case("ALLOW", "u2")))
    result = run("explain", rules, path)
    assert "DENY" in result.output
    assert "5:46 request.auth.uid == uid -> false" in result.output
