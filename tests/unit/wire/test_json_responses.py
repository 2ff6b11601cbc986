"""The exact form of what clients read, where a parser's leniency would hide a difference."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from baas.errors import Aborted, PermissionDenied
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.values import Timestamp
from baas.model.watch import (
    BloomFilter,
    DocumentChange,
    DocumentDelete,
    ExistenceFilter,
    ListenResponse,
    TargetChange,
    TargetChangeType,
)
from baas.model.write import CommitResult, WriteResult
from baas.wire import json_codec
from tests.unit.model.strategies import DATABASE

NAME = DocumentName(DATABASE, ("c", "d"))
TIME = Timestamp(1_500_000)
DOCUMENT = Document(NAME, Timestamp(0), TIME, fields={"a": 1})
DOCUMENT_JSON = {
    "name": NAME.name,
    "fields": {"a": {"integerValue": "1"}},
    "createTime": "1970-01-01T00:00:00Z",
    "updateTime": "1970-01-01T00:00:01.500Z",
}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            TargetChange(TargetChangeType.NO_CHANGE, resume_token=b"0", read_time=TIME),
            {"targetChange": {"resumeToken": "MA==", "readTime": "1970-01-01T00:00:01.500Z"}},
        ),
        (
            TargetChange(TargetChangeType.ADD, (6,)),
            {"targetChange": {"targetChangeType": "ADD", "targetIds": [6]}},
        ),
        (
            TargetChange(TargetChangeType.REMOVE, (6,), PermissionDenied("no")),
            {
                "targetChange": {
                    "targetChangeType": "REMOVE",
                    "targetIds": [6],
                    "cause": {"code": 7, "message": "no"},
                }
            },
        ),
        (
            DocumentChange(DOCUMENT, (6, 8), (2,)),
            {
                "documentChange": {
                    "document": DOCUMENT_JSON,
                    "targetIds": [6, 8],
                    "removedTargetIds": [2],
                }
            },
        ),
        (
            DocumentDelete(NAME, TIME, (6,)),
            {
                "documentDelete": {
                    "document": NAME.name,
                    "readTime": "1970-01-01T00:00:01.500Z",
                    "removedTargetIds": [6],
                }
            },
        ),
        (
            ExistenceFilter(6, 3, BloomFilter(b"\xfb3h\xf8", 3, 7)),
            {
                "filter": {
                    "targetId": 6,
                    "count": 3,
                    "unchangedNames": {
                        "bits": {"bitmap": "+zNo+A==", "padding": 3},
                        "hashCount": 7,
                    },
                }
            },
        ),
    ],
)
def test_listen_responses(response: ListenResponse, expected: dict[str, Any]) -> None:
    assert orjson.loads(json_codec.listen_response_to_json(response)) == expected


def test_a_commit_answers_one_result_a_write_and_nulls_for_arrays() -> None:
    result = CommitResult(TIME, (WriteResult(TIME, (None, 3)), WriteResult()))
    assert orjson.loads(json_codec.commit_response(result)) == {
        "writeResults": [
            {
                "updateTime": "1970-01-01T00:00:01.500Z",
                "transformResults": [{"nullValue": None}, {"integerValue": "3"}],
            },
            {},
        ],
        "commitTime": "1970-01-01T00:00:01.500Z",
    }


def test_the_handshake_of_a_write_stream_has_a_token_and_no_results() -> None:
    assert orjson.loads(json_codec.write_response(b"0", stream_id="s1")) == {
        "streamId": "s1",
        "streamToken": "MA==",
    }


def test_a_batch_write_answers_a_status_for_each_write() -> None:
    answered = orjson.loads(json_codec.batch_write_response([WriteResult(TIME), Aborted("again")]))
    assert answered == {
        "writeResults": [{"updateTime": "1970-01-01T00:00:01.500Z"}, {}],
        "status": [{}, {"code": 10, "message": "again"}],
    }


def test_streaming_methods_answer_one_array() -> None:
    elements = [
        json_codec.batch_get_element(None, None, transaction=b"t"),
        json_codec.batch_get_element(DOCUMENT, TIME),
        json_codec.batch_get_element(NAME, TIME),
    ]
    assert orjson.loads(json_codec.join_elements(elements)) == [
        {"transaction": "dA=="},
        {"found": DOCUMENT_JSON, "readTime": "1970-01-01T00:00:01.500Z"},
        {"missing": NAME.name, "readTime": "1970-01-01T00:00:01.500Z"},
    ]


def test_errors_have_the_envelope() -> None:
    assert orjson.loads(json_codec.error_response(Aborted("again"))) == {
        "error": {"code": 409, "message": "again", "status": "ABORTED"}
    }
