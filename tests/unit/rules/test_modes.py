"""A condition means the same in quick, counted and traced code, whatever is made one closure there."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import (
    FIRESTORE,
    Auth,
    Coverage,
    LazyMap,
    ListRequest,
    NoLookups,
    Request,
    Resource,
    Ruleset,
    compile_rules,
)
from tests.unit.rules.generated import NOW, VALUES, conditions, filters

USER = Auth("u1", {"sub": "u1"})
TENFOLD = " && ".join(["{0}()"] * 10)
BEYOND_THE_LIMIT = (
    f"function ten() {{ return {' && '.join(['true'] * 10)}; }}\n"
    f"function hundred() {{ return {TENFOLD.format('ten')}; }}\n"
    f"allow read, update: if false && {TENFOLD.format('hundred')};"
)
COMMON = (
    "resource.data.keys().hasOnly(['a', 'b'])",
    "resource.data.keys().hasAll(['a', 'm'])",
    "request.resource.data.keys().hasAny([resource.data.a, 'm'])",
    "request.resource.data.diff(resource.data).affectedKeys().hasOnly(['a', 'b'])",
    "request.resource.data.diff(resource.data).affectedKeys().hasAny(['a', resource.data.b])",
    "request.resource.data.diff(resource.data).affectedKeys().hasAll(['a'])",
    "resource.data.m.diff(request.resource.data.m).affectedKeys().hasAny(['x'])",
    "resource.data.a.size() < 2",
    "resource.data.get('a', resource.data.b) == 1",
    "resource.data.m.get('x', 2) != true",
    "'x' in resource.data.m",
    "same(resource.data.a, request.resource.data.a)",
    "same(request.auth.uid, resource.data.a)",
    "resource.data.data == request.resource.data.a",
)


def compiled(condition: str, more: str = "") -> Ruleset:
    return compile_rules(
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents {\n"
        "function pass(x) { let y = x; return y; }\n"
        "function same(x, y) { let a = x; let b = y; return a == b && !(a != b); }\n"
        f"match /c/{{d}} {{ allow read, update: if {condition}; {more} }} }} }}"
    )


def in_every_mode(condition: str) -> list[tuple[Ruleset, Coverage | None]]:
    plain, counted = compiled(condition), compiled(condition, BEYOND_THE_LIMIT)
    return [(plain, None), (plain, Coverage()), (counted, None)]


documents = st.dictionaries(st.sampled_from(("a", "b", "m")), st.sampled_from(VALUES), max_size=3)
anything = st.one_of(st.sampled_from(COMMON), conditions(1), conditions(2))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(anything, documents, documents)
def test_a_condition_and_its_negation_come_out_alike(
    condition: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    lazy = LazyMap(lambda: after, lambda value: value)
    request = Request(
        FIRESTORE, "update", ("c", "d"), NOW, auth=USER,
        resource=Resource(before, ("c", "d")), new_resource=Resource(lazy, ("c", "d")),
    )  # fmt: skip
    for text in (condition, f"!({condition})"):
        verdicts = {
            rules.evaluate(request, NoLookups(), coverage=coverage).allowed
            for rules, coverage in in_every_mode(text)
        }
        assert len(verdicts) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(anything, filters())
def test_a_query_is_proven_alike(condition: str, root: Any) -> None:
    query = ListRequest((), "c", NOW, auth=USER, filters=root)
    verdicts = {
        rules.prove(query, NoLookups(), coverage=coverage).allowed
        for rules, coverage in in_every_mode(condition)
    }
    assert len(verdicts) == 1
