"""Whenever a query is proven, every document that it returns is allowed when judged as it is."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from rules import Auth, FieldFilter, ListRequest, Path, Resource, compile_rules
from tests.unit.rules.generated import NOW, VALUES, conditions, fields, filters
from tests.unit.rules.naive_matcher import MISSING, find, matches


def pool() -> list[dict[str, Any]]:
    """Documents to try each proven query on: every value in each field, and a fixed random mix."""
    chance = random.Random(1)
    singles = [{field: value} for field in ("a", "b", "m") for value in VALUES]
    mixed = [
        {field: chance.choice(VALUES) for field in ("a", "b", "m") if chance.random() < 0.8}
        for _ in range(200)
    ]
    return [{}, *singles, *mixed]


DOCUMENTS = pool()
orders = st.lists(
    st.tuples(fields.map(lambda name: tuple(name.split("."))), st.just("ASC")), max_size=1
)


class OneDocument:
    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def get(self, database: str, path: tuple[str, ...]) -> Resource | None:
        return Resource(self._data, path)

    def get_after(self, database: str, path: tuple[str, ...]) -> Resource | None:
        return self.get(database, path)

    def has_documents(self, database: str, collection: tuple[str, ...]) -> bool:
        return True

    def has_documents_after(self, database: str, collection: tuple[str, ...]) -> bool:
        return True


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(conditions(0), conditions(1), conditions(2)), filters(), orders)
def test_a_proven_query_returns_only_allowed_documents(
    condition: str, root: Any, order_by: list[tuple[tuple[str, ...], str]]
) -> None:
    rules = compile_rules(
        "rules_version='2'; service cloud.firestore { match /databases/{database}/documents { "
        "function pass(x) { let y = x; return y; } "
        f"match /c/{{d}} {{ allow list: if {condition}; }} }} }}"
    )
    query = ListRequest((), "c", NOW, auth=Auth("u1"), filters=root, order_by=tuple(order_by))
    proven = rules.prove(query, OneDocument({})).allowed
    event(f"proven: {proven}")
    for data in DOCUMENTS if proven else []:
        ordered = all(find(data, path) is not MISSING for path, _ in order_by)
        if not ordered or not matches(root, data):
            continue
        event("a document was judged")
        pinned = FieldFilter(("__name__",), "==", Path.of_document("(default)", ("c", "x")))
        alone = ListRequest((), "c", NOW, auth=Auth("u1"), filters=pinned, order_by=query.order_by)
        assert rules.prove(alone, OneDocument(data)).allowed, data
