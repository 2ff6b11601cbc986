"""Cases 73 to 82 of the rules reference and the founding example's table: the JSON dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rules import RulesCompileError, compile_rules
from tests.conformance.rules.world import World, where

FOUNDING = """
// the founding example
{
  "rules": {
    "users": {
      "$uid": {
        ".read": "auth != null && auth.uid == $uid",  // one's own
        ".write": "auth != null && auth.uid == $uid"
      }
    },
    "posts": {
      ".read": true,
      "$postId": {
        /* only the author may change or delete */
        ".write": "auth != null && (!data.exists() || data.child('authorId').val() == auth.uid)"
      }
    }
  }
}
"""


def rules(tree: dict[str, Any]) -> str:
    return json.dumps({"rules": tree})


def world(
    tree: dict[str, Any], stored: dict[str, Any] | None = None, uid: str | None = None
) -> World:
    return World(rules(tree), stored, uid)


def test_case_73_a_grant_above_is_never_taken_away() -> None:
    assert world({".read": True, "a": {".read": False}}).get("a/x").allowed


VALIDATED = {"a": {"$d": {".write": True, ".validate": "newData.hasChild('n')"}}}


@pytest.mark.parametrize(("fields", "allowed"), [({"m": 1}, False), ({"n": 1}, True)])
def test_case_74_a_write_must_validate(fields: dict[str, Any], allowed: bool) -> None:
    assert world(VALIDATED).create(fields, "a/x").allowed is allowed


def test_case_74_a_delete_validates_nothing() -> None:
    assert world(VALIDATED, {"a/x": {"n": 1}}).delete("a/x").allowed


def test_case_74_a_partial_write_validates_the_merged_document() -> None:
    assert not world(VALIDATED, {"a/x": {}}).update({"m": 1}, "a/x").allowed


@pytest.mark.parametrize(("path", "allowed"), [("a/x", False), ("a/y", True)])
def test_case_75_a_literal_name_hides_the_wildcard(path: str, allowed: bool) -> None:
    tree = {"a": {"x": {".read": False}, "$k": {".read": True}}}
    assert world(tree).get(path).allowed is allowed


def test_case_75_a_wildcard_below_does_not_grant_the_collection() -> None:
    assert not world({"a": {"$k": {".read": True}}}).query(collection="a").allowed


def test_case_76_a_member_of_null_is_null() -> None:
    assert not world({"users": {"$uid": {".read": "auth.uid == $uid"}}}).get("users/u1").allowed


@pytest.mark.parametrize(("text", "allowed"), [("abc", True), ("ba", False)])
def test_case_77_a_regular_expression_searches(text: str, allowed: bool) -> None:
    tree = {"c": {"$d": {".write": True, "s": {".validate": "newData.val().matches(/^a/)"}}}}
    assert world(tree).create({"s": text}).allowed is allowed


def test_case_78_replace_replaces_all() -> None:
    rule = "newData.val().replace('a', 'b') == 'bbc'"
    tree = {"c": {"$d": {".write": True, "s": {".validate": rule}}}}
    assert world(tree).create({"s": "aac"}).allowed


@pytest.mark.parametrize(
    "source",
    [
        rules({".read": "newData.exists()"}),
        rules({".write": "data.val() && true"}),
        rules({"$a": {}, "$b": {}}),
        json.dumps({"rule": {}}),
    ],
)
def test_case_79_refused_at_load(source: str) -> None:
    with pytest.raises(RulesCompileError):
        compile_rules(source)


def test_case_80_comments_everywhere() -> None:
    source = '// first\n{ /* in */ "rules": { ".read": true // after\n } } // last\n'
    assert World(source).get("a/b").allowed


def test_case_80_text_after_the_root() -> None:
    with pytest.raises(RulesCompileError, match="Parse error"):
        compile_rules('{"rules": {".read": true}} more')


POST = {"posts/p": {"authorId": "u1"}}

READS = [
    ("users/u1", "u1", True),
    ("users/u1", "u2", False),
    ("users/u1", None, False),
    ("posts/p", None, True),
    ("posts/p/comments/c", None, True),
    ("users/u1/private/x", "u1", True),
    ("elsewhere/x", "u1", False),
]


@pytest.mark.parametrize(("path", "uid", "allowed"), READS)
def test_case_81_get(path: str, uid: str | None, allowed: bool) -> None:
    assert World(FOUNDING, {}, uid).get(path).allowed is allowed


QUERIES: list[tuple[str, str | None, list[Any], dict[str, Any], bool]] = [
    ("users", "u1", [], {}, False),
    ("users", "u1", [where("uid", "==", "u1")], {}, False),
    ("posts", None, [], {"order_by": ((("createdAt",), "DESC"),), "limit": 10}, True),
    ("posts", None, [where("authorId", "==", "x")], {}, True),
    ("posts/p/comments", None, [], {}, True),
    ("comments", "u1", [], {"all_descendants": True}, False),
]


@pytest.mark.parametrize(("collection", "uid", "filters", "more", "allowed"), QUERIES)
def test_case_81_query(
    collection: str, uid: str | None, filters: list[Any], more: dict[str, Any], allowed: bool
) -> None:
    asked = World(FOUNDING, {}, uid).query(*filters, collection=collection, **more)
    assert asked.allowed is allowed


@pytest.mark.parametrize("method", ["create", "update", "delete"])
@pytest.mark.parametrize(("uid", "allowed"), [("u1", True), ("u2", False), (None, False)])
def test_case_81_write_of_a_user(method: str, uid: str | None, allowed: bool) -> None:
    stored = {} if method == "create" else {"users/u1": {}}
    fields = None if method == "delete" else {"a": 1}
    assert World(FOUNDING, stored, uid).write(method, "users/u1", fields).allowed is allowed


def test_case_81_a_user_under_an_automatic_id_is_refused() -> None:
    assert not World(FOUNDING, {}, "u1").create({"uid": "u1"}, "users/Xa81bQ").allowed


@pytest.mark.parametrize(("uid", "allowed"), [("u1", True), (None, False)])
def test_case_81_create_a_post(uid: str | None, allowed: bool) -> None:
    assert World(FOUNDING, {}, uid).create({"authorId": "u9"}, "posts/p").allowed is allowed


@pytest.mark.parametrize("method", ["update", "delete"])
@pytest.mark.parametrize(("uid", "allowed"), [("u1", True), ("u2", False), (None, False)])
def test_case_81_change_a_post(method: str, uid: str | None, allowed: bool) -> None:
    fields = None if method == "delete" else {"authorId": "u1"}
    assert World(FOUNDING, POST, uid).write(method, "posts/p", fields).allowed is allowed


def test_case_81_a_post_without_an_author_belongs_to_nobody() -> None:
    assert not World(FOUNDING, {"posts/p": {}}, "u1").replace({}, "posts/p").allowed


def test_case_81_deleting_a_missing_post_is_allowed() -> None:
    assert World(FOUNDING, {}, "u1").delete("posts/p").allowed


@pytest.mark.parametrize(
    ("stored", "uid", "allowed"), [(POST, "u1", True), (POST, "u2", False), ({}, "u2", True)]
)
def test_case_81_write_a_comment(stored: dict[str, Any], uid: str, allowed: bool) -> None:
    assert World(FOUNDING, stored, uid).create({}, "posts/p/comments/c").allowed is allowed


def test_case_81_one_refused_write_of_a_batch() -> None:
    decisions = World(FOUNDING, {}, "u1").commit({"posts/p": {}, "users/u2": {}})
    assert [decision.allowed for decision in decisions] == [True, False]


def test_case_82_an_empty_document_exists() -> None:
    tree = {"c": {"$d": {".write": "!data.exists()"}}}
    assert not world(tree, {"c/d": {}}, "u2").replace({"a": 1}).allowed
