"""What hosted Firestore was recorded to answer, asked of a real server over REST. Needs no emulator.

Source: the recordings of production in the public repository ``t-k/fireemu`` (September 2026), and where
they are silent Google's emulator. Where the two differ, the recordings count.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.documents.servers import DOCUMENTS, Answer, Request, Server

ONE = {"integerValue": "1"}
VECTOR = {
    "mapValue": {
        "fields": {
            "__type__": {"stringValue": "__vector__"},
            "value": {"arrayValue": {"values": [{"doubleValue": 1.0}]}},
        }
    }
}


def post(homefire: Server, verb: str, parent: str = "", /, **body: Any) -> Answer:
    return homefire.ask(Request("POST", f"{parent}:{verb}", body))


def commit(homefire: Server, *writes: Any, **more: Any) -> Answer:
    return post(homefire, "commit", writes=list(writes), **more)


def update(path: str, fields: Any, **more: Any) -> Any:
    return {"update": {"name": f"{DOCUMENTS}/{path}", "fields": fields}, **more}


def names(answer: Answer) -> list[str]:
    documents = [each["document"] for each in answer.body if "document" in each]
    return [document["name"].removeprefix(f"{DOCUMENTS}/") for document in documents]


def begin(homefire: Server, **options: Any) -> str:
    return str(post(homefire, "beginTransaction", options=options).body["transaction"])


def nested(names: list[str]) -> Any:
    value: Any = ONE
    for name in reversed(names):
        value = {"mapValue": {"fields": {name: value}}}
    return value


@pytest.mark.parametrize(
    ("fields", "accepted"),
    [
        ({"v": {"stringValue": "x" * 1_048_487}}, True),
        ({"v": {"stringValue": "x" * 1_048_488}}, False),
        ({"v": {"stringValue": "é" * 524_244}}, False),
        ({"v": {"bytesValue": "A" * 1_398_000}}, False),
        ({"v": {"arrayValue": {"values": [{"stringValue": "x" * 1_048_488}]}}}, False),
        ({"p" * 749: nested(["q" * 750])}, True),
        ({"p" * 750: nested(["q" * 750])}, False),
        ({"p" * 374: nested(["q" * 374, "r" * 374, "s" * 374])}, True),
        ({"p" * 375: nested(["q" * 375, "r" * 375, "s" * 375])}, False),
        ({"p" * 749: {"arrayValue": {"values": [nested(["q" * 750])]}}}, True),
        ({"p" * 750: {"arrayValue": {"values": [nested(["q" * 750])]}}}, False),
        ({"p" * 1_500: ONE}, True),
        ({"p" * 1_501: ONE}, False),
        ({"v": {"arrayValue": {"values": [VECTOR]}}}, False),
        ({"v": {"arrayValue": {"values": [{"mapValue": {"fields": {"v": VECTOR}}}]}}}, True),
        ({"v": nested(["a"] * 19)}, True),
        ({"v": nested(["a"] * 21)}, False),
    ],
)
def test_limits_of_fields(homefire: Server, fields: Any, *, accepted: bool) -> None:
    answer = commit(homefire, update("l/d", fields))
    assert answer.code == ("OK" if accepted else "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("path", "code"),
    [("a" * 1_499, "OK"), (f"`{'-' * 1_499}`", "OK"), ("a" * 1_500, "INVALID_ARGUMENT")],
)
def test_a_path_that_a_request_names_may_have_1499_bytes(
    homefire: Server, path: str, code: str
) -> None:
    condition = {"field": {"fieldPath": path}, "op": "EQUAL", "value": ONE}
    query = {"from": [{"collectionId": "paths"}], "where": {"fieldFilter": condition}}
    assert post(homefire, "runQuery", structuredQuery=query).code == code


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        (["c", "i" * 1_500], "OK"),
        (["c", "i" * 1_501], "INVALID_ARGUMENT"),
        (["c" * 1_500, "d"], "OK"),
        (["c" * 1_501, "d"], "INVALID_ARGUMENT"),
        (["c", "d"] * 100, "OK"),
        (["c", "d"] * 101, "INVALID_ARGUMENT"),
        (["c", ".."], "INVALID_ARGUMENT"),
        (["__c__", "d"], "INVALID_ARGUMENT"),
    ],
)
def test_limits_of_names(homefire: Server, segments: list[str], code: str) -> None:
    assert commit(homefire, update("/".join(segments), {"v": ONE})).code == code


@pytest.mark.parametrize("operand", [{"arrayValue": {"values": [ONE]}}, VECTOR])
def test_arrays_get_no_arrays_and_no_vectors_by_a_transform(homefire: Server, operand: Any) -> None:
    def transformed(kind: str) -> str:
        transform = {"fieldPath": "v", kind: {"values": [operand]}}
        return commit(homefire, update("l/t", {}, updateTransforms=[transform])).code

    assert transformed("appendMissingElements") == "INVALID_ARGUMENT"
    assert transformed("removeAllFromArray") == "OK"


def test_what_is_compared_with_need_not_be_storable(homefire: Server) -> None:
    value = {"arrayValue": {"values": [{"arrayValue": {"values": [ONE]}}, VECTOR]}}
    condition = {"field": {"fieldPath": "v"}, "op": "EQUAL", "value": value}
    source = [{"collectionId": "compared"}]
    asked = {"from": source, "where": {"fieldFilter": condition}}
    assert names(post(homefire, "runQuery", structuredQuery=asked)) == []
    order = [{"field": {"fieldPath": "v"}}]
    asked = {"from": source, "orderBy": order, "startAt": {"values": [value]}}
    assert names(post(homefire, "runQuery", structuredQuery=asked)) == []


@pytest.mark.parametrize(
    "source", [{}, {"from": []}, {"from": [{}]}, {"from": [{"collectionId": ""}]}]
)
def test_a_query_without_a_collection_reads_all_that_lie_directly_below(
    homefire: Server, source: Any
) -> None:
    paths = ("kindless/p/b/2", "kindless/p/a/1", "kindless/p/a/1/deeper/x", "kindless/q/a/1")
    assert commit(homefire, *(update(path, {}) for path in paths)).code == "OK"
    answer = post(homefire, "runQuery", "/kindless/p", structuredQuery=source)
    assert names(answer) == ["kindless/p/a/1", "kindless/p/b/2"]
    wanted = {"structuredQuery": source, "aggregations": [{"alias": "n", "count": {}}]}
    counted = post(
        homefire, "runAggregationQuery", "/kindless/p", structuredAggregationQuery=wanted
    )
    assert counted.body[0]["result"]["aggregateFields"]["n"] == {"integerValue": "2"}


@pytest.mark.parametrize("verb", ["runQuery", "runAggregationQuery", "partitionQuery"])
def test_a_query_must_be_given(homefire: Server, verb: str) -> None:
    answer = post(homefire, verb, **({"partitionCount": 2} if verb == "partitionQuery" else {}))
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")


def test_a_commit_of_nothing_is_answered_with_nothing(homefire: Server) -> None:
    assert commit(homefire).body == {}
    assert commit(homefire, transaction=begin(homefire)).body == {}


def test_a_verify_tells_when_the_document_was_updated(homefire: Server) -> None:
    written = commit(homefire, update("verified/a", {})).body["writeResults"]
    verify = {"verify": f"{DOCUMENTS}/verified/a", "currentDocument": {"exists": True}}
    assert commit(homefire, verify).body["writeResults"] == written


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "INVALID_ARGUMENT"),
        ({"readOnly": {}}, "INVALID_ARGUMENT"),
        ({"readWrite": {}}, "OK"),
    ],
)
def test_a_transaction_begun_by_a_read_is_read_only_unless_it_says_otherwise(
    homefire: Server, options: Any, code: str
) -> None:
    read = post(
        homefire, "batchGet", documents=[f"{DOCUMENTS}/begun/a"], newTransaction=options
    ).body
    answer = commit(homefire, update("begun/b", {}), transaction=read[0]["transaction"])
    assert answer.code == code


def test_a_transaction_is_over_after_a_write_that_it_may_not_make(homefire: Server) -> None:
    transaction = begin(homefire, readOnly={})
    refused = commit(homefire, update("over/a", {}), transaction=transaction)
    assert refused.code == "INVALID_ARGUMENT"
    assert commit(homefire, transaction=transaction).code == "INVALID_ARGUMENT"


def test_a_rollback_of_what_is_no_transaction_is_refused(homefire: Server) -> None:
    assert post(homefire, "rollback", transaction="AAAAAAAAAAA=").code == "INVALID_ARGUMENT"


def test_a_read_time_before_what_is_kept_is_an_invalid_argument(homefire: Server) -> None:
    commit(homefire, update("past/a", {}))
    query = {"from": [{"collectionId": "past"}]}
    past = "2020-01-01T00:00:00Z"
    read = post(homefire, "runQuery", structuredQuery=query, readTime=past)
    begun = post(homefire, "beginTransaction", options={"readOnly": {"readTime": past}})
    assert [read.code, begun.code] == ["INVALID_ARGUMENT"] * 2
