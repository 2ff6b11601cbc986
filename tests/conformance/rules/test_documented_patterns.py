"""The ways to secure queries that Firebase's documentation teaches, with queries that must pass and others.

Roles, groups, ranges, limits, times, claims and lookups, as on the pages about conditions, queries, fields,
role-based access and collection groups.
"""

from __future__ import annotations

from typing import Any

import pytest

from rules.request import Filter, Or
from rules.types import Timestamp
from tests.conformance.rules.world import NOW, World, document_name, where

HOUR = 3600
STORED: dict[str, dict[str, Any]] = {
    "users/u1": {"admin": True, "teams": ["t1"], "role": "editor"},
    "admins/u1": {},
    "rooms/r1": {"members": ["u1"], "open": True, "roles": {"u1": "reader"}},
    "rooms/r2": {"members": ["u2"], "open": False, "roles": {}},
}
CLAIMS = {"org": "acme", "groups": ["a", "b"], "level": 3, "email_verified": True}
ROLES = """
    function signedIn() { return request.auth != null; }
    function roleOf(room) { return room.data.roles[request.auth.uid]; }
    function hasRole(room, roles) { return signedIn() && (roleOf(room) in roles); }
    function user() { return get(/databases/$(database)/documents/users/$(request.auth.uid)); }
    function owns(document) { let owner = document.data.owner; return owner == request.auth.uid; }
    function recent(age) { return resource.data.at > request.time - duration.value(age, 'h'); }
"""


def after(seconds: int) -> Timestamp:
    return Timestamp(NOW.total_nanos + seconds * 1_000_000_000)


def listing(rule: str, match: str) -> str:
    return (
        "rules_version = '2';\nservice cloud.firestore {\n"
        f"  match /databases/{{database}}/documents {{\n{ROLES}\n"
        f"    match {match} {{ allow list: if {rule}; }}\n  }}\n}}"
    )


def allowed(rule: str, *filters: Filter, match: str = "/c/{id}", **query: Any) -> bool:
    world = World(listing(rule, match), STORED, "u1", CLAIMS)
    return world.query(*filters, **query).allowed


PASSING: list[tuple[str, list[Filter]]] = [
    ("resource.data.public", [where("public", "==", True)]),
    ("!resource.data.hidden", [where("hidden", "==", False)]),
    ("resource.data.owner != null", [where("owner", "==", "x")]),
    ("resource.data.owner != null", [where("owner", "!=", "x")]),
    ("owns(resource)", [where("owner", "==", "u1")]),
    ("owns(resource) || user().data.admin", []),
    ("user().data.role in ['editor', 'admin']", []),
    ("exists(/databases/$(database)/documents/admins/$(request.auth.uid))", []),
    ("resource.data.team in user().data.teams", [where("team", "==", "t1")]),
    ("resource.data.n == 1", [where("n", "==", 1)]),
    ("resource.data.n >= 1 && resource.data.n < 10", [where("n", ">=", 1), where("n", "<", 10)]),
    ("resource.data.n > 0 && resource.data.n <= 9", [where("n", ">=", 1), where("n", "<", 9)]),
    ("resource.data.n > 0", [where("n", "in", [1, 2])]),
    ("resource.data.name >= 'a'", [where("name", ">=", "a"), where("name", "<", "b")]),
    ("resource.data.name.size() < 10 && resource.data.name.matches('a.*')",
     [where("name", "in", ["ab", "ac"])]),
    ("recent(1)", [where("at", ">", after(-HOUR))]),
    ("recent(1)", [where("at", ">=", after(-60))]),
    ("resource.data.at <= request.time", [where("at", "<=", NOW)]),
    ("request.time < resource.data.until", [where("until", ">", NOW)]),
    ("resource.data.at > timestamp.date(2020, 1, 1)", [where("at", "==", NOW)]),
    ("resource.data.org == request.auth.token.org", [where("org", "==", "acme")]),
    ("resource.data.group in request.auth.token.groups", [where("group", "in", ["a", "b"])]),
    ("request.auth.token.groups.hasAny([resource.data.group])", [where("group", "==", "a")]),
    ("resource.data.level <= request.auth.token.level", [where("level", "<=", 3)]),
    ("request.auth.token.email_verified && resource.data.owner == request.auth.uid",
     [where("owner", "==", "u1"), where("n", ">", 1)]),
    ("request.auth.uid in resource.data.members", [where("members", "array-contains", "u1")]),
    ("resource.data.members.hasAny([request.auth.uid])",
     [where("members", "array-contains", "u1")]),
    ("resource.data.members.hasAll(['u1'])", [where("members", "array-contains", "u1")]),
    ("resource.data.tags.hasAny(['x', 'y'])", [where("tags", "array-contains-any", ["x", "y"])]),
    ("resource.data.status in ['open', 'done']", [where("status", "in", ["open", "done"])]),
    ("resource.data.status != 'draft'", [where("status", "not-in", ["draft", "gone"])]),
    ("resource.data.owner == request.auth.uid || resource.data.public == true",
     [Or((where("owner", "==", "u1"), where("public", "==", True)))]),
    ("hasRole(resource, ['owner', 'reader'])", [where("roles.u1", "==", "reader")]),
    ("hasRole(resource, ['owner', 'reader'])", [where("roles.u1", "in", ["owner", "reader"])]),
    ("'owner' in resource.data && 'n' in resource.data",
     [where("owner", "==", "x"), where("n", ">", 1)]),
    ("resource.data.keys().hasAll(['owner'])", [where("owner", "==", "x")]),
    ("resource.data.get('owner', '') == 'u1'", [where("owner", "==", "u1")]),
    ("resource.data.get(['address', 'city'], '') == 'x'", [where("address.city", "==", "x")]),
    ("resource.data['owner'] == request.auth.uid", [where("owner", "==", "u1")]),
    ("resource.data.address.city == 'x'", [where("address", "==", {"city": "x"})]),
    ("get(/databases/$(database)/documents/rooms/$(resource.data.room)).data.open",
     [where("room", "==", "r1")]),
    ("request.auth.uid in get(/databases/$(database)/documents/rooms/$(resource.data.room))"
     ".data.members", [where("room", "==", "r1")]),
    ("resource.data.ref == /databases/$(database)/documents/rooms/r1",
     [where("ref", "==", document_name("rooms/r1"))]),
    ("resource.data.kind is string", [where("kind", ">", "a")]),
    ("resource.data.n is number", [where("n", ">", 1)]),
    ("resource.data.parent == null", [where("parent", "is-null")]),
    ("resource.data.parent != null", [where("parent", "is-not-null")]),
    ("request.auth != null ? resource.data.owner == request.auth.uid : false",
     [where("owner", "==", "u1")]),
]  # fmt: skip
REFUSED: list[tuple[str, list[Filter]]] = [
    ("resource.data.public", []),
    ("owns(resource)", [where("owner", "in", ["u1", "u2"])]),
    ("owns(resource)", [where("n", "==", 1)]),
    ("resource.data.team in user().data.teams", [where("team", "in", ["t1", "t2"])]),
    ("resource.data.n >= 1 && resource.data.n < 10", [where("n", ">=", 1)]),
    ("recent(1)", [where("at", ">", after(-2 * HOUR))]),
    ("resource.data.group in request.auth.token.groups", [where("group", "in", ["a", "c"])]),
    ("resource.data.members.hasAll(['u1', 'u2'])", [where("members", "array-contains", "u1")]),
    ("resource.data.members.hasOnly(['u1'])", [where("members", "array-contains", "u1")]),
    ("resource.data.status != 'draft'", [where("status", "not-in", ["gone"])]),
    ("resource.data.owner == request.auth.uid || resource.data.public == true",
     [Or((where("owner", "==", "u1"), where("n", "==", 1)))]),
    ("hasRole(resource, ['owner'])", [where("roles.u1", "in", ["owner", "reader"])]),
    ("resource.data.keys().hasOnly(['owner'])", [where("owner", "==", "x")]),
    ("resource.data.size() < 5", [where("owner", "==", "x")]),
    ("resource.data.n in [1, 2]", [where("n", "==", 1)]),  # a stored 1.0 is found, and is not in it
]  # fmt: skip


@pytest.mark.parametrize(("rule", "filters"), PASSING)
def test_a_query_that_asks_only_for_what_is_allowed_passes(rule: str, filters: list[Any]) -> None:
    assert allowed(rule, *filters)


@pytest.mark.parametrize(("rule", "filters"), REFUSED)
def test_a_query_that_could_find_more_is_refused(rule: str, filters: list[Any]) -> None:
    assert not allowed(rule, *filters)


@pytest.mark.parametrize(("room", "verdict"), [("r1", True), ("r2", False)])
@pytest.mark.parametrize(
    "rule",
    [
        "hasRole(get(/databases/$(database)/documents/rooms/$(room)), ['owner', 'reader'])",
        "request.auth.uid in get(/databases/$(database)/documents/rooms/$(room)).data.members",
    ],
)
def test_a_subcollection_is_listed_by_what_its_parent_says(
    rule: str, room: str, verdict: bool
) -> None:
    found = allowed(rule, match="/rooms/{room}/posts/{id}", collection=f"rooms/{room}/posts")
    assert found is verdict


@pytest.mark.parametrize(("limit", "verdict"), [(10, True), (11, False), (None, False)])
def test_a_list_is_allowed_up_to_a_limit(limit: int | None, verdict: bool) -> None:
    assert allowed("request.query.limit <= 10", limit=limit) is verdict


@pytest.mark.parametrize(
    ("rule", "filters", "verdict"),
    [
        ("request.auth != null", [], True),
        ("resource.data.public == true", [where("public", "==", True)], True),
        ("resource.data.public == true", [], False),
        ("owns(resource)", [where("owner", "==", "u1")], True),
        ("request.auth.uid in resource.data.members",
         [where("members", "array-contains", "u1")], True),
    ],
)  # fmt: skip
def test_a_collection_group_is_proven_like_a_collection(
    rule: str, filters: list[Any], verdict: bool
) -> None:
    found = allowed(rule, *filters, match="/{path=**}/c/{id}", all_descendants=True)
    assert found is verdict
