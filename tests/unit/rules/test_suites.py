"""What a test case of a suite answers beside its verdict."""

from __future__ import annotations

from typing import Any

import pytest

from rules import Timestamp, compile_rules
from rules.json_values import SuiteError
from rules.testing import run_suite

RULES = compile_rules(
    """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    function owns() { return resource.data.owner == request.auth.uid; }
    match /posts/{id} {
      allow get: if resource.data.public;
      allow get: if owns() && id != 'x';
      allow get: if true;
    }
  }
}"""
)


def answer(level: str | None) -> dict[str, Any]:
    case = {
        "expectation": "ALLOW",
        "request": {
            "method": "get",
            "path": "/databases/(default)/documents/posts/p",
            "auth": {"uid": "u1"},
        },
        "resource": {"data": {"owner": "u1"}},
        **({} if level is None else {"expressionReportLevel": level}),
    }
    (result,) = run_suite(RULES, {"testCases": [case]}, Timestamp.from_seconds(0))
    return result.to_json("firestore.rules")


@pytest.mark.parametrize("level", [None, "NONE"])
def test_nothing_is_reported_unasked(level: str | None) -> None:
    assert answer(level).keys() == {"state", "debugMessages", "errorPosition"}


def test_visited_conditions_are_reported_with_their_values() -> None:
    reported = answer("VISITED")
    assert "expressionReports" not in reported
    assert [
        (each["sourcePosition"]["line"], each["value"]) for each in reported["visitedExpressions"]
    ] == [
        (6, {"undefined": {"causeMessage": "Property public is undefined on object."}}),
        (7, True),
    ]


def test_a_full_report_has_the_values_of_every_part() -> None:
    conjunction = answer("FULL")["expressionReports"][2]
    assert conjunction["values"] == [{"value": True, "count": 1}]
    assert [part["values"][0]["value"] for part in conjunction["children"]] == [True, True]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(SuiteError, match="expressionReportLevel"):
        answer("EVERYTHING")
