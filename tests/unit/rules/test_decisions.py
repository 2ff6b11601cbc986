"""What a decision tells: reasons, texts, dependencies; and how lookups pass through the engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rules import (
    FIRESTORE,
    Auth,
    Coverage,
    Decision,
    LookupNeeded,
    NoLookups,
    Request,
    Resource,
    compile_rules,
)
from tests.conformance.rules.world import NOW, World, condition, where

MEMBER = "exists(/databases/$(database)/documents/members/$(request.auth.uid))"


class Remote(NoLookups):
    """A host that must fetch first."""

    def __init__(self) -> None:
        self.fetched: dict[tuple[str, ...], Resource] = {}

    def get(self, database: str, path: tuple[str, ...]) -> Resource | None:
        if path not in self.fetched:
            raise LookupNeeded("get", database, path)
        return self.fetched[path]


def judge(source: str, host: Any) -> Decision:
    request = Request(FIRESTORE, "get", ("c", "d"), NOW, auth=Auth("u1"))
    return compile_rules(source).evaluate(request, host)


@pytest.mark.parametrize("text", [MEMBER, f"{MEMBER} || true", f"false || {MEMBER}", f"!{MEMBER}"])
def test_a_lookup_that_is_not_at_hand_ends_the_evaluation(text: str) -> None:
    with pytest.raises(LookupNeeded) as caught:
        judge(condition("get", text), Remote())
    assert (caught.value.kind, caught.value.path) == ("get", ("members", "u1"))


def test_no_statement_after_a_missing_lookup_is_tried() -> None:
    with pytest.raises(LookupNeeded):
        judge(condition("get", f"{MEMBER}; allow get: if true"), Remote())


def test_the_evaluation_goes_on_when_the_document_was_fetched() -> None:
    host = Remote()
    host.fetched["members", "u1"] = Resource({}, ("members", "u1"))
    decision = judge(condition("get", MEMBER), host)
    assert decision.allowed
    assert decision.lookups == {("(default)", ("members", "u1"))}


def test_a_query_that_names_a_document_depends_on_it() -> None:
    from tests.conformance.rules.world import document_name

    named = where("__name__", "==", document_name("c/x"))
    decision = World(condition("list", "true")).query(named)
    assert decision.lookups == {("(default)", ("c", "x"))}


USES = [
    ("true", set()),
    ("request.auth != null", {"auth"}),
    ("request.auth.uid == d", {"auth", "path"}),
    ("resource.data.t < request.time", {"resource", "time"}),
    ("request['auth'] != null", {"auth", "time", "new_resource", "query", "path"}),
    (MEMBER, {"auth", "path", "lookups"}),
]


@pytest.mark.parametrize(("text", "uses"), USES)
def test_a_decision_says_what_it_may_depend_on(text: str, uses: set[str]) -> None:
    assert World(condition("get", text), {"c/d": {}}, "u1").get().uses == uses


def test_dependencies_are_found_within_functions() -> None:
    source = (
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents { "
        "function f(x) { let y = request.time; return x && y != null; } "
        "match /c/{d} { allow get: if f(request.auth != null); } } }"
    )
    decision = World(source, uid="u1").get()
    assert decision.uses == {"auth", "time"}
    assert (decision.uses_time, decision.auth_only) == (True, False)


DENIALS = [
    ("false", "\nfalse for 'get' @ L1"),
    (
        "resource.data.x == 1",
        "\nevaluation error at L1:115 for 'get' @ L1, Property x is undefined on object. for 'get' @ L1",
    ),
    (
        "1",
        "\nevaluation error at L1:115 for 'get' @ L1, Type error. Received: [int] Expected: [bool].",
    ),
]


@pytest.mark.parametrize(("text", "message"), DENIALS)
def test_a_denial_in_the_emulators_words(text: str, message: str) -> None:
    decision = World(condition("get", text), {"c/d": {}}).get()
    assert decision.message_dev().startswith(message)
    assert decision.message_production == "Missing or insufficient permissions."


def test_a_denial_without_statements() -> None:
    assert (
        World(condition("get", "true")).delete().message_dev() == "\nNo matching allow statements"
    )


def test_reasons_name_the_expression_that_decided_within_functions() -> None:
    source = (
        "rules_version='2';\nservice cloud.firestore { match /databases/{database}/documents {\n"
        "function signed() { return request.auth != null; }\n"
        "function owns(name) { return signed() && request.auth.uid == name; }\n"
        "match /c/{d} { allow get: if owns(resource.data.owner); } } }"
    )
    (reason,) = World(source, {"c/d": {"owner": "u2"}}, "u1").get().reasons
    assert (reason.outcome, reason.line) == ("false", 5)
    assert (reason.expression, reason.expression_line) == ("request.auth.uid == name", 4)


def test_reasons_are_made_from_what_was_looked_up_then() -> None:
    host = Remote()
    host.fetched["members", "u1"] = Resource({"role": "user"}, ("members", "u1"))
    role = "get(/databases/$(database)/documents/members/$(request.auth.uid)).data.role == 'admin'"
    decision = judge(condition("get", role), host)
    host.fetched.clear()
    assert decision.reasons[0].outcome == "false"


def test_an_unproven_query_says_unknown() -> None:
    (reason,) = World(condition("list", "resource.data.a == 1")).query().reasons
    assert (reason.outcome, reason.expression) == ("unknown", "resource.data.a")


def test_one_ruleset_serves_many_threads() -> None:
    source = condition("get", "request.auth.uid == d && f(d); function f(x) { return x == d; }")
    source = source.replace("allow get", "function f(x) { let y = x; return y == d; } allow get", 1)
    source = source.replace("; function f(x) { return x == d; }", "")
    ruleset = compile_rules(source)

    def many(uid: str) -> bool:
        request = Request(FIRESTORE, "get", ("c", "u1"), NOW, auth=Auth(uid))
        verdicts = {ruleset.evaluate(request, NoLookups()).allowed for _ in range(300)}
        return verdicts == {uid == "u1"}

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(many, ["u1", "u2", "u1", "u3"]))


def test_coverage_counts_values_in_the_shape_of_the_rules_api() -> None:
    source = condition("get", "request.auth != null")
    ruleset = compile_rules(source)
    coverage = Coverage()
    for auth in (None, Auth("u1"), Auth("u2")):
        request = Request(FIRESTORE, "get", ("c", "d"), NOW, auth=auth)
        ruleset.evaluate(request, NoLookups(), coverage=coverage)
    (node,) = ruleset.coverage_report(coverage)["report"]
    assert node["values"] == [{"value": False, "count": 1}, {"value": True, "count": 2}]
    assert node["sourcePosition"]["line"] == 1
    assert [child["values"][0]["count"] for child in node["children"]] == [1, 3]


def test_coverage_shows_errors() -> None:
    ruleset = compile_rules(condition("get", "1 / 0 == 1"))
    coverage = Coverage()
    ruleset.evaluate(Request(FIRESTORE, "get", ("c", "d"), NOW), NoLookups(), coverage=coverage)
    (node,) = ruleset.coverage_report(coverage)["report"]
    assert node["values"][0]["value"] == {"undefined": {"causeMessage": "Divide by zero error."}}


WARNINGS = [
    ("allow fetch: if true;", "Unknown method 'fetch': it never applies."),
    ("allow get: if nosuch == 1;", "Invalid variable name: nosuch."),
    ("allow get: if 1 + 'a' == 'x';", "Unsupported operation error. Received: int + string."),
    ("allow get: if exists(1, 2);", "Invalid number of arguments for exists: 2, expected 1."),
    ("allow write: if true;", "Anyone may write here: the condition is always true."),
    ("function unused() { return true; } allow get;", "Unused function: unused."),
    ("allow get: if 'a'.nosuch();", "Invalid function name: nosuch."),
    ("allow get: if 1 && true;", "Type error: '&&' takes bool, not int."),
    ("allow get: if resource.data.a.size(1) > 0;",
     "Invalid number of arguments for size: 1, expected 0."),
    ("allow get: if math.pow(1) > 0;",
     "Invalid number of arguments for math.pow: 1, expected 2."),
    ("function f(x) { return true; } allow get: if f(1);", "Unused variable: x."),
    ("function f() { let x = 1; return true; } allow get: if f();", "Unused variable: x."),
    ("allow get: if 'a';", "The condition is not a boolean, so it never grants."),
    ("allow get: if 1 == 1 || d == 'a';", "The condition is always true."),
    ("allow get: if false && d == 'a';", "The condition is always false."),
    ("allow get: if 1 == '1';", "A value of type int never equals one of type string."),
    ("allow read; allow get: if d == 'a';",
     "Unreachable: line 1 always allows what this would."),
]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "allow read; allow create: if d == 'a';",
        "allow get: if d == 'a'; allow get;",
        "allow get: if false;",
        "allow get: if 1 == 1.0 && d == 'a';",
        "allow get: if resource == null || null != resource.data.a;",
        "function f(x) { let y = x; return y == d; } allow get: if f(1);",
        "function string(x) { return x == d; } allow get: if !string(1);",
        "allow get: if resource.data.get(['a', 'b'], 0) == 1 && timestamp.value(1) is timestamp;",
    ],
)
def test_sound_rules_are_not_warned_of(body: str) -> None:
    source = (
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents { "
        f"match /c/{{d}} {{ {body} }} }} }}"
    )
    assert compile_rules(source).issues == ()


@pytest.mark.parametrize(("body", "description"), WARNINGS)
def test_doubtful_rules_are_warned_of(body: str, description: str) -> None:
    source = (
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents { "
        f"match /c/{{d}} {{ {body} }} }} }}"
    )
    issues = compile_rules(source).issues
    assert [issue.description for issue in issues] == [description]
    assert {issue.severity for issue in issues} == {"WARNING"}


def test_a_lookup_by_a_field_in_a_list_rule_is_warned_of() -> None:
    text = "exists(/databases/$(database)/documents/o/$(resource.data.org))"
    (issue,) = compile_rules(condition("list", text)).issues
    assert "a query passes only where it pins that field" in issue.description
