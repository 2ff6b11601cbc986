"""The conformance cases 1 to 72 of the rules reference that concern the rules language."""

from __future__ import annotations

from typing import Any

import pytest

from rules import (
    STORAGE,
    Auth,
    LookupBudget,
    Request,
    Resource,
    RulesCompileError,
    Timestamp,
    compile_rules,
)
from tests.conformance.rules.world import NOW, Documents, World, condition

MISSING: dict[str, Any] = {}
STORED = {"c/d": {}}


def on(data: dict[str, Any]) -> dict[str, Any]:
    return {"c/d": data}


GETS = [
    (1, "true", None, MISSING, True),
    (2, "false", None, MISSING, False),
    (3, "request.auth != null", None, STORED, False),
    (3, "request.auth != null", "u1", STORED, True),
    (4, "request.auth.uid == 'u1'", None, STORED, False),
    (5, "request.auth.uid == 'x' || true", None, STORED, True),
    (6, "1 / 0 == 1 || true", None, STORED, True),
    (6, "!((1 / 0 == 1) && false)", None, STORED, True),
    (7, "true && null", None, STORED, False),
    (7, "1 ? true : false", None, STORED, False),
    (26, "nosuch(1) || true", None, STORED, True),
    (28, "resource == null", None, MISSING, True),
    (29, "resource.data.a == 1", None, MISSING, False),
    (29, "resource.data.a == 1", None, on({"a": 1}), True),
    (30, "resource.data.b == null", None, on({"a": 1}), False),
    (31, "resource.data.b == null", None, on({"b": None}), True),
    (32, "!('b' in resource.data) && resource.data.get('b', 7) == 7", None, on({"a": 1}), True),
    (33, "resource.data.get(['m','x'], 0) == 0", None, on({"m": "s"}), True),
    (34, "'toString' in resource.data", None, on({"a": 1}), False),
    (35, "!('a' in resource.data.v)", None, on({"v": "abc"}), False),
    (35, "!('a' in resource.data.v)", None, on({"v": None}), False),
    (36, "request.resource == null", None, STORED, False),
    (36, "!('resource' in request)", None, STORED, True),
    (53, "'hello world'.matches('world')", None, STORED, False),
    (53, "'hello world'.matches('.*world')", None, STORED, True),
    (55, "'a'.matches(resource.data.p)", None, on({"p": "("}), False),
    (56, "[1,2,3][1:1] == []", None, STORED, True),
    (56, "[1,2,3][0:0] == []", None, STORED, False),
    (56, "'abc'[0:4] is string", None, STORED, False),
    (57, "5 / 2 == 2 && -5 / 2 == -2 && -5 % 3 == -2 && 5.0 / 2 == 2.5", None, STORED, True),
    (58, "9223372036854775807 + 1 > 0", None, STORED, False),
    (59, "1 == 1.0 && {'a': 1} != {'a': 1.0} && !(1 is float)", None, STORED, True),
    (60, "[1] + [2] == [1,2] || false", None, STORED, False),
    (60, "'a' + 1 == 'a1' || false", None, STORED, False),
    (60, "1 < 'a' || false", None, STORED, False),
    (61, "[1,2].toSet().union([3]) == [1,2,3].toSet()", None, STORED, False),
    (61, "[1,2].toSet().union([3].toSet()).size() == 3", None, STORED, True),
    (62, "hashing.crc32('abc').toHexString() == 'C2412435'", None, STORED, True),
    (
        62,
        "hashing.md5('abc').toHexString() == '900150983CD24FB0D6963F7D28E17F72'",
        None,
        STORED,
        True,
    ),
    (
        63,
        "math.round(-1.5) == -1 && math.floor(1.8) is float && math.round(1.5) is int",
        None,
        STORED,
        True,
    ),
    (64, "bool('true')", None, STORED, False),
    (64, "math.isInfinite(1.0) == false", None, STORED, False),
    (64, "{'a':1}.hasAll(['a'])", None, STORED, False),
    (
        66,
        "path('/a/{x}').bind({'x':'b'}) == path('/a/b') && /a/b == path('/a/b') "
        "&& path('/a/b')[0] == 'a'",
        None,
        STORED,
        True,
    ),
]


@pytest.mark.parametrize(("case", "text", "uid", "stored", "allowed"), GETS)
def test_get(case: int, text: str, uid: str | None, stored: dict[str, Any], allowed: bool) -> None:
    assert World(condition("get", text), stored, uid).get().allowed is allowed


FULL = (
    "rules_version='2'; service cloud.firestore {{ match /databases/{{database}}/documents {{ "
    "{0} }} }}"
)

GET_FILES = [
    (8, FULL.format("match /c/{d} { allow get: if 1 / 0 == 1; allow get: if true; }"), True),
    (9, FULL.format("match /c/{d} { allow get: if false; } match /c/{e} { allow get; }"), True),
    (10, FULL.format("match /c/{d} { allow get; }"), True),
    (11, FULL.format("match /c/{d} { allow get: if true }"), True),
    (12, FULL.format("match /c/{d} { allow fetch: if true; }"), False),
    (
        20,
        "service firebase.storage { match /b/{b}/o { match /{p=**} { allow read; } } }",
        False,
    ),
    (
        25,
        FULL.format(
            "function f() { return false; } match /c/{d} { function f() { return true; } "
            "allow get: if f(); }"
        ),
        True,
    ),
    (
        27,
        FULL.format(
            "function f() { let x = 1 / 0; return true; } match /c/{d} { allow get: if f(); }"
        ),
        True,
    ),
    (
        27,
        FULL.format(
            "function f() { let x = 1 / 0; return x == 1 || x != 1; } "
            "match /c/{d} { allow get: if f(); }"
        ),
        False,
    ),
]


@pytest.mark.parametrize(("case", "source", "allowed"), GET_FILES)
def test_get_by_a_whole_file(case: int, source: str, allowed: bool) -> None:
    assert World(source, STORED).get().allowed is allowed


@pytest.mark.parametrize("method", ["create", "update", "delete"])
def test_case_13_write_covers_each_kind_of_write(method: str) -> None:
    world = World(condition("write", "true"), on({"a": 1}))
    assert world.write(method, "c/d", None if method == "delete" else {"a": 2}).allowed


def test_case_13_write_does_not_cover_get() -> None:
    assert not World(condition("write", "true"), on({"a": 1})).get().allowed


@pytest.mark.parametrize(
    ("case", "version", "match", "path", "allowed"),
    [
        (14, "2", "/c/{r=**}", "c/d", True),
        (14, "2", "/c/{r=**}", "c/d/e/f", True),
        (15, "2", "/c/{d}/{r=**}", "c/d", True),
        (15, "2", "/c/{d}/{r=**}", "c/d/e/f", True),
        (16, "1", "/c/{d}/{r=**}", "c/d", False),
        (16, "1", "/c/{d}/{r=**}", "c/d/e/f", True),
    ],
)
def test_recursive_wildcards(case: int, version: str, match: str, path: str, allowed: bool) -> None:
    world = World(condition("read", "true", version, match), {path: {}})
    assert world.get(path).allowed is allowed


def function(parameters: int = 0, lets: int = 0) -> str:
    names = ", ".join(f"p{i}" for i in range(parameters))
    args = ", ".join("1" for _ in range(parameters))
    body = " ".join(f"let v{i} = {i};" for i in range(lets))
    return FULL.format(
        f"function f({names}) {{ {body} return true; }} match /c/{{d}} {{ allow get: if f({args}); }}"
    )


def call_chain(calls: int) -> str:
    """`calls` calls from function to function."""
    functions = "".join(f"function f{i}() {{ return f{i + 1}(); }} " for i in range(calls))
    last = f"function f{calls}() {{ return true; }} "
    return FULL.format(f"{functions}{last} match /c/{{d}} {{ allow get: if f0(); }}")


REFUSED = [
    (17, condition("read", "true", "1", "/{r=**}/c/{d}")),
    (18, condition("read", "true", "2", "/{a=**}/c/{b=**}")),
    (19, condition("read", "true", "3")),
    (21, FULL.format("function f() { return f(); } match /c/{d} { allow get: if f(); }")),
    (22, call_chain(21)),
    (23, function(parameters=8)),
    (24, function(lets=12)),
    (25, FULL.format("function f() { return true; } function f() { return true; }")),
    (54, condition("get", "'a'.matches('(')")),
    (54, condition("get", "'a'.matches('a(?=b)')")),
    (65, condition("get", "'x' is bogus")),
    (65, condition("get", "null is null")),
]


@pytest.mark.parametrize(("case", "source"), REFUSED)
def test_compile_error(case: int, source: str) -> None:
    with pytest.raises(RulesCompileError) as caught:
        compile_rules(source)
    assert any(issue.severity == "ERROR" for issue in caught.value.issues)


@pytest.mark.parametrize("source", [call_chain(20), function(parameters=7), function(lets=11)])
def test_cases_22_to_24_at_the_limit_compile_and_grant(source: str) -> None:
    assert World(source, STORED).get().allowed


def test_case_21_names_the_recursion() -> None:
    with pytest.raises(RulesCompileError, match="Recursive call is not allowed"):
        compile_rules(dict(REFUSED[3:4])[21])


@pytest.mark.parametrize("version", ["rules_version='1'; ", ""])
def test_version_1_has_no_variables(version: str) -> None:
    source = function(lets=1).replace("rules_version='2'; ", version)
    with pytest.raises(RulesCompileError, match="Let bindings are not allowed"):
        compile_rules(source)


def test_case_22_names_the_call_stack() -> None:
    with pytest.raises(RulesCompileError, match=r"call depth of 20 is reached for \[f0->f1->"):
        compile_rules(call_chain(21))


def test_case_26_warns_of_an_unknown_function() -> None:
    issues = compile_rules(condition("get", "nosuch(1) || true")).issues
    assert "Invalid function name: nosuch." in [issue.description for issue in issues]


def test_case_37_a_delete_has_a_null_after_image() -> None:
    assert World(condition("delete", "request.resource == null"), STORED).delete().allowed


@pytest.mark.parametrize(("fields", "allowed"), [({"n": 1}, True), ({"n": 1, "m": 2}, False)])
def test_case_38_create_with_known_keys_only(fields: dict[str, Any], allowed: bool) -> None:
    text = "resource == null && request.resource.data.keys().hasOnly(['n'])"
    assert World(condition("create", text)).create(fields).allowed is allowed


@pytest.mark.parametrize(
    ("changes", "allowed"), [({"b": 2}, True), ({"a": 9, "b": 2}, False), ({"a": 1}, True)]
)
def test_case_39_affected_keys(changes: dict[str, Any], allowed: bool) -> None:
    text = "request.resource.data.diff(resource.data).affectedKeys().hasOnly(['b'])"
    assert World(condition("update", text), on({"a": 1})).update(changes).allowed is allowed


def test_case_40_a_masked_update_shows_the_whole_document() -> None:
    text = "request.resource.data.a == 1 && request.resource.data.b == 2"
    assert World(condition("update", text), on({"a": 1})).update({"b": 2}).allowed


def test_case_41_a_set_shows_only_what_it_sets() -> None:
    text = "request.resource.data.keys().hasOnly(['b'])"
    assert World(condition("update", text), on({"a": 1})).replace({"b": 2}).allowed


@pytest.mark.parametrize(("time", "allowed"), [(NOW, True), (Timestamp.from_seconds(1), False)])
def test_case_42_server_time_equals_request_time(time: Timestamp, allowed: bool) -> None:
    text = "request.resource.data.t == request.time"
    assert World(condition("create", text)).create({"t": time}).allowed is allowed


def test_case_43_an_increment_is_applied_first() -> None:
    text = "request.resource.data.a == resource.data.a + 5"
    assert World(condition("update", text), on({"a": 1})).update({"a": 6}).allowed


def test_case_44_a_deleted_field_is_gone() -> None:
    text = "!('a' in request.resource.data)"
    assert World(condition("update", text), on({"a": 1})).update({"a": ...}).allowed


@pytest.mark.parametrize(("case", "create", "allowed"), [(45, "false", False), (46, "true", True)])
def test_a_create_on_an_existing_document_is_judged_as_create(
    case: int, create: str, allowed: bool
) -> None:
    rules = FULL.format(
        f"match /c/{{d}} {{ allow create: if {create}; allow update: if {str(not allowed).lower()}; }}"
    )
    assert World(rules, STORED).create({}).allowed is allowed


OWNED = "getAfter(/databases/$(database)/documents/p/1).data.owner == request.auth.uid"


def test_case_47_get_after_sees_the_whole_commit() -> None:
    rules = FULL.format(
        f"match /c/{{d}} {{ allow create: if {OWNED}; }} match /p/{{x}} {{ allow create; }}"
    )
    decisions = World(rules, uid="u1").commit({"c/d": {}, "p/1": {"owner": "u1"}})
    assert [decision.allowed for decision in decisions] == [True, True]


def test_case_47_get_after_of_what_is_not_written() -> None:
    assert not World(condition("create", OWNED), uid="u1").create({}).allowed


@pytest.mark.parametrize(("text", "allowed"), [("== null", True), (".data.x == 1", False)])
def test_case_48_get_of_a_missing_document_is_null(text: str, allowed: bool) -> None:
    rules = condition("create", f"get(/databases/$(database)/documents/p/1){text}")
    assert World(rules).create({}).allowed is allowed


def exists(count: int) -> str:
    return " && ".join(f"exists(/databases/$(database)/documents/p/{i})" for i in range(count))


def people(count: int) -> dict[str, Any]:
    return {"c/d": {}, **{f"p/{i}": {} for i in range(count)}}


@pytest.mark.parametrize(("count", "allowed"), [(10, True), (11, False)])
def test_case_49_ten_documents_may_be_looked_up(count: int, allowed: bool) -> None:
    assert World(condition("get", exists(count)), people(count)).get().allowed is allowed


def test_case_50_the_same_document_counts_once() -> None:
    text = " && ".join(["exists(/databases/$(database)/documents/p/0)"] * 30)
    world = World(condition("get", text), people(1))
    assert world.get().allowed
    assert world.lookups.reads == ["p/0"]


def test_case_51_too_many_lookups_spoil_one_statement_only() -> None:
    rules = FULL.format(f"match /c/{{d}} {{ allow get: if {exists(11)}; allow get: if true; }}")
    assert World(rules, people(11)).get().allowed


def balanced(leaves: int) -> str:
    if leaves == 1:
        return "true"
    half = leaves // 2
    return f"({balanced(half)} && {balanced(leaves - half)})"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (balanced(334), True),
        (balanced(335), False),
        (f"{balanced(500)} || true", False),
    ],
)
def test_case_52_a_thousand_expressions(text: str, allowed: bool) -> None:
    assert World(condition("get", text), STORED).get().allowed is allowed


def test_case_52_a_later_statement_does_not_help() -> None:
    rules = FULL.format(f"match /c/{{d}} {{ allow get: if {balanced(500)}; allow get: if true; }}")
    assert not World(rules, STORED).get().allowed


def test_case_68_one_refused_write_shows_in_the_commit() -> None:
    rules = FULL.format("match /c/{d} { allow create: if d == 'a'; }")
    decisions = World(rules).commit({"c/a": {}, "c/b": {}})
    assert [decision.allowed for decision in decisions] == [True, False]


def test_a_commit_shares_twenty_documents() -> None:
    """Seven distinct documents for each of three writes are one too many."""
    seven = " && ".join(
        f"exists(/databases/$(database)/documents/p/$(d + '{i}'))" for i in range(7)
    )
    stored = {f"p/{d}{i}": {} for d in "abc" for i in range(7)}
    world = World(condition("create", seven), stored)
    allowed = [d.allowed for d in world.commit({"c/a": {}, "c/b": {}, "c/c": {}})]
    assert allowed == [True, True, False]


def test_a_budget_keeps_answers_for_the_next_evaluation() -> None:
    world = World(condition("get", exists(1)), people(1))
    budget = LookupBudget()
    assert world.get(budget=budget).allowed
    assert world.get(budget=budget).allowed
    assert world.lookups.reads == ["p/0"]


# --- storage

STORAGE_FILE = "rules_version='{0}'; service firebase.storage {{ match /b/{{b}}/o {{ {1} }} }}"
IMAGES = (
    "match /img/{f} { allow create: if request.resource.size < 10 && "
    "request.resource.contentType.matches('image/.*'); }"
)


def storage(
    rules: str,
    method: Any,
    name: str,
    new: dict[str, Any] | None = None,
    uid: str | None = None,
    stored: dict[tuple[str, ...], Any] | None = None,
) -> bool:
    request = Request(
        STORAGE,
        method,
        tuple(name.split("/")),
        NOW,
        database="bucket",
        auth=Auth(uid, {}) if uid else None,
        new_resource=Resource(new) if new is not None else None,
    )
    return compile_rules(rules).evaluate(request, Documents(stored or {})).allowed


@pytest.mark.parametrize(
    ("size", "kind", "allowed"),
    [(5, "image/png", True), (10, "image/png", False), (5, "text/plain", False)],
)
def test_case_69_size_and_type_of_an_upload(size: int, kind: str, allowed: bool) -> None:
    new = {"size": size, "contentType": kind}
    assert storage(STORAGE_FILE.format("2", IMAGES), "create", "img/a", new) is allowed


@pytest.mark.parametrize(("method", "allowed"), [("list", False), ("get", True)])
def test_case_70_version_1_never_lists(method: str, allowed: bool) -> None:
    rules = STORAGE_FILE.format("1", "match /{p=**} { allow read; }")
    assert storage(rules, method, "a/b") is allowed


def test_version_2_lists() -> None:
    assert storage(STORAGE_FILE.format("2", "match /{p=**} { allow list; }"), "list", "a")


@pytest.mark.parametrize(("stored", "allowed"), [({("m", "u1"): {}}, True), ({}, False)])
def test_case_71_storage_asks_documents(stored: dict[Any, Any], allowed: bool) -> None:
    text = "firestore.exists(/databases/(default)/documents/m/$(request.auth.uid))"
    rules = STORAGE_FILE.format("2", f"match /{{p=**}} {{ allow get: if {text}; }}")
    assert storage(rules, "get", "a", uid="u1", stored=stored) is allowed


@pytest.mark.parametrize(("count", "allowed"), [(2, True), (3, False)])
def test_case_72_two_documents_for_storage(count: int, allowed: bool) -> None:
    text = " && ".join(
        f"firestore.get(/databases/(default)/documents/m/{i}).data.x == 1" for i in range(count)
    )
    rules = STORAGE_FILE.format("2", f"match /{{p=**}} {{ allow get: if {text}; }}")
    stored = {("m", str(i)): {"x": 1} for i in range(count)}
    assert storage(rules, "get", "a", stored=stored) is allowed


def test_storage_reaches_the_default_database_only() -> None:
    text = "firestore.exists(/databases/other/documents/m/1)"
    rules = STORAGE_FILE.format("2", f"match /{{p=**}} {{ allow get: if {text} || !{text}; }}")
    assert not storage(rules, "get", "a", stored={("m", "1"): {}})


@pytest.mark.parametrize("lookup", ["exists", "existsAfter"])
def test_a_path_with_an_empty_segment_is_no_document(lookup: str) -> None:
    missing = f"{lookup}(/databases/$(database)/documents/c/$(''))"
    assert not World(condition("get", missing), STORED).get().allowed
    assert not World(condition("get", f"!{missing}"), STORED).get().allowed
