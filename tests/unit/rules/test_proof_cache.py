"""A query that was proven once is not judged again, unless something could make the verdict another."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import (
    Auth,
    FieldFilter,
    ListRequest,
    NoLookups,
    Resource,
    Ruleset,
    Timestamp,
    compile_rules,
)
from tests.unit.rules.generated import NOW, conditions, filters


def listing(condition: str) -> Ruleset:
    return compile_rules(
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents {\n"
        "function pass(x) { let y = x; return y; }\n"
        f"match /c/{{d}} {{ allow list: if {condition}; }}\n"
        "match /p/{parent}/c/{d} { allow list: if parent == 'open'; } } }"
    )


def asked(rules: Ruleset, auth: Auth | None = None, lookups: Any = None, **query: Any) -> bool:
    """Whether a query of `/c` is allowed, the same each time that it is asked."""
    request = ListRequest(**{"parent": (), "collection": "c", "time": NOW, "auth": auth, **query})
    verdicts = {rules.prove(request, lookups or NoLookups()).allowed for _ in range(3)}
    assert len(verdicts) == 1
    return verdicts.pop()


def owner_is(value: Any) -> FieldFilter:
    return FieldFilter(("owner",), "==", value)


def test_users_are_told_apart_where_the_rules_tell_them_apart() -> None:
    rules = listing("resource.data.owner == request.auth.uid")
    assert asked(rules, Auth("u1"), filters=owner_is("u1"))
    assert not asked(rules, Auth("u2"), filters=owner_is("u1"))
    assert not asked(rules, None, filters=owner_is("u1"))


def test_users_are_told_apart_by_claims() -> None:
    rules = listing("request.auth.token.role == 'admin'")
    assert asked(rules, Auth("u1", {"role": "admin"}))
    assert not asked(rules, Auth("u1", {"role": "user"}))
    assert not asked(rules, Auth("u1"))


def test_users_are_told_apart_by_any_claim_that_a_rule_could_find() -> None:
    rules = listing("request.auth.token.get('level', 0) is int")
    assert asked(rules, Auth("u1", {"level": 1}))
    assert not asked(rules, Auth("u1", {"level": 1.0}))
    assert not asked(rules, Auth("u1", {"level": True}))


def test_equal_values_of_different_types_are_different_queries() -> None:
    rules = listing("resource.data.owner == true")
    assert asked(rules, filters=owner_is(True))
    assert not asked(rules, filters=owner_is(1))
    assert not asked(rules, filters=owner_is(1.0))


def test_the_place_of_a_query_counts() -> None:
    rules = listing("true")
    assert asked(rules, parent=("p", "open"))
    assert not asked(rules, parent=("p", "shut"))
    assert not asked(rules, collection="e")


def test_limit_and_order_count() -> None:
    rules = listing("request.query.limit <= 10 && request.query.orderBy.n == 'ASC'")
    assert asked(rules, limit=10, order_by=((("n",), "ASC"),))
    assert not asked(rules, limit=11, order_by=((("n",), "ASC"),))
    assert not asked(rules, limit=10, order_by=((("n",), "DESC"),))


def test_a_rule_that_reads_the_time_is_judged_each_time() -> None:
    rules = listing("request.time < timestamp.date(2030, 1, 1)")
    assert asked(rules, time=NOW)
    assert not asked(rules, time=Timestamp.from_seconds(2_000_000_000))


def test_a_rule_that_looks_documents_up_is_judged_each_time() -> None:
    class Users(NoLookups):
        role = "admin"

        def get(self, database: str, path: tuple[str, ...]) -> Resource | None:
            return Resource({"role": self.role}, path)

    rules = listing("get(/databases/$(database)/documents/users/u1).data.role == 'admin'")
    users = Users()
    assert asked(rules, lookups=users)
    users.role = "user"
    assert not asked(rules, lookups=users)


def test_a_denial_that_was_kept_explains_itself_by_its_own_caller() -> None:
    rules = listing("request.auth != null && resource.data.n == 1")
    request = ListRequest((), "c", NOW, auth=Auth("u1", {"name": "first"}))
    rules.prove(request, NoLookups())
    kept = rules.prove(request._replace(auth=Auth("u2", {"name": "second"})), NoLookups())
    assert not kept.allowed
    assert [reason.outcome for reason in kept.reasons] == ["unknown"]
    assert "first" not in kept.message_dev()


CALLERS = (None, Auth("u1"), Auth("u2"), Auth("u1", {"a": 1}), Auth("u1", {"a": 1.0, "b": "u1"}))
OF_CALLER = (
    "request.auth == null",
    "request.auth.uid == resource.data.a",
    "request.auth.token.a == resource.data.a",
    "pass(request.auth).token.b == request.auth.uid",
    "request['auth'].uid == 'u1'",
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.tuples(conditions(1), st.sampled_from(OF_CALLER)).map(" || ".join),
    st.lists(st.tuples(st.sampled_from(CALLERS), filters()), min_size=2, max_size=6),
)
def test_a_ruleset_that_remembers_judges_like_a_new_one(
    condition: str, asked: list[tuple[Auth | None, Any]]
) -> None:
    remembering = listing(condition)
    for auth, root in asked * 2:
        query = ListRequest((), "c", NOW, auth=auth, filters=root)
        fresh = listing(condition).prove(query, NoLookups()).allowed
        assert remembering.prove(query, NoLookups()).allowed == fresh
