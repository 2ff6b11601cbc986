"""The table of section 6 of the rules reference: which queries are proven under which rules."""

from __future__ import annotations

from typing import Any

import pytest

from rules import FieldFilter, Or, Timestamp
from tests.conformance.rules.world import NOW, World, condition, document_name, where

OWNER = "resource.data.owner == request.auth.uid"
PUBLIC = "resource.data.public == true"
AGE = "resource.data.age >= 18"
MEMBER = "request.auth.uid in resource.data.members"
EITHER = "resource.data.published == true || resource.data.author == request.auth.uid"
OPEN_ORG = "get(/databases/$(database)/documents/orgs/$(resource.data.org)).data.open == true"
EARLIER = Timestamp.from_seconds(NOW.seconds - 60)

NAME = "__name__"


def named(path: str) -> FieldFilter:
    return FieldFilter((NAME,), "==", document_name(path))


def exists(count: int) -> str:
    return " && ".join(f"exists(/databases/$(database)/documents/p/{i})" for i in range(count))


STORED: dict[str, Any] = {
    "c/mine": {"owner": "u1"},
    "c/theirs": {"owner": "u2"},
    "c/one": {},
    "c/two": {},
    "orgs/o1": {"open": True},
    "orgs/o2": {"open": False},
    **{f"p/{i}": {} for i in range(25)},
}

ROWS: list[tuple[int, str, list[Any], dict[str, Any], bool]] = [
    (1, "true", [], {}, True),
    (1, "true", [where("a", ">", 1)], {"limit": 3}, True),
    (2, "request.auth != null", [], {}, True),
    (3, OWNER, [where("owner", "==", "u1")], {}, True),
    (4, OWNER, [], {}, False),
    (5, OWNER, [where("owner", "==", "u2")], {}, False),
    (6, OWNER, [where("owner", "in", ["u1"])], {}, True),
    (7, OWNER, [where("owner", "in", ["u1", "u2"])], {}, False),
    (8, OWNER, [where("owner", "==", "u1"), where("n", "==", 1)], {}, True),
    (9, OWNER, [named("c/mine")], {}, True),
    (9, OWNER, [named("c/theirs")], {}, False),
    (10, "d == 'one'", [named("c/one")], {}, True),
    (10, "d == 'one'", [named("c/two")], {}, False),
    (10, "d == 'one'", [], {}, False),
    (11, PUBLIC, [where("public", "==", True)], {}, True),
    (11, PUBLIC, [where("public", "==", False)], {}, False),
    (11, PUBLIC, [], {}, False),
    (12, "request.query.limit <= 2", [], {"limit": 2}, True),
    (12, "request.query.limit <= 2", [], {"limit": 3}, False),
    (12, "request.query.limit <= 2", [], {}, False),
    (13, "request.query.limit == null", [], {}, True),
    (13, "request.query.limit == null", [], {"limit": 1}, False),
    (14, "request.query.offset == 0", [], {}, True),
    (14, "request.query.offset == 0", [], {"offset": 1}, False),
    (15, "request.query.orderBy.n == 'ASC'", [], {"order_by": ((("n",), "ASC"),)}, True),
    (15, "request.query.orderBy.n == 'ASC'", [], {}, False),
    (16, "request.query.orderBy.size() == 0", [], {}, True),
    (16, "request.query.orderBy.size() == 0", [], {"order_by": ((("n",), "ASC"),)}, False),
    (22, AGE, [where("age", ">=", 18)], {}, True),
    (22, AGE, [where("age", ">", 20)], {}, True),
    (22, AGE, [where("age", "==", 30)], {}, True),
    (23, AGE, [where("age", ">=", 10)], {}, False),
    (23, AGE, [where("age", "<", 30)], {}, False),
    (23, AGE, [], {}, False),
    (23, "resource.data.age < 30", [where("age", "<", 30)], {}, True),
    (23, "resource.data.age < 30", [where("age", "<=", 30)], {}, False),
    (24, MEMBER, [where("members", "array-contains", "u1")], {}, True),
    (25, MEMBER, [where("members", "array-contains-any", ["u1"])], {}, True),
    (25, MEMBER, [where("members", "array-contains-any", ["u1", "u2"])], {}, False),
    (26, MEMBER, [where("owner", "==", "u1")], {}, False),
    (27, "resource.data.status in ['a','b']", [where("status", "==", "a")], {}, True),
    (27, "resource.data.status in ['a','b']", [where("status", "in", ["a", "b"])], {}, True),
    (27, "resource.data.status in ['a','b']", [where("status", "in", ["a", "c"])], {}, False),
    (28, "resource.data.status != 'x'", [where("status", "==", "a")], {}, True),
    (28, "resource.data.status != 'x'", [where("status", "!=", "x")], {}, True),
    (28, "resource.data.status != 'x'", [], {}, False),
    (29, EITHER, [where("published", "==", True)], {}, True),
    (29, EITHER, [where("author", "==", "u1")], {}, True),
    (30, EITHER, [Or((where("published", "==", True), where("author", "==", "u1")))], {}, True),
    (30, EITHER, [Or((where("published", "==", True), where("author", "==", "u2")))], {}, False),
    (31, OPEN_ORG, [where("org", "==", "o1")], {}, True),
    (31, OPEN_ORG, [where("org", "==", "o2")], {}, False),
    (31, OPEN_ORG, [], {}, False),
    (32, OPEN_ORG, [where("org", ">", "a")], {}, False),
    (33, "exists(/databases/$(database)/documents/c/$(d))", [], {}, False),
    (35, exists(10), [], {}, True),
    (35, exists(20), [], {}, True),
    (35, exists(21), [], {}, False),
    (36, "!('hidden' in resource.data)", [], {}, False),
    (37, "resource.data.get('hidden', false) == false", [], {}, False),
    (38, "resource.data.kind is string", [where("kind", "==", "a")], {}, True),
    (38, "resource.data.kind is string", [], {}, False),
    (39, "resource.data.expires > request.time", [where("expires", ">", NOW)], {}, True),
    (39, "resource.data.expires > request.time", [where("expires", ">", EARLIER)], {}, False),
    (
        40,
        "resource.data.roles[request.auth.uid] == 'owner'",
        [where("roles.u1", "==", "owner")],
        {},
        True,
    ),
    (41, f"resource == null || {OWNER}", [], {}, False),
]


@pytest.mark.parametrize(("row", "rule", "filters", "more", "allowed"), ROWS)
def test_row(row: int, rule: str, filters: list[Any], more: dict[str, Any], allowed: bool) -> None:
    world = World(condition("list", rule), STORED, "u1")
    assert world.query(*filters, **more).allowed is allowed


def test_row_2_signed_out() -> None:
    assert not World(condition("list", "request.auth != null")).query().allowed


def test_row_17_get_does_not_cover_queries() -> None:
    assert not World(condition("get", "true")).query().allowed


GROUP = {"all_descendants": True}
NESTED = condition("list", "true", match="/p/{x}/c/{d}")


def test_row_18_a_fixed_depth_grants_its_own_collection() -> None:
    assert World(NESTED).query(collection="p/1/c").allowed


def test_row_18_a_fixed_depth_does_not_grant_the_group() -> None:
    assert not World(NESTED).query(all_descendants=True).allowed


@pytest.mark.parametrize(
    ("filters", "allowed"), [([where("owner", "==", "u1")], True), ([], False)]
)
def test_row_19_a_group_by_owner(filters: list[Any], allowed: bool) -> None:
    world = World(condition("list", OWNER, match="/{path=**}/c/{d}"), {}, "u1")
    assert world.query(*filters, all_descendants=True).allowed is allowed


@pytest.mark.parametrize("more", [{}, {"all_descendants": True}])
def test_row_20_everything(more: dict[str, Any]) -> None:
    assert World(condition("list", "true", match="/{doc=**}")).query(**more).allowed


@pytest.mark.parametrize(("team", "allowed"), [("t1", True), ("t2", False)])
def test_row_34_a_role_by_the_parent(team: str, allowed: bool) -> None:
    text = "exists(/databases/$(database)/documents/teams/$(team)/members/$(request.auth.uid))"
    world = World(
        condition("list", text, match="/teams/{team}/c/{d}"), {"teams/t1/members/u1": {}}, "u1"
    )
    assert world.query(collection=f"teams/{team}/c").allowed is allowed


def test_row_42_a_second_statement_may_grant() -> None:
    rules = condition("list", "resource.data.a == 1; allow list: if resource.data.b == 2")
    assert World(rules).query(where("a", "==", 1)).allowed


KEYS = (
    "['allDescendants', 'distinct', 'groupBy', 'kind', 'limit', 'offset', 'orderBy', "
    "'parent', 'selectOnlyKeys']"
)
BELOW_P1 = "/databases/$(database)/documents/p/1"


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        (f"request.query.keys() == {KEYS} && request.query.size() == 9", {}),
        ("request.query.kind == 'c' && request.query.parent == null", {}),
        (f"request.query.parent == {BELOW_P1}", {"collection": "p/1/c"}),
        ("request.query.allDescendants == false && !('ancestor' in request.query)", {}),
        ("request.query.allDescendants && request.query.ancestor == null", GROUP),
        (f"request.query.ancestor == {BELOW_P1}", {"collection": "p/1/c", **GROUP}),
        ("!('parent' in request.query)", GROUP),
        ("request.query.orderBy == {'m.x y': 'DESC'}", {"order_by": ((("m", "x y"), "DESC"),)}),
        ("request.query.orderBy['__name__'] == 'ASC'", {"order_by": ((("__name__",), "ASC"),)}),
        ("!request.query.distinct && !request.query.selectOnlyKeys", {}),
        ("request.query.groupBy == {}", {}),
    ],
)
def test_the_undocumented_members_of_a_query(rule: str, more: dict[str, Any]) -> None:
    """As the official emulator has them; of production only their number is recorded."""
    assert World(condition("list", rule, match="/{path=**}/c/{d}"), {}, "u1").query(**more).allowed
