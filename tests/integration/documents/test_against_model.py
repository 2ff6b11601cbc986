"""The store against a dictionary: same writes, same queries, same answers in the same order.

Queries run while indexes come and go at random moments, at the latest version and at past ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from baas.access.principal import OWNER
from baas.db.sqlite import SqliteDatabase
from baas.documents.apply import apply_write
from baas.documents.index_wishes import best_indexes
from baas.documents.indexes import FieldKind, IndexDefinition, IndexField, Scope
from baas.documents.options import DocumentOptions
from baas.documents.service import DocumentStore
from baas.errors import ApiError, InvalidArgument
from baas.model.canonical import canonicalize
from baas.model.document import Document
from baas.model.matching import document_comparator, matches
from baas.model.paths import DOCUMENT_ID, DatabaseId, DocumentName, FieldPath
from baas.model.query import (
    Aggregation,
    AggregationKind,
    CompositeFilter,
    Consistency,
    Cursor,
    Direction,
    FieldFilter,
    Filter,
    Operator,
    Order,
    Query,
)
from baas.model.values import Fields, GeoPoint, Reference, Timestamp, Value, Vector
from baas.model.write import (
    Commit,
    FieldTransform,
    Precondition,
    TransformKind,
    Write,
    WriteKind,
)
from baas.wire.json_values import encode_fields
from tests.integration.documents.helpers import OpenAccess

ROUNDS = int(os.environ.get("HOMEFIRE_MODEL_ROUNDS", "12"))
T = TypeVar("T")
COUNT = Aggregation("count", AggregationKind.COUNT)

COLLECTIONS = [("c",), ("c", "1", "c"), ("d", "x", "c"), ("d",)]
IDS = ["1", "2", "a", "b", "__id7__", "é"]
PATHS: list[FieldPath] = [("a",), ("b",), ("m", "x"), ("t",)]


class Model:
    """What the store should be: documents by name, and every version they ever had."""

    def __init__(self, database: DatabaseId) -> None:
        self.database = database
        self.documents: dict[DocumentName, Document] = {}
        self.versions: list[tuple[Timestamp, dict[DocumentName, Document]]] = []

    def commit(self, writes: tuple[Write, ...], now: Timestamp) -> None:
        for write in writes:
            after = apply_write(self.documents.get(write.name), write, now).after
            if after is None:
                self.documents.pop(write.name, None)
            else:
                self.documents[write.name] = after
        self.versions.append((now, dict(self.documents)))

    @staticmethod
    def run(documents: dict[DocumentName, Document], query: Query) -> list[Document]:
        canonical = canonicalize(query)
        compare = functools.cmp_to_key(document_comparator(canonical))
        found = sorted((d for d in documents.values() if matches(canonical, d)), key=compare)
        end = None if query.limit is None else query.offset + query.limit
        return found[query.offset : end]


# Generators. Plain random numbers by a seed: ten times as many cases in the same time as drawn structures,
# and a failure names the seed that repeats it.


class Chance:
    """Random documents, writes, queries and indexes of one database.

    ``narrow``: of few values in many documents, so that queries of several equalities find something.
    """

    def __init__(self, seed: int, database: DatabaseId) -> None:
        self.random = random.Random(seed)
        self.database = database
        self.narrow = seed % 3 == 0

    def one_of(self, *choices: T) -> T:
        return self.random.choice(choices)

    def often(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def some(self, choices: Sequence[T], most: int) -> list[T]:
        return self.random.sample(choices, self.random.randint(0, min(most, len(choices))))

    def value(self, depth: int = 0) -> Value:
        if self.narrow:
            return self.one_of(0, 1)
        if self.often(0.5):
            return self.random.choice(FEW)
        if self.often(0.6) or depth > 1:
            return self.random.choice(NASTY)
        if self.often():
            return [each for each in self.values(3, depth + 1) if type(each) is not list]
        return {self.one_of("x", "y", "é"): each for each in self.values(2, depth + 1)}

    def values(self, most: int, depth: int = 0) -> list[Value]:
        return [self.value(depth) for _ in range(self.random.randint(0, most))]

    def fields(self) -> Fields:
        fields: Fields = {}
        for field in ["a", "b", "m", "t"] if self.narrow else self.some(["a", "b", "m", "t"], 4):
            value = self.value()
            if field == "m" and self.often(0.8):
                value = {"x": value} if self.often(0.8) else {}
            if field == "t" and self.often(0.8):
                value = self.some([1, 2, "a", "b", None, {"x": 1}], 4)
            fields[field] = value
        return fields

    def name(self) -> DocumentName:
        if self.narrow:
            id_ = str(self.random.randrange(60))
            return DocumentName(self.database, (*self.one_of(("c",), ("d", "x", "c")), id_))
        segments = (*self.random.choice(COLLECTIONS), self.random.choice(IDS))
        return DocumentName(self.database, segments)

    def transform(self) -> FieldTransform:
        kind = self.random.choice(list(TransformKind))
        operand: Value = self.one_of(1, -1, 0.5, 2**62, float("nan"))
        if kind in (TransformKind.APPEND_MISSING, TransformKind.REMOVE_ALL):
            operand = self.some([1, "a", None, 1.0], 3)
        return FieldTransform(self.random.choice(PATHS), kind, operand)

    def write(self) -> Write:
        if self.often(0.2):
            return Write(WriteKind.DELETE, self.name())
        mask = tuple(self.some(PATHS, 3)) if self.often(0.3) else None
        transforms = tuple(self.transform() for _ in range(self.one_of(0, 0, 0, 1, 2)))
        exists = self.one_of(None, None, None, None, None, True, False)
        return Write(
            WriteKind.UPDATE, self.name(), self.fields(), mask, transforms, Precondition(exists)
        )

    def equalities(self) -> Filter:
        parts = [
            FieldFilter(path, Operator.ARRAY_CONTAINS, self.one_of(1, "a"))
            if path == ("t",)
            else FieldFilter(path, Operator.EQUAL, self.value())
            for path in self.random.sample(PATHS, self.random.randint(2, 3))
        ]
        return CompositeFilter("AND", tuple(parts))

    def filter(self, depth: int = 0) -> Filter:
        if self.narrow and depth == 0 and self.often(0.8):
            return self.equalities()
        if depth < 2 and self.often(0.3):
            parts = tuple(self.filter(depth + 1) for _ in range(self.random.randint(1, 3)))
            return CompositeFilter(self.one_of("AND", "AND", "OR"), parts)
        path = self.random.choice(PATHS)
        if self.often(0.1):
            op = self.one_of(Operator.EQUAL, Operator.LESS_THAN, Operator.GREATER_THAN_OR_EQUAL)
            return FieldFilter(DOCUMENT_ID, op, Reference(self.name().name))
        if self.often(0.35):
            return FieldFilter(path, Operator.EQUAL, self.one_of(1, "a", True, 2))
        op = self.random.choice(list(Operator))
        if op in (Operator.IN, Operator.NOT_IN, Operator.ARRAY_CONTAINS_ANY):
            return FieldFilter(path, op, [self.value(), *self.values(2)])
        if op.value.startswith("is-"):
            return FieldFilter(path, op)
        return FieldFilter(path, op, self.value())

    def query(self) -> Query:
        *parent, collection_id = self.random.choice(COLLECTIONS)
        group = self.often(0.4)
        if group:
            parent = list(self.one_of((), (), ("c", "1"), ("d", "x")))
            collection_id = self.one_of("c", "c", "c", "d", "")
        paths = self.some([*PATHS, DOCUMENT_ID], 1 if self.narrow else 3)
        if DOCUMENT_ID in paths:
            paths = paths[: paths.index(DOCUMENT_ID) + 1]
        orders = tuple(Order(path, self.random.choice(list(Direction))) for path in paths)
        return Query(
            self.database,
            tuple(parent),
            collection_id,
            all_descendants=group,
            where=self.filter() if self.often(0.8) else None,
            order_by=orders,
            start_at=self.cursor(orders),
            end_at=self.cursor(orders),
            offset=self.one_of(0, 0, 0, 1, 2),
            limit=self.one_of(None, None, 0, 1, 2, 5),
        )

    def cursor(self, orders: tuple[Order, ...]) -> Cursor | None:
        if not orders or self.often(0.7):
            return None
        values = tuple(
            Reference(self.name().name) if order.field_path == DOCUMENT_ID else self.value()
            for order in orders[: self.random.randint(0, len(orders))]
        )
        return Cursor(values, self.often())

    def definition(self) -> IndexDefinition:
        if self.narrow:  # one field, or one with an order behind it
            kind = self.one_of(FieldKind.ASCENDING, FieldKind.DESCENDING)
            first, second = self.random.sample(PATHS, 2)
            contained = first == ("t",) and self.often(0.8)
            head = IndexField(first, FieldKind.CONTAINS if contained else kind)
            chosen = (head, IndexField(second, kind)) if self.often() else (head,)
            return IndexDefinition("c", self.random.choice(list(Scope)), chosen)
        fields = [
            IndexField(path, self.random.choice(list(FieldKind))) for path in self.some(PATHS, 3)
        ]
        return IndexDefinition(
            self.one_of("c", "c", "d"),
            self.random.choice(list(Scope)),
            tuple(fields) or (IndexField(("a",)),),
        )


FEW: list[Value] = [None, False, True, 0, 1, 1.0, 2, "", "a", "b"]
NASTY: list[Value] = [
    *(float("nan"), -0.0, float("inf"), float("-inf"), 2**53, 2.0**53, 2**53 + 1, -(2**63)),
    *([1], [], [1, "a"], ["a", None], {}, {"x": 1}, {"x": None}, b"", b"\x00", b"\xff"),
    *(Timestamp(5), Timestamp(-5), "\x00", "a\x00", "é", "\U00010000", "\uffff"),
    *(GeoPoint(1.0, 2.0), GeoPoint(1.0, -2.0), Vector((1.0, 2.0)), Vector((3.0,))),
    *(
        Reference("projects/p/databases/d/documents/c/1"),
        Reference("projects/p/databases/d/documents/c/a"),
    ),
]


# The run


class Bench:
    """One store for all rounds, each in a database of its own."""

    def __init__(self, path: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.database = self.loop.run_until_complete(SqliteDatabase.open(path))
        self.store = DocumentStore(
            self.database, OpenAccess(), DocumentOptions(index_chunk=3, index_min_examined=0)
        )

    def close(self) -> None:
        self.loop.run_until_complete(self.database.close())
        self.loop.close()


@pytest.fixture(scope="module")
def bench(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    path = tmp_path_factory.mktemp("model") / "homefire.db"
    shutil.copy(migrated_file, path)
    made = Bench(path)
    yield made
    made.close()


async def act(store: DocumentStore, model: Model, chance: Chance) -> None:
    """Make one random commit, on both sides or on neither."""
    chosen = tuple(chance.write() for _ in range(chance.random.randint(1, 4)))
    try:
        result = await store.commit(Commit(model.database, chosen), OWNER)
    except ApiError:
        before = dict(model.documents)
        with pytest.raises(ApiError):
            model.commit(chosen, Timestamp(1))
        model.documents = before
    else:
        model.commit(chosen, result.commit_time)


def whole(documents: Iterable[Document]) -> list[tuple[str, Timestamp, Timestamp, bytes]]:
    """All that there is to a document, in a form in which NaN equals itself."""
    return [
        (d.name.name, d.create_time, d.update_time, encode_fields(dict(sorted(d.fields.items()))))
        for d in documents
    ]


async def compare(store: DocumentStore, model: Model, query: Query, chance: Chance) -> None:
    """Ask both sides the same, now and at a past version."""
    try:
        expected = model.run(model.documents, query)
    except InvalidArgument:
        with pytest.raises(InvalidArgument):
            await store.run_query(query, OWNER)
        return
    result = await store.run_query(query, OWNER)
    assert whole(result.documents) == whole(expected)
    if chance.often(0.3):
        counted = await store.run_aggregation(query, [COUNT], OWNER)
        assert counted.values == {"count": len(expected)}
    if model.versions and chance.often(0.3):
        version, then = chance.random.choice(model.versions[-6:])
        past = await store.run_query(query, OWNER, consistency=Consistency(read_time=version))
        assert whole(past.documents) == whole(model.run(then, query))


async def index(store: DocumentStore, model: Model, query: Query, chance: Chance) -> None:
    """Let an index begin, go on for a while, or go."""
    move = chance.one_of("wish", "wish", "any", "step", "step", "finish", "finish", "drop")
    indexes = store.indexes
    if move == "wish":
        with contextlib.suppress(InvalidArgument):
            for definition in best_indexes(canonicalize(query), joined=chance.often()):
                await indexes.request(model.database, definition, "test")
    elif move == "any" or (move == "drop" and chance.narrow):
        await indexes.request(model.database, chance.definition(), "test")
    elif move == "step":
        await indexes.step()
    elif move == "finish":
        await indexes.finish()
    else:
        known = await indexes.list(model.database)
        if known:
            await indexes.drop(model.database, chance.random.choice(known).id)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_the_store_answers_as_a_dictionary_would(bench: Bench, seed: int) -> None:
    """Each round makes some 100 commits and 250 queries, with indexes moving between them."""
    model = Model(DatabaseId(f"p{seed}"))
    chance = Chance(seed, model.database)

    async def play() -> None:
        for _ in range(30):
            for _ in range(3):
                await act(bench.store, model, chance)
            for _ in range(4):
                query = chance.query()
                await compare(bench.store, model, query, chance)
                await index(bench.store, model, query, chance)
                await compare(bench.store, model, query, chance)
        await bench.store.indexes.finish()

    bench.loop.run_until_complete(play())
