"""Documented quirks of proto3-JSON over REST, on a real server. Needs no emulator."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.conformance.documents.servers import DOCUMENTS, Request, Server


def fields_after(homefire: Server, value: dict[str, Any]) -> Any:
    """What is read of a value that was written."""
    body = {"fields": {"v": value}}
    assert homefire.ask(Request("PATCH", "/rest/value", body)).status == 200
    return homefire.ask(Request("GET", "/rest/value")).body["fields"]["v"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"integerValue": 5}, {"integerValue": "5"}),
        ({"integerValue": "5.0"}, {"integerValue": "5"}),
        ({"integerValue": "92233720368547758.07e2"}, {"integerValue": "9223372036854775807"}),
        ({"integer_value": "5"}, {"integerValue": "5"}),
        (
            {"map_value": {"fields": {"a": {"array_value": {"values": [{"string_value": "b"}]}}}}},
            {"mapValue": {"fields": {"a": {"arrayValue": {"values": [{"stringValue": "b"}]}}}}},
        ),
        ({"geo_point_value": {}}, {"geoPointValue": {"latitude": 0.0, "longitude": 0.0}}),
        ({"integerValue": "-9223372036854775808"}, {"integerValue": "-9223372036854775808"}),
        ({"doubleValue": "1.5"}, {"doubleValue": 1.5}),
        ({"doubleValue": "NaN"}, {"doubleValue": "NaN"}),
        ({"doubleValue": "-Infinity"}, {"doubleValue": "-Infinity"}),
        ({"doubleValue": "-0"}, {"doubleValue": -0.0}),
        ({"nullValue": "NULL_VALUE"}, {"nullValue": None}),
        ({"nullValue": 0}, {"nullValue": None}),
        ({"bytesValue": "-_8="}, {"bytesValue": "+/8="}),
        ({"bytesValue": "AA"}, {"bytesValue": "AA=="}),
        (
            {"timestampValue": "2020-01-01T00:00:00.123456789+05:00"},
            {"timestampValue": "2019-12-31T19:00:00.123456Z"},
        ),
        ({"arrayValue": {}}, {"arrayValue": {}}),
        ({"mapValue": {}}, {"mapValue": {}}),
        ({"booleanValue": False}, {"booleanValue": False}),
        ({"stringValue": ""}, {"stringValue": ""}),
    ],
)
def test_forms_of_values(homefire: Server, sent: dict[str, Any], told: dict[str, Any]) -> None:
    read = fields_after(homefire, sent)
    assert read == told
    assert str(read) == str(told)  # the sign of zero too


@pytest.mark.parametrize(
    "value",
    [
        {"integerValue": "9223372036854775808"},
        {"integerValue": 1.5},
        {"integerValue": "1.5"},
        {"integerValue": "1e30"},
        {"integerValue": "1e999999999"},
        {
            "mapValue": {
                "fields": {
                    "__type__": {"stringValue": "__vector__"},
                    "value": {"arrayValue": {"values": [{"doubleValue": "NaN"}]}},
                }
            }
        },
        {"integerValue": True},
        {"doubleValue": "1e400"},
        {"bytesValue": "!"},
        {"timestampValue": "2020-01-01"},
        {"fooValue": 1},
        {},
        {"integerValue": "1", "stringValue": "a"},
        {"arrayValue": {"values": [{"arrayValue": {}}]}},
        {"referenceValue": f"{DOCUMENTS}/collection"},
        {"geoPointValue": {"latitude": 91, "longitude": 0}},
    ],
)
def test_values_that_are_none(homefire: Server, value: dict[str, Any]) -> None:
    answer = homefire.ask(Request("PATCH", "/rest/refused", {"fields": {"v": value}}))
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")
    assert homefire.ask(Request("GET", "/rest/refused")).status == 404


@pytest.mark.parametrize(
    "request_",
    [
        Request("DELETE", "/rest"),
        Request("PATCH", "/rest", {"fields": {}}),
        Request("POST", "/rest/a", {"fields": {}}),
        Request("GET", "/rest/a?mask.fieldPaths="),
        Request("GET", "/rest/a?mask.fieldPaths=a..b"),
        Request("PATCH", "/rest/a?currentDocument.exists=maybe", {}),
        Request("PATCH", "/rest/a", {"fields": {}, "createTime": "yesterday"}),
        Request("POST", "/rest?documentId=b", {"name": f"{DOCUMENTS}/rest/c"}),
        Request("POST", "/rest?documentId=a%2Fb", {}),
        Request("POST", ":commit", {"writes": [], "unknown": 1}),
        Request("POST", ":commit", []),
        Request("POST", ":batchWrite", {"writes": [], "transaction": "AA=="}),
    ],
)
def test_requests_that_are_refused(homefire: Server, request_: Request) -> None:
    answer = homefire.ask(request_)
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "request_", [Request("PUT", "/rest/a", {}), Request("POST", ":nothing", {})]
)
def test_methods_that_there_are_not(homefire: Server, request_: Request) -> None:
    answer = homefire.ask(request_)
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", "/rest?documentId=unmade&mask.fieldPaths=a..b", {"fields": {}}),
        Request("PATCH", "/rest/unmade?mask.fieldPaths=a..b", {"fields": {}}),
    ],
)
def test_a_bad_mask_of_the_answer_is_refused_before_anything_is_written(
    homefire: Server, request_: Request
) -> None:
    assert homefire.ask(request_).code == "INVALID_ARGUMENT"
    assert homefire.ask(Request("GET", "/rest/unmade")).status == 404


def test_enums_by_number(homefire: Server) -> None:
    homefire.ask(Request("PATCH", "/enums/a", {"fields": {"n": {"integerValue": "1"}}}))
    condition = {"field": {"fieldPath": "n"}, "op": 5, "value": {"integerValue": "1"}}  # EQUAL
    query = {
        "from": [{"collectionId": "enums"}],
        "where": {"fieldFilter": condition},
        "orderBy": [{"field": {"fieldPath": "n"}, "direction": 2}],  # DESCENDING
    }
    answer = homefire.ask(Request("POST", ":runQuery", {"structuredQuery": query}))
    assert len(answer.documents()) == 1


def test_a_path_is_decoded_after_it_is_split(homefire: Server) -> None:
    created = homefire.ask(Request("POST", "/rest?documentId=a%3AbatchGet%20%25", {"fields": {}}))
    assert created.body["name"] == f"{DOCUMENTS}/rest/a:batchGet %"
    assert homefire.ask(Request("GET", "/rest/a%3AbatchGet%20%25")).status == 200


def test_parameters_by_the_names_of_the_proto(homefire: Server) -> None:
    body = {"fields": {"a": {"nullValue": None}, "b": {"nullValue": None}}}
    created = homefire.ask(Request("POST", "/snake?document_id=x&mask.field_paths=a", body)).body
    assert (created["name"], list(created["fields"])) == (f"{DOCUMENTS}/snake/x", ["a"])
    assert "nextPageToken" not in homefire.ask(Request("GET", "/snake?page_size=1")).body


def test_a_plan_alone_is_one_element_without_results(homefire: Server) -> None:
    homefire.ask(Request("PATCH", "/planned/a", {"fields": {}}))
    query = {"structuredQuery": {"from": [{"collectionId": "planned"}]}, "explainOptions": {}}
    (element,) = homefire.ask(Request("POST", ":runQuery", query)).body
    assert list(element["explainMetrics"]) == ["planSummary"]
    query["explainOptions"] = {"analyze": True}
    found, element = homefire.ask(Request("POST", ":runQuery", query)).body
    assert found["document"]["name"] == f"{DOCUMENTS}/planned/a"
    assert element["explainMetrics"]["executionStats"]["resultsReturned"] == "1"


def test_masks_in_parameters_repeat(homefire: Server) -> None:
    body = {
        "fields": {"a": {"nullValue": None}, "b c": {"nullValue": None}, "d": {"nullValue": None}}
    }
    path = "/rest/masked?updateMask.fieldPaths=a&updateMask.fieldPaths=%60b%20c%60"
    assert homefire.ask(Request("PATCH", path, body)).status == 200
    everything = homefire.ask(Request("GET", "/rest/masked")).body["fields"]
    assert set(everything) == {"a", "b c"}
    masked = homefire.ask(Request("GET", "/rest/masked?mask.fieldPaths=%60b%20c%60")).body["fields"]
    assert set(masked) == {"b c"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_is_json_whatever_its_type(homefire: Server, content_type: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", homefire.port, timeout=30)
    headers = {"Content-Type": content_type, "Authorization": "Bearer owner"}
    path = f"/v1/{DOCUMENTS}/rest/typed?key=any"
    connection.request("PATCH", path, json.dumps({"fields": {}}), headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_a_select_of_nothing_is_the_name(homefire: Server) -> None:
    homefire.ask(Request("PATCH", "/selected/a", {"fields": {"n": {"integerValue": "1"}}}))
    query = {"from": [{"collectionId": "selected"}], "select": {}}
    answer = homefire.ask(Request("POST", ":runQuery", {"structuredQuery": query}))
    assert answer.documents() == [{"name": f"{DOCUMENTS}/selected/a"}]
