from __future__ import annotations

from typing import Any

import pytest

from baas.errors import InvalidArgument
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import (
    Aggregation,
    AggregationKind,
    CompositeFilter,
    Consistency,
    Cursor,
    Direction,
    FieldFilter,
    Operator,
    Order,
    TransactionOptions,
)
from baas.model.values import Reference, Timestamp
from baas.model.watch import AddTarget, RemoveTarget
from baas.model.write import FieldTransform, Precondition, TransformKind, Write, WriteKind
from baas.wire.json_codec import (
    parse_aggregations,
    parse_batch_get,
    parse_batch_write,
    parse_begin_transaction,
    parse_commit,
    parse_consistency,
    parse_document,
    parse_list_collection_ids,
    parse_listen_request,
    parse_partition_query,
    parse_query,
    parse_rollback,
    parse_run_query,
    parse_write,
    parse_write_stream_request,
)
from tests.unit.model.strategies import DATABASE

ROOT = f"{DATABASE.name}/documents"
NAME = f"{ROOT}/t/a"
DOCUMENT = DocumentName(DATABASE, ("t", "a"))


def test_a_commit_as_the_web_client_sends_it() -> None:
    commit = parse_commit(
        {
            "writes": [
                {
                    "update": {"name": NAME, "fields": {"c": {"integerValue": "4"}}},
                    "updateMask": {"fieldPaths": ["c", "m.`\\`odd\\``"]},
                    "currentDocument": {"updateTime": "2026-11-21T23:34:19.748994000Z"},
                },
                {"verify": f"{ROOT}/t/b", "currentDocument": {"exists": False}},
            ]
        },
        DATABASE,
    )
    assert commit.database == DATABASE
    assert commit.writes == (
        Write(
            WriteKind.UPDATE,
            DOCUMENT,
            {"c": 4},
            (("c",), ("m", "`odd`")),
            precondition=Precondition(update_time=Timestamp(1795304059748994)),
        ),
        Write(
            WriteKind.VERIFY,
            DocumentName(DATABASE, ("t", "b")),
            precondition=Precondition(exists=False),
        ),
    )


class TestWrites:
    def test_an_empty_mask_is_not_an_absent_one(self) -> None:
        assert parse_write({"update": {"name": NAME}, "updateMask": {}}).mask == ()
        assert parse_write({"update": {"name": NAME}}).mask is None

    def test_transforms(self) -> None:
        write = parse_write(
            {
                "update": {"name": NAME},
                "updateTransforms": [
                    {"fieldPath": "a", "setToServerValue": "REQUEST_TIME"},
                    {"fieldPath": "b.c", "increment": {"doubleValue": 1.5}},
                    {"fieldPath": "d", "appendMissingElements": {"values": [{"nullValue": None}]}},
                    {"fieldPath": "e", "removeAllFromArray": {}},
                ],
            }
        )
        assert write.transforms == (
            FieldTransform(("a",), TransformKind.REQUEST_TIME),
            FieldTransform(("b", "c"), TransformKind.INCREMENT, 1.5),
            FieldTransform(("d",), TransformKind.APPEND_MISSING, [None]),
            FieldTransform(("e",), TransformKind.REMOVE_ALL, []),
        )

    def test_the_legacy_transform_is_an_update_that_sets_nothing_else(self) -> None:
        write = parse_write(
            {
                "transform": {
                    "document": NAME,
                    "fieldTransforms": [{"fieldPath": "a", "setToServerValue": 1}],
                }
            }
        )
        assert (write.kind, write.mask, write.fields) == (WriteKind.UPDATE, (), {})

    @pytest.mark.parametrize(
        ("raw", "message"),
        [
            ([], "must be an object"),
            ({}, "empty write operation"),
            ({"update": {"name": NAME}, "delete": NAME}, "only one of update, delete"),
            ({"update": {"fields": {}}}, "must have the name"),
            ({"update": {"name": f"{ROOT}/t"}}, "even number of segments"),
            ({"delete": "t/a"}, "must begin with projects"),
            ({"delete": NAME, "updateMask": {}}, "delete must not specify a document mask"),
            (
                {
                    "delete": NAME,
                    "updateTransforms": [{"fieldPath": "a", "increment": {"integerValue": 1}}],
                },
                "delete must not specify an update transform",
            ),
            ({"verify": NAME}, "verify must contain a precondition"),
            ({"update": {"name": NAME, "fields": {"a": {"b": 1}}}}, "Field a: 'b' is not a type"),
            ({"update": {"name": NAME}, "updateMask": {"fieldPaths": ["a..b"]}}, "Field path"),
            ({"update": {"name": NAME}, "updateMask": {"fieldPaths": ["__a__"]}}, "reserved"),
            ({"update": {"name": NAME}, "updateMask": {"fieldPaths": [1]}}, "array of strings"),
            (
                {"delete": NAME, "currentDocument": {"exists": True, "updateTime": "x"}},
                "only one of exists, updateTime",
            ),
            ({"update": {"name": NAME}, "updateTransforms": [{"fieldPath": "a"}]}, "what to do"),
            (
                {
                    "update": {"name": NAME},
                    "updateTransforms": [{"fieldPath": "a", "increment": {"stringValue": "1"}}],
                },
                "integer or a double",
            ),
            (
                {
                    "update": {"name": NAME},
                    "updateTransforms": [
                        {
                            "fieldPath": "a",
                            "appendMissingElements": {"values": [{"arrayValue": {}}]},
                        }
                    ],
                },
                "array cannot directly contain an array",
            ),
            (
                {
                    "update": {"name": NAME},
                    "updateTransforms": [{"fieldPath": "__name__", "setToServerValue": 1}],
                },
                "__name__",
            ),
            (
                {
                    "update": {"name": NAME},
                    "updateTransforms": [
                        {"fieldPath": "a", "setToServerValue": "SERVER_VALUE_UNSPECIFIED"}
                    ],
                },
                "setToServerValue must be given",
            ),
        ],
    )
    def test_refuses(self, raw: Any, message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            parse_write(raw)

    def test_refuses_to_transform_a_field_and_one_within_it(self) -> None:
        one = {"increment": {"integerValue": "1"}}
        transforms = [{"fieldPath": "a.b.c", **one}, {"fieldPath": "a", **one}]
        with pytest.raises(InvalidArgument, match="Cannot transform a and a field nested"):
            parse_write({"update": {"name": NAME}, "updateTransforms": transforms})

    def test_takes_repeated_transforms_of_one_field(self) -> None:
        transforms = [{"fieldPath": "a", "increment": {"integerValue": "1"}}] * 2
        assert (
            len(parse_write({"update": {"name": NAME}, "updateTransforms": transforms}).transforms)
            == 2
        )

    def test_refuses_documents_of_another_database(self) -> None:
        with pytest.raises(InvalidArgument, match="does not belong to the database"):
            parse_commit({"writes": [{"delete": NAME}]}, DatabaseId("other"))

    def test_a_batch_write_writes_each_document_once(self) -> None:
        with pytest.raises(InvalidArgument, match="more than once"):
            parse_batch_write({"writes": [{"delete": NAME}, {"delete": NAME}]}, DATABASE)


class TestUnknownNames:
    def test_are_refused_where_strict_and_named_with_their_place(self) -> None:
        with pytest.raises(InvalidArgument) as refused:
            parse_commit({"writes": [{"delete": NAME, "foo": 1}]}, DATABASE)
        assert refused.value.message == (
            "Invalid JSON payload received. Unknown name \"foo\" at 'writes[0]': Cannot find field."
        )

    def test_are_ignored_where_lenient(self) -> None:
        write = parse_write({"delete": NAME, "foo": 1}, strict=False)
        assert write == Write(WriteKind.DELETE, DOCUMENT)

    def test_the_names_of_the_proto_are_known_too(self) -> None:
        write = parse_write({"update": {"name": NAME}, "update_mask": {"field_paths": ["a"]}})
        assert write.mask == (("a",),)


class TestQueries:
    def test_a_whole_one(self) -> None:
        query = parse_query(
            f"{ROOT}/users/a",
            {
                "from": [{"collectionId": "c", "allDescendants": True}],
                "select": {"fields": [{"fieldPath": "a.b"}]},
                "where": {
                    "compositeFilter": {
                        "op": "OR",
                        "filters": [
                            {
                                "fieldFilter": {
                                    "field": {"fieldPath": "__name__"},
                                    "op": "EQUAL",
                                    "value": {"referenceValue": NAME},
                                }
                            },
                            {"unaryFilter": {"op": 3, "field": {"fieldPath": "n"}}},
                        ],
                    }
                },
                "orderBy": [
                    {"field": {"fieldPath": "a"}, "direction": "DESCENDING"},
                    {"field": {"fieldPath": "b"}},
                ],
                "startAt": {"values": [{"integerValue": 1}], "before": True},
                "endAt": {"values": []},
                "offset": 2,
                "limit": 0,
            },
        )
        assert query.parent == ("users", "a")
        assert (query.collection_id, query.all_descendants) == ("c", True)
        assert query.select == (("a", "b"),)
        assert query.where == CompositeFilter(
            "OR",
            (
                FieldFilter(("__name__",), Operator.EQUAL, Reference(NAME)),
                FieldFilter(("n",), Operator.IS_NULL),
            ),
        )
        assert query.order_by == (Order(("a",), Direction.DESCENDING), Order(("b",)))
        assert (query.start_at, query.end_at) == (Cursor((1,), True), Cursor((), False))
        assert (query.offset, query.limit) == (2, 0)

    @pytest.mark.parametrize(
        ("raw", "message"),
        [
            ({"from": [{"collectionId": "a"}, {"collectionId": "b"}]}, "more than one collection"),
            ({"where": {}}, "must be a fieldFilter"),
            ({"where": {"fieldFilter": {"op": "EQUAL"}}}, "must name a field"),
            (
                {"where": {"fieldFilter": {"field": {"fieldPath": "a"}, "op": "FOO"}}},
                "one of LESS_THAN",
            ),
            ({"where": {"fieldFilter": {"field": {"fieldPath": "a"}}}}, "Unknown FieldFilter"),
            (
                {"where": {"fieldFilter": {"field": {"fieldPath": "a"}, "op": "EQUAL"}}},
                "it is unset",
            ),
            (
                {
                    "where": {
                        "fieldFilter": {
                            "field": {"fieldPath": "a"},
                            "op": "IN",
                            "value": {"arrayValue": {}},
                        }
                    }
                },
                "non-empty ArrayValue",
            ),
            ({"where": {"compositeFilter": {"filters": []}}}, "AND or OR"),
            ({"limit": "many"}, "Invalid value at 'structuredQuery.limit'"),
            ({"limit": 2**31}, "32 bits"),
            ({"orderBy": {"field": {"fieldPath": "a"}}}, "an array is expected"),
            ({"orderBy": [{"field": {"fieldPath": "a b"}}]}, "Field path"),
            ({"fromm": []}, "Unknown name"),
            ({"findNearest": {"queryVector": {"integerValue": 1}}}, "must be a vector"),
        ],
    )
    def test_refuses(self, raw: Any, message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            parse_query(ROOT, raw)

    def test_refuses_filters_nested_without_end(self) -> None:
        condition: Any = {"unaryFilter": {"op": "IS_NULL", "field": {"fieldPath": "a"}}}
        for _ in range(400):
            condition = {"compositeFilter": {"op": "AND", "filters": [condition]}}
        with pytest.raises(InvalidArgument, match="nested at most 20"):
            parse_query(ROOT, {"where": condition})

    def test_a_collection_is_no_parent(self) -> None:
        with pytest.raises(InvalidArgument, match="Parent"):
            parse_query(f"{ROOT}/users", {})

    @pytest.mark.parametrize("op", ["IN", "NOT_IN", "ARRAY_CONTAINS_ANY"])
    def test_arrays_can_be_among_the_values_of_a_list(self, op: str) -> None:
        array = {"arrayValue": {"values": [{"integerValue": "1"}]}}
        several = {"arrayValue": {"values": [array, array]}}
        raw = {"fieldFilter": {"field": {"fieldPath": "a"}, "op": op, "value": several}}
        condition = parse_query(ROOT, {"where": raw}).where
        assert isinstance(condition, FieldFilter)
        assert condition.value == [[1], [1]]

    def test_an_empty_selection_is_not_an_absent_one(self) -> None:
        assert parse_query(ROOT, {"select": {}}).select == ()
        assert parse_query(ROOT, {"select": {"fields": []}}).select == ()
        assert parse_query(ROOT, {}).select is None


class TestVerifies:
    @pytest.mark.parametrize(
        "other", [{"verify": NAME}, {"delete": NAME}, {"update": {"name": NAME}}]
    )
    @pytest.mark.parametrize("verify_first", [True, False])
    def test_a_verified_document_can_be_in_no_other_write(
        self, other: dict[str, Any], verify_first: bool
    ) -> None:
        exists = {"currentDocument": {"exists": True}}
        writes = [{"verify": NAME, **exists}, {**other, **exists}]
        with pytest.raises(InvalidArgument, match="verified"):
            parse_commit({"writes": writes if verify_first else writes[::-1]}, DATABASE)


class TestAggregations:
    def test_without_alias_are_numbered_around_the_given_ones(self) -> None:
        field = {"field": {"fieldPath": "n"}}
        _, aggregations = parse_aggregations(
            ROOT,
            {
                "structuredQuery": {"from": [{"collectionId": "c"}]},
                "aggregations": [
                    {"count": {"upTo": "5"}},
                    {"alias": "field_2", "sum": field},
                    {"avg": field},
                ],
            },
        )
        assert aggregations == (
            Aggregation("field_1", AggregationKind.COUNT, up_to=5),
            Aggregation("field_2", AggregationKind.SUM, ("n",)),
            Aggregation("field_3", AggregationKind.AVG, ("n",)),
        )

    @pytest.mark.parametrize(
        "aggregations",
        [
            [],
            [{}],
            [{"count": {"upTo": 0}}],
            [{"sum": {}}],
            [{"alias": "a", "count": {}}, {"alias": "a", "count": {}}],
            [{"count": {}}] * 6,
            [{"alias": "__a__", "count": {}}],
            [{"sum": {"field": {"fieldPath": "__name__"}}}],
            [{"avg": {"field": {"fieldPath": "__name__"}}}],
        ],
    )
    def test_refuses(self, aggregations: list[Any]) -> None:
        with pytest.raises(InvalidArgument):
            parse_aggregations(ROOT, {"structuredQuery": {}, "aggregations": aggregations})


class TestListenRequests:
    def test_a_target_of_documents(self) -> None:
        request = parse_listen_request(
            {
                "database": DATABASE.name,
                "addTarget": {
                    "documents": {"documents": [NAME]},
                    "targetId": 3,
                    "resumeToken": "MA==",
                    "expectedCount": {"value": 2},
                    "once": True,
                },
                "labels": {"goog-listen-tags": "limbo-document"},
            }
        )
        assert isinstance(request, AddTarget)
        target = request.target
        assert (target.target_id, target.documents, target.once) == (3, (DOCUMENT,), True)
        assert (target.resume_token, target.expected_count) == (b"0", 2)
        assert request.labels == {"goog-listen-tags": "limbo-document"}

    def test_a_removal(self) -> None:
        assert parse_listen_request({"removeTarget": 6}, DATABASE) == RemoveTarget(DATABASE, 6)

    @pytest.mark.parametrize(
        "raw",
        [
            {},
            {"addTarget": []},
            {"addTarget": {"targetId": "x", "documents": {"documents": [NAME]}}},
            {"removeTarget": 2**40},
        ],
    )
    def test_refuses(self, raw: Any) -> None:
        with pytest.raises(InvalidArgument):
            parse_listen_request(raw, DATABASE)

    @pytest.mark.parametrize(
        "target",
        [
            {},
            {"documents": {"documents": []}},
            {"documents": {"documents": [NAME]}, "query": {}},
            {"documents": {"documents": [f"{ROOT}/__reserved__/x"]}},
            {"documents": {"documents": [NAME]}, "resumeToken": "%"},
            {"query": {"parent": f"{DatabaseId('q').name}/documents"}},
        ],
    )
    def test_a_malformed_target_carries_why(self, target: Any) -> None:
        request = parse_listen_request({"addTarget": {"targetId": 4, **target}}, DATABASE)
        assert isinstance(request, AddTarget)
        assert request.target.target_id == 4
        assert isinstance(request.target.refusal, InvalidArgument)

    def test_needs_a_database_and_one_only(self) -> None:
        with pytest.raises(InvalidArgument, match="must name its database"):
            parse_listen_request({"removeTarget": 1})
        with pytest.raises(InvalidArgument, match="addressed to"):
            parse_listen_request({"database": DATABASE.name, "removeTarget": 1}, DatabaseId("q"))


class TestOthers:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ({}, Consistency()),
            ({"transaction": "dA=="}, Consistency(transaction=b"t")),
            ({"transaction": ""}, Consistency()),
            ({"readTime": "1970-01-01T00:00:01Z"}, Consistency(read_time=Timestamp(1_000_000))),
            (
                {"newTransaction": {"readOnly": {}}},
                Consistency(new_transaction=TransactionOptions(read_only=True)),
            ),
            (
                {"newTransaction": {"readWrite": {"retryTransaction": "dA=="}}},
                Consistency(new_transaction=TransactionOptions(retry_transaction=b"t")),
            ),
        ],
    )
    def test_consistency(self, raw: Any, expected: Consistency) -> None:
        assert parse_consistency(raw) == expected

    def test_consistency_is_one_kind_only(self) -> None:
        with pytest.raises(InvalidArgument, match="only one of"):
            parse_consistency({"transaction": "dA==", "readTime": "1970-01-01T00:00:01Z"})

    def test_batch_get_keeps_the_order_and_an_empty_mask(self) -> None:
        request = parse_batch_get({"documents": [NAME, NAME], "mask": {}}, DATABASE)
        assert request.names == (DOCUMENT, DOCUMENT)
        assert request.mask == ()

    def test_run_query_takes_explain_options(self) -> None:
        raw = {"structuredQuery": {}, "explainOptions": {"analyze": True}}
        explain = parse_run_query(raw, ROOT).explain
        assert explain is not None
        assert explain.analyze

    def test_begin_and_rollback(self) -> None:
        begin = parse_begin_transaction({"options": {"readOnly": {}}}, DATABASE)
        assert begin.options.read_only
        assert parse_rollback({"transaction": "dA=="}, DATABASE).transaction == b"t"
        with pytest.raises(InvalidArgument):
            parse_rollback({}, DATABASE)

    def test_pages(self) -> None:
        request = parse_list_collection_ids({"pageSize": 5, "pageToken": "x"}, ROOT)
        assert (request.page_size, request.page_token) == (5, "x")
        with pytest.raises(InvalidArgument, match="pageSize"):
            parse_list_collection_ids({"pageSize": -1}, ROOT)
        with pytest.raises(InvalidArgument, match="partitionCount"):
            parse_partition_query({"structuredQuery": {}}, ROOT)

    def test_a_document_may_come_without_a_name(self) -> None:
        assert parse_document({"fields": {"a": {"booleanValue": True}}}).fields == {"a": True}

    def test_the_first_message_of_a_write_stream_has_no_writes(self) -> None:
        handshake = parse_write_stream_request({"database": DATABASE.name})
        assert (handshake.database, handshake.writes) == (DATABASE, ())
        batch = parse_write_stream_request({"streamToken": "MA==", "writes": [{"delete": NAME}]})
        assert (batch.database, batch.stream_token, len(batch.writes)) == (None, b"0", 1)
