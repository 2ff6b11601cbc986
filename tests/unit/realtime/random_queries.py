"""Random documents and queries that often meet."""

from __future__ import annotations

import random

from baas.model.canonical import canonicalize
from baas.model.paths import DocumentName
from baas.model.query import (
    CompositeFilter,
    Cursor,
    Direction,
    FieldFilter,
    Filter,
    Operator,
    Order,
    Query,
)
from baas.model.values import Fields, Value
from tests.unit.realtime.memory import DATABASE, name

OWNERS = ("ann", "bob", "cyd")


def random_path(rng: random.Random) -> str:
    """A document of one of two collections, one of them nested, both of one group at times."""
    document = f"d{rng.randrange(8)}"
    return rng.choice((f"notes/{document}", f"rooms/r{rng.randrange(2)}/notes/{document}"))


def random_fields(rng: random.Random) -> Fields:
    """A few fields, some missing, some of changing type."""
    fields: Fields = {"n": rng.choice((0, 1, 2, 3, 2.0, None, "x"))}
    if rng.random() < 0.8:
        fields["owner"] = rng.choice(OWNERS)
    if rng.random() < 0.6:
        fields["tags"] = rng.sample(["a", "b", "c"], rng.randrange(3))
    if rng.random() < 0.5:
        fields["done"] = rng.random() < 0.5
    return fields


def random_query(rng: random.Random) -> Query:
    """A canonical query."""
    parent, group = rng.choice((((), False), (("rooms", "r1"), False), ((), True)))
    orders = _random_orders(rng)
    start_at = end_at = None
    if orders and orders[0].field_path == ("n",) and rng.random() < 0.3:
        start_at = Cursor((rng.randrange(3),), rng.random() < 0.5)
        if rng.random() < 0.5:
            end_at = Cursor((rng.randrange(2, 4),), rng.random() < 0.5)
    query = Query(
        DATABASE,
        parent,
        "notes",
        group,
        where=_random_filter(rng),
        order_by=orders,
        start_at=start_at,
        end_at=end_at,
        limit=rng.choice((None, None, 0, 1, 2, 3, 5)),
        offset=rng.choice((0, 0, 0, 1, 2)),
    )
    return canonicalize(query)


def random_names(rng: random.Random) -> tuple[DocumentName, ...]:
    """One document, or a few."""
    return tuple({name(random_path(rng)) for _ in range(rng.choice((1, 1, 1, 3)))})


def _random_orders(rng: random.Random) -> tuple[Order, ...]:
    if rng.random() < 0.5:
        return ()
    direction = rng.choice(list(Direction))
    return (Order(rng.choice((("n",), ("owner",))), direction),)


def _random_filter(rng: random.Random) -> Filter | None:
    if rng.random() < 0.25:
        return None
    parts: list[Filter] = [_random_condition(rng)]
    if rng.random() < 0.3:
        return CompositeFilter("OR", (parts[0], FieldFilter(("done",), Operator.EQUAL, True)))
    if rng.random() < 0.4:
        parts.append(FieldFilter(("done",), Operator.EQUAL, rng.random() < 0.5))
    return CompositeFilter("AND", tuple(parts))


def _random_condition(rng: random.Random) -> FieldFilter:
    conditions: list[tuple[str, Operator, Value]] = [
        ("owner", Operator.EQUAL, rng.choice(OWNERS)),
        ("owner", Operator.IN, list(rng.sample(OWNERS, 2))),
        ("owner", Operator.NOT_EQUAL, "bob"),
        ("n", Operator.GREATER_THAN, rng.randrange(3)),
        ("n", Operator.EQUAL, 2),
        ("tags", Operator.ARRAY_CONTAINS, "a"),
        ("tags", Operator.ARRAY_CONTAINS_ANY, ["b", "c"]),
        ("n", Operator.IS_NULL, None),
    ]
    field, op, value = rng.choice(conditions)
    return FieldFilter((field,), op, value)
