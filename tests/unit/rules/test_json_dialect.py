"""The JSON dialect over documents: expressions, snapshots, field-level rights, validation, queries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rules import LatLng, Path, RulesCompileError, Timestamp, compile_rules
from tests.conformance.rules.world import NOW, World, document_name, where


def rules(tree: dict[str, Any]) -> str:
    return json.dumps({"rules": tree})


def reads(expression: str, data: dict[str, Any] | None = None, **more: Any) -> bool:
    """Whether `c/d`, holding `data`, may be read under a rule of its own."""
    stored = {} if data is None else {"c/d": data}
    tree = {"c": {"$d": {".read": expression}}}
    return World(rules(tree), {**stored, **more.pop("others", {})}, **more).get().allowed


TRUE = [
    "10 / 4 == 2.5",
    "-7 % 3 == -1",
    "'a' + 1 == 'a1' && 1.5 + 'a' == '1.5a'",
    "1 + 1 === 2 && 1 !== 2",
    "'1' != 1",
    "'abc'.contains('b') && 'abc'.beginsWith('a') && 'abc'.endsWith('c')",
    "'aXaX'.replace('X', '') == 'aa' && 'aB'.toLowerCase() == 'ab' && 'aB'.toUpperCase() == 'AB'",
    "'abcd'.length == 4",
    "'b' > 'a' && 2 >= 2",
    "'abc'.matches(/B/i) && 'abc'.matches(/^a[a-c]{2}$/) && !'abc'.matches(/^b/)",
    "'a/b'.matches(/^a\\/b$/) && '2020'.matches(/^\\d{4}$/)",
    "true ? 1 == 1 : 1 / 0 == 1",
    "auth == null && auth.uid == null && auth.token.x.y == null",
    "now == 1790000000123",
    "$d == 'd'",
    "!(null < 1) && !(null > 1)",
    "data.getPriority() == null",
    "data.child('missing').val() == null && !data.child('a/b/c').exists()",
    "data.child('n').isNumber() && data.child('s').isString() && data.child('t').isBoolean()",
    "data.child('n').val() == 1 && data.child('f').val() == 1.5",
    "data.child('m/x').val() == 'y' && data.hasChild('m/x') && data.child('m').hasChildren()",
    "data.hasChildren(['n', 's']) && !data.hasChildren(['n', 'zz'])",
    "data.child('l/1').val() == 'b' && data.child('l').hasChildren(['0', '1'])",
    "data.child('when').val() == 1000 && data.child('raw').val() == 'YQ=='",
    "data.child('ref').val() == '/databases/(default)/documents/a/b'",
    "data.child('place/latitude').val() == 1",
    "!data.child('none').exists() && !data.child('empty').exists()",
    "data.child('m').val() != null && data.child('m').parent().child('n').val() == 1",
    "root.child('c/d/n').val() == 1 && data.parent().child('other/x').val() == 2",
    "root.child('c').exists() && !root.child('nothing').exists()",
    "data.child('sub/s1/v').val() == 3",
]
DATA = {
    "n": 1, "f": 1.5, "s": "text", "t": True, "m": {"x": "y"}, "l": ["a", "b"], "none": None,
    "empty": {}, "when": Timestamp.from_seconds(1), "raw": b"a",
    "ref": Path.of_document("(default)", ("a", "b")),
    "place": LatLng(1.0, 2.0),
}  # fmt: skip
OTHERS = {"c/other": {"x": 2}, "c/d/sub/s1": {"v": 3}}


@pytest.mark.parametrize("expression", TRUE)
def test_an_expression_that_holds(expression: str) -> None:
    assert reads(expression, DATA, others=OTHERS)


FAILING = [
    "1 / 0 == 1 && data.child('n').val() > 'a'",
    "data.child('n').val() > 'a' || true",
    "data.child('n').val().contains('a') || true",
    "root.parent().exists() || true",
    "data.child('s').val()",
]


@pytest.mark.parametrize("expression", FAILING)
def test_an_error_fails_the_rule_and_is_not_absorbed(expression: str) -> None:
    assert not reads(expression, DATA)


REFUSED = [
    "nosuch == 1",
    "$other == 'a'",
    "data == null",
    "data.val() ? true : false",
    "!data.val()",
    "data.nosuch()",
    "data.child(1).exists()",
    "data.hasChildren([]) == true",
    "data.hasChildren([auth.uid]) == true",
    "'a'.matches('a')",
    "'a'.matches(/(?=a)/)",
    "'a'.matches(/a^b/)",
    "'a'.matches(/(a)\\1/)",
    "'a'.matches(/a/g)",
    "1 < 'a'",
    "'a' - 1 == 0",
    "now",
    "auth.uid = 'a'",
    "(((",
    "query.nosuch == 1",
]


@pytest.mark.parametrize("expression", REFUSED)
def test_an_expression_that_is_refused_at_load(expression: str) -> None:
    with pytest.raises(RulesCompileError):
        compile_rules(rules({"$d": {".read": expression}}))


@pytest.mark.parametrize("kind", [".write", ".validate"])
def test_query_is_known_to_reads_only(kind: str) -> None:
    with pytest.raises(RulesCompileError, match="query is not known"):
        compile_rules(rules({kind: "query.limitToFirst == 1"}))


@pytest.mark.parametrize(
    "tree",
    [
        {".reed": True},
        {".read": 1},
        {".read": None},
        {"a": 1},
        {"$a": {"$a": {}}},
        {"a.b": {}},
        {".indexOn": 5},
    ],
)
def test_a_tree_that_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(RulesCompileError):
        compile_rules(rules(tree))


def test_an_index_hint_is_no_permission() -> None:
    assert not World(rules({"c": {".indexOn": ["a", ".value"]}})).get().allowed


def test_an_issue_points_into_the_rule() -> None:
    with pytest.raises(RulesCompileError) as caught:
        compile_rules('{\n  "rules": {\n    ".read": "auth != null && nosuch"\n  }\n}')
    assert [(issue.line, issue.column) for issue in caught.value.issues[:1]] == [(3, 31)]


COUNTER = {
    "c": {
        "$d": {
            "likes": {
                ".write": "auth != null",
                ".validate": "newData.val() == data.val() + 1",
            },
            "title": {".validate": "newData.isString()"},
            "$other": {".validate": False},
        }
    }
}


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [({"likes": 2}, True), ({"likes": 5}, False), ({"likes": 2, "title": "x"}, False)],
)
def test_a_right_to_write_one_field(changes: dict[str, Any], allowed: bool) -> None:
    world = World(rules(COUNTER), {"c/d": {"likes": 1, "title": "a"}}, "u1")
    assert world.update(changes).allowed is allowed


def test_a_right_to_write_a_field_is_none_to_replace_the_document() -> None:
    world = World(rules(COUNTER), {"c/d": {"likes": 1}}, "u1")
    assert not world.replace({"likes": 2}).allowed


CHECKED = {"c": {"$d": {".write": True, **COUNTER["c"]["$d"]}}}


@pytest.mark.parametrize(
    ("fields", "allowed"), [({"title": "a"}, True), ({"title": 1}, False), ({"more": 1}, False)]
)
def test_a_set_validates_every_field(fields: dict[str, Any], allowed: bool) -> None:
    assert World(rules(CHECKED)).create(fields).allowed is allowed


def test_an_update_validates_what_it_touches_only() -> None:
    world = World(rules(CHECKED), {"c/d": {"title": 1, "likes": 1}})
    assert world.update({"likes": 2}).allowed


def test_a_removed_field_is_not_validated() -> None:
    assert World(rules(CHECKED), {"c/d": {"more": 1}}).update({"more": ...}).allowed


def test_validation_reaches_into_maps() -> None:
    tree = {"c": {"$d": {".write": True, "m": {"$k": {".validate": "newData.isNumber()"}}}}}
    assert World(rules(tree)).create({"m": {"a": 1}}).allowed
    assert not World(rules(tree)).create({"m": {"a": 1, "b": "x"}}).allowed


def test_validation_of_ancestors_sees_the_state_after() -> None:
    tree = {"c": {".write": True, ".validate": "newData.child('d/n').val() == 1"}}
    assert World(rules(tree)).create({"n": 1}).allowed
    assert not World(rules(tree)).create({"n": 2}).allowed


def test_new_data_climbs_through_the_whole_commit() -> None:
    rule = "newData.parent().parent().child('p/1/owner').val() == auth.uid"
    tree = {"c": {"$d": {".write": rule}}, "p": {".write": True}}
    world = World(rules(tree), uid="u1")
    assert [d.allowed for d in world.commit({"c/d": {}, "p/1": {"owner": "u1"}})] == [True, True]
    assert not world.create({}).allowed


def test_other_never_applies_to_subcollections() -> None:
    world = World(
        rules({"c": {"$d": {".write": True, "$other": {".validate": False}}}}), {"c/d/s/x": {}}
    )
    assert world.create({}).allowed


QUERIES: list[tuple[str, list[Any], dict[str, Any], bool]] = [
    ("query.limitToFirst <= 10", [], {"limit": 10}, True),
    ("query.limitToFirst <= 10", [], {"limit": 11}, False),
    ("query.limitToFirst <= 10", [], {}, False),
    (
        "query.orderByChild == 'owner' && query.equalTo == auth.uid",
        [where("owner", "==", "u1")],
        {},
        True,
    ),
    (
        "query.orderByChild == 'owner' && query.equalTo == auth.uid",
        [where("owner", "==", "u2")],
        {},
        False,
    ),
    ("query.equalTo == auth.uid", [where("owner", "==", "u1"), where("n", "==", 1)], {}, False),
    (
        "query.startAt == 1 && query.endAt == 5",
        [where("n", ">=", 1), where("n", "<=", 5)],
        {},
        True,
    ),
    (
        "query.orderByChild == 'm/x'",
        [],
        {
            "order_by": (
                (
                    (
                        "m",
                        "x",
                    ),
                    "ASC",
                ),
            )
        },
        True,
    ),
    ("query.orderByKey", [], {"order_by": ((("__name__",), "ASC"),)}, True),
]


@pytest.mark.parametrize(("rule", "filters", "more", "allowed"), QUERIES)
def test_query_members(rule: str, filters: list[Any], more: dict[str, Any], allowed: bool) -> None:
    world = World(rules({"c": {".read": rule}}), {}, "u1")
    assert world.query(*filters, **more).allowed is allowed


@pytest.mark.parametrize(("uid", "allowed"), [("u1", True), ("u2", False)])
def test_a_query_that_names_a_document_is_a_read_of_it(uid: str, allowed: bool) -> None:
    tree = {"c": {"$d": {".read": "data.child('owner').val() == auth.uid"}}}
    world = World(rules(tree), {"c/d": {"owner": "u1"}}, uid)
    assert world.query(where("__name__", "==", document_name("c/d"))).allowed is allowed


def test_lookups_are_counted() -> None:
    text = " && ".join(f"root.child('p/{i}').exists()" for i in range(11))
    stored = {f"p/{i}": {} for i in range(11)}
    assert not World(rules({"c": {"$d": {".read": text}}}), stored).get().allowed
    ten = text.rpartition(" && ")[0]
    assert World(rules({"c": {"$d": {".read": ten}}}), stored).get().allowed


def test_a_denial_says_which_part_decided() -> None:
    tree = {"c": {"$d": {".read": "auth != null && data.child('owner').val() == auth.uid"}}}
    (reason,) = World(rules(tree), {"c/d": {"owner": "u2"}}, "u1").get().reasons
    assert reason.expression == "data.child('owner').val() == auth.uid"
    assert reason.outcome == "false"


def test_the_time_of_a_decision_is_one() -> None:
    tree = {"c": {"$d": {".write": "newData.child('t').val() == now"}}}
    assert World(rules(tree)).create({"t": NOW}).allowed
