"""Whenever a query is proven, every document that it returns is allowed when judged as it is."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from rules import (
    And,
    Auth,
    FieldFilter,
    ListRequest,
    Or,
    Path,
    Resource,
    Timestamp,
    compile_rules,
)
from tests.unit.rules.naive_matcher import MISSING, find, matches

NOW = Timestamp.from_seconds(1000)
FIELDS = ("a", "b", "m.x", "m")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 1.0, 2.5, -0.0, 2**53, 2**53 + 1, float(2**53), float("nan"),
    float("inf"), "", "a", "b", "u1", "\ufb00", "\U0001f600", b"a",
    NOW, Timestamp.from_seconds(900), [], [1], [1.0], ["a"], ["a", "u1"], [[1]], [float("nan")],
    {}, {"x": 1}, {"x": 1.0}, {"x": "a"}, {"x": None},
)  # fmt: skip
LITERALS = (
    "null", "true", "false", "0", "1", "2", "1.0", "2.5", "9007199254740992", "9007199254740993",
    "''", "'a'", "'b'", "'\\ufb00'", "'😀'", "request.auth.uid", "request.time",
    "request.time - duration.value(100, 's')", "[]", "[1]", "[1.0]", "['a']", "['a', 'u1']",
    "{}", "{'x': 1}", "{'x': 1.0}", "{'x': 'a'}", "'a'.toUtf8()", "d", "resource.id", "/a/b",
)  # fmt: skip
TYPES = ("int", "float", "number", "string", "list", "map", "bool", "timestamp", "bytes", "path")

values = st.sampled_from(VALUES)
fields = st.sampled_from(FIELDS)


@st.composite
def operands(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression of any type, mostly about the document."""
    shape = draw(st.integers(0, 13 if depth else 3))
    if shape <= 2:
        return f"resource.data.{draw(fields)}"
    if shape == 3:
        return f"({draw(st.sampled_from(LITERALS))})"
    one = draw(operands(depth - 1))
    other = draw(operands(depth - 1))
    return [
        f"resource.data.get('{draw(fields)}', {other})",
        f"resource.data.get(['m', 'x'], {other})",
        f"[{one}, {other}]",
        f"{{'x': {one}}}",
        f"({one} {draw(st.sampled_from('+-*/%'))} {other})",
        f"{one}.size()",
        f"{one}[0]",
        f"({draw(conditions(depth - 1))} ? {one} : {other})",
        f"pass({one})",
        draw(
            st.sampled_from(
                (
                    f"{one}.keys()",
                    f"{one}.toSet()",
                    f"{one}.values()",
                    f"-{one}",
                    f"string({one})",
                    f"int({one})",
                    f"{one}.diff({other}).affectedKeys()",
                    f"{one}.concat({other})",
                    f"{one}.removeAll({other})",
                    f"{one}.join(',')",
                    "resource.data",
                    "resource",
                )
            )
        ),
    ][shape - 4]


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    shape = draw(st.integers(0, 12 if depth else 6))
    if shape <= 6:
        one, other = draw(operands(max(0, depth - 1))), draw(operands(max(0, depth - 1)))
        key = draw(fields)
        return [
            f"{one} == {other}",
            f"{one} != {other}",
            f"{one} {draw(st.sampled_from(('<', '<=', '>', '>=')))} {other}",
            f"{one} in {other}",
            f"({one} is {draw(st.sampled_from(TYPES))})",
            f"'{key.partition('.')[0]}' in resource.data",
            f"{one}.{draw(st.sampled_from(('hasAny', 'hasAll', 'hasOnly')))}({other})",
        ][shape]
    one, other = draw(conditions(depth - 1)), draw(conditions(depth - 1))
    return [
        f"({one} && {other})",
        f"({one} || {other})",
        f"!({one})",
        f"!({one})",
        f"({one} ? {other} : {draw(conditions(depth - 1))})",
        f"({one}) == ({other})",
    ][shape - 7]


@st.composite
def filters(draw: st.DrawFn, depth: int = 2) -> Any:
    if depth and draw(st.integers(0, 2)) == 0:
        parts = tuple(draw(st.lists(filters(depth - 1), min_size=1, max_size=3)))
        return And(parts) if draw(st.booleans()) else Or(parts)
    path = tuple(draw(fields).split("."))
    op = draw(
        st.sampled_from(
            ("==", "==", "!=", "<", "<=", ">", ">=", "in", "not-in", "array-contains",
             "array-contains-any", "is-null", "is-nan", "is-not-null", "is-not-nan")
        )
    )  # fmt: skip
    if op in ("in", "not-in", "array-contains-any"):
        return FieldFilter(path, op, draw(st.lists(values, min_size=1, max_size=3)))
    return FieldFilter(path, op, None if op.startswith("is-") else draw(values))


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
orders = st.lists(st.tuples(fields, st.just("ASC")), max_size=1)


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
    condition: str, root: Any, order_by: list[tuple[str, str]]
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
        ordered = all(find(data, tuple(name.split("."))) is not MISSING for name, _ in order_by)
        if not ordered or not matches(root, data):
            continue
        event("a document was judged")
        pinned = FieldFilter(("__name__",), "==", Path.of_document("(default)", ("c", "x")))
        alone = ListRequest((), "c", NOW, auth=Auth("u1"), filters=pinned, order_by=query.order_by)
        assert rules.prove(alone, OneDocument(data)).allowed, data
