"""One place decides for every surface; without rules the answer is no."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

import rules
from baas.access.authorize import Authorizer
from baas.access.principal import ANONYMOUS, OWNER, Principal, PrincipalKind
from baas.access.releases import FIRESTORE, Release, Releases, service_of
from baas.errors import NotFound, PermissionDenied
from baas.model.canonical import canonicalize
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName, FieldPath
from baas.model.query import FieldFilter, Operator, Order, Query
from baas.model.values import Fields, GeoPoint, Reference, Timestamp
from baas.wire.json_values import encode_fields

DATABASE = DatabaseId("p")
NOW = Timestamp(1_800_000_000_000_000)
ADA = Principal(PrincipalKind.USER, uid="ada", claims={"sub": "ada"}, project="p")
OWN = """
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /posts/{post} {
      allow read: if resource.data.author == request.auth.uid;
      allow write: if get(/databases/$(database)/documents/members/$(request.auth.uid)).data.on;
    }
  }
}
"""


def name(path: str) -> DocumentName:
    return DocumentName(DATABASE, tuple(path.split("/")))


def document(path: str, **fields: object) -> Document:
    made: Fields = dict(fields)  # type: ignore[arg-type]
    return Document(name(path), NOW, NOW, fields=made)


def authorizer(source: str | None = OWN, **options: Any) -> Authorizer:
    releases = Releases()
    if source is not None:
        releases.release(None, FIRESTORE, Release(rules.compile_rules(source)))
    return Authorizer(releases, **options)


class State:
    """A database of these documents, as rules look into it."""

    def __init__(self, *documents: Document) -> None:
        self._documents = {each.name: each for each in documents}

    def get(self, name: DocumentName) -> Document | None:
        return self._documents.get(name)

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        return any(name.collection == collection for name in self._documents)


EMPTY = State()


def stored(path: str, **fields: Any) -> Document:
    """A document as it rests, which must not be decoded whole."""

    def decode(_: bytes) -> Fields:
        raise AssertionError("the whole document was decoded")

    return Document(name(path), NOW, NOW, encoded=encode_fields(fields), decode=decode)


def get(decider: Authorizer, principal: Principal, found: Document | None) -> None:
    decider.check_get(DATABASE, principal, name("posts/1"), found, EMPTY, NOW)


@dataclass(frozen=True)
class Change:
    name: DocumentName
    before: Document | None
    after: Document | None
    method: str
    mask: tuple[FieldPath, ...] | None = None


def test_the_live_ruleset_decides_a_get() -> None:
    get(authorizer(), ADA, document("posts/1", author="ada"))
    with pytest.raises(PermissionDenied):
        get(authorizer(), ADA, document("posts/1", author="bob"))


def test_a_signed_out_caller_has_no_auth() -> None:
    with pytest.raises(PermissionDenied):
        get(authorizer(), ANONYMOUS, document("posts/1", author="ada"))


def test_without_rules_everything_is_denied() -> None:
    with pytest.raises(PermissionDenied):
        get(authorizer(None), ADA, None)


def test_development_may_be_open_where_there_are_no_rules() -> None:
    get(authorizer(None, open_without_rules=True), ANONYMOUS, None)


def test_a_project_that_is_not_served_is_not_found() -> None:
    releases = Releases()
    releases.release(None, FIRESTORE, Release(rules.compile_rules('{"rules": {".read": true}}')))
    decider = Authorizer(releases, projects=frozenset({"other"}))
    with pytest.raises(NotFound):
        get(decider, ANONYMOUS, None)


def test_the_owner_is_not_asked() -> None:
    get(authorizer(None), OWNER, None)


@pytest.mark.parametrize(
    ("role", "allowed"), [("owner", True), ("editor", True), ("viewer", False)]
)
def test_a_service_account_writes_if_its_role_lets_it(role: str, allowed: bool) -> None:
    account = Principal(PrincipalKind.SERVICE_ACCOUNT, project="p", role=role)
    change = Change(name("posts/1"), None, document("posts/1"), "create")
    get(authorizer(None), account, None)
    if allowed:
        authorizer(None).check_commit(DATABASE, account, [change], EMPTY, EMPTY, NOW)
    else:
        with pytest.raises(PermissionDenied, match="read only"):
            authorizer(None).check_commit(DATABASE, account, [change], EMPTY, EMPTY, NOW)


def test_a_caller_of_another_project_is_denied_whatever_the_rules() -> None:
    stranger = Principal(PrincipalKind.USER, uid="ada", project="other")
    with pytest.raises(PermissionDenied):
        get(authorizer('{"rules": {".read": true}}'), stranger, None)


def test_production_does_not_say_why() -> None:
    with pytest.raises(PermissionDenied) as denied:
        get(authorizer(), ADA, document("posts/1", author="bob"))
    assert denied.value.message == "Missing or insufficient permissions."


def test_development_says_why() -> None:
    with pytest.raises(PermissionDenied, match="false for 'get' @ L6"):
        get(authorizer(explain=True), ADA, document("posts/1", author="bob"))


def test_a_query_is_proven_from_its_own_conditions() -> None:
    def query(author: str) -> Query:
        condition = FieldFilter(("author",), Operator.EQUAL, author)
        return canonicalize(Query(DATABASE, (), "posts", where=condition))

    authorizer().check_query(ADA, query("ada"), EMPTY, NOW)
    with pytest.raises(PermissionDenied):
        authorizer().check_query(ADA, query("bob"), EMPTY, NOW)


def test_rules_see_the_orders_that_were_asked_for() -> None:
    """Not those that a range implies."""
    unordered = OWN.replace(
        "resource.data.author == request.auth.uid", "request.query.orderBy.size() == 0"
    )
    condition = FieldFilter(("n",), Operator.GREATER_THAN, 1)
    query = Query(DATABASE, (), "posts", where=condition)
    authorizer(unordered).check_query(ADA, canonicalize(query), EMPTY, NOW)
    ordered = replace(query, order_by=(Order(("n",)),))
    with pytest.raises(PermissionDenied):
        authorizer(unordered).check_query(ADA, canonicalize(ordered), EMPTY, NOW)


def test_a_commit_is_judged_with_what_its_rules_look_up() -> None:
    change = Change(name("posts/1"), None, document("posts/1", author="ada"), "create")

    def members(on: bool) -> None:
        state = State(document("members/ada", on=on))
        authorizer().check_commit(DATABASE, ADA, [change], state, state, NOW)

    members(on=True)
    with pytest.raises(PermissionDenied):
        members(on=False)


def test_one_refused_change_refuses_the_commit() -> None:
    open_posts = '{"rules": {"posts": {".write": true}}}'
    changes = [
        Change(name(path), None, document(path, a=1), "create") for path in ("posts/1", "users/1")
    ]
    with pytest.raises(PermissionDenied):
        authorizer(open_posts).check_commit(DATABASE, ADA, changes, EMPTY, EMPTY, NOW)


def test_a_projects_own_release_goes_before_the_default() -> None:
    decider = authorizer('{"rules": {".read": true}}')
    closed = Release(rules.compile_rules('{"rules": {".read": false}}'))
    decider.releases.release("p", FIRESTORE, closed)
    with pytest.raises(PermissionDenied):
        get(decider, ADA, None)
    decider.releases.withdraw("p")
    get(decider, ADA, None)


def test_the_json_dialect_asks_whether_a_subcollection_has_documents() -> None:
    """A child that is no field of a document is tried as its subcollection."""
    rule = '{"rules": {"posts": {"$p": {".read": "!data.child(\'locks\').exists()"}}}}'
    post = document("posts/1", author="ada")
    locked = State(post, document("posts/1/locks/x"))
    authorizer(rule).check_get(DATABASE, ADA, post.name, post, State(post), NOW)
    with pytest.raises(PermissionDenied):
        authorizer(rule).check_get(DATABASE, ADA, post.name, post, locked, NOW)


@pytest.mark.parametrize(
    ("release", "service"),
    [
        ("cloud.firestore", "cloud.firestore"),
        ("cloud.firestore/named", "cloud.firestore"),
        ("firebase.storage/bucket", "firebase.storage"),
        ("cloud.firestore/", None),
        ("firebase.storage/a/b", None),
        ("cloud.datastore", None),
    ],
)
def test_release_names(release: str, service: str | None) -> None:
    assert service_of(release) == service


def list_rule(condition: str) -> str:
    return (
        "rules_version = '2'; service cloud.firestore { match /databases/{database}/documents {"
        f" match /posts/{{post}} {{ allow list: if {condition}; }} }} }}"
    )


POSTS = canonicalize(Query(DATABASE, (), "posts"))


def test_a_proof_ends_with_the_release_that_it_is_of() -> None:
    releases = Releases()
    decider = Authorizer(releases)
    releases.release(None, FIRESTORE, Release(rules.compile_rules(list_rule("true"))))
    decider.check_query(ADA, POSTS, EMPTY, NOW)
    releases.release(None, FIRESTORE, Release(rules.compile_rules(list_rule("false"))))
    with pytest.raises(PermissionDenied):
        decider.check_query(ADA, POSTS, EMPTY, NOW)


def test_a_proof_for_one_caller_says_nothing_of_another() -> None:
    decider = authorizer(list_rule("request.auth.uid == 'ada'"))
    decider.check_query(ADA, POSTS, EMPTY, NOW)
    with pytest.raises(PermissionDenied):
        decider.check_query(replace(ADA, uid="bob", claims={"sub": "bob"}), POSTS, EMPTY, NOW)


def test_a_proof_that_looked_at_the_clock_is_made_again() -> None:
    until = NOW.micros // 1_000 + 1
    decider = authorizer(list_rule(f"request.time.toMillis() < {until}"))
    decider.check_query(ADA, POSTS, EMPTY, NOW)
    with pytest.raises(PermissionDenied):
        decider.check_query(ADA, POSTS, EMPTY, Timestamp(NOW.micros + 2_000))


def test_a_proof_that_looked_at_a_document_is_made_again() -> None:
    decider = authorizer(list_rule("exists(/databases/$(database)/documents/members/ada)"))
    decider.check_query(ADA, POSTS, State(document("members/ada")), NOW)
    with pytest.raises(PermissionDenied):
        decider.check_query(ADA, POSTS, EMPTY, NOW)


def test_rules_open_only_the_fields_that_they_ask_for() -> None:
    text = {"body": "x" * 1000, "tags": ["a"]}
    get(authorizer(), ADA, stored("posts/1", author="ada", **text))
    with pytest.raises(PermissionDenied):
        get(authorizer(), ADA, stored("posts/1", author="eve", **text))


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        ({"a": {"b": [1]}}, "resource.data.v.a.b[0] == 1 && resource.data.v.keys() == ['a']"),
        ([NOW, None], "resource.data.v[0] == request.time && resource.data.v[1] == null"),
        (GeoPoint(1.0, 2.0), "resource.data.v.latitude() == 1"),
        (Reference("projects/p/databases/(default)/documents/a/b"),
         "resource.data.v == /databases/(default)/documents/a/b"),
        (b"a", "resource.data.v == 'a'.toUtf8() && resource.data.diff({}).addedKeys().size() == 1"),
    ],
)  # fmt: skip
def test_every_type_is_opened_as_the_rules_know_it(value: Any, condition: str) -> None:
    source = OWN.replace("resource.data.author == request.auth.uid", condition)
    for found in (stored("posts/1", v=value), document("posts/1", v=value)):
        get(authorizer(source), ADA, found)


def test_a_query_that_names_a_document_is_judged_by_what_it_holds_now() -> None:
    decider = authorizer()
    named = FieldFilter(("__name__",), Operator.EQUAL, Reference(name("posts/1").name))
    query = canonicalize(Query(DATABASE, (), "posts", where=named))
    decider.check_query(ADA, query, State(document("posts/1", author="ada")), NOW)
    with pytest.raises(PermissionDenied):
        decider.check_query(ADA, query, State(document("posts/1", author="eve")), NOW)
