"""What Firestore's managed export writes is read back whole; the emulator writes the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from baas.access.principal import OWNER
from baas.db.sqlite import SqliteDatabase
from baas.documents.managed_import import import_managed_export, is_managed_export
from baas.documents.service import DocumentStore
from baas.errors import DataLoss, InvalidArgument
from baas.model.paths import DatabaseId, DocumentName
from baas.wire.json_codec import decode_fields_object, encode_fields_object
from baas.wire.managed_export import decode_entity, read_records
from tests.conformance.rules.emulator import Emulator, installed
from tests.integration.documents.helpers import OpenAccess

FOLDER = installed()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="the Firestore emulator is not installed")

DATABASE = DatabaseId("p")
NAME = "projects/p/databases/(default)/documents"
EVERYTHING: dict[str, Any] = {
    "null": {"nullValue": None},
    "yes": {"booleanValue": True},
    "no": {"booleanValue": False},
    "negative": {"integerValue": "-7"},
    "largest": {"integerValue": str(2**63 - 1)},
    "smallest": {"integerValue": str(-(2**63))},
    "double": {"doubleValue": 1.5},
    "infinite": {"doubleValue": "-Infinity"},
    "text": {"stringValue": "héllo"},
    "empty": {"stringValue": ""},
    "long": {"stringValue": "x" * 100_000},
    "bytes": {"bytesValue": "AAEC/w=="},
    "time": {"timestampValue": "2026-01-02T03:04:05.678901Z"},
    "place": {"geoPointValue": {"latitude": 1.5, "longitude": -2.25}},
    "user": {"referenceValue": f"{NAME}/users/bob"},
    "post": {"referenceValue": f"{NAME}/users/bob/posts/x"},
    "list": {
        "arrayValue": {
            "values": [
                {"integerValue": "1"},
                {"nullValue": None},
                {"mapValue": {"fields": {"k": {"integerValue": "3"}}}},
            ]
        }
    },
    "one": {"arrayValue": {"values": [{"stringValue": "only"}]}},
    "nothing": {"arrayValue": {}},
    "map": {
        "mapValue": {
            "fields": {
                "deep": {
                    "mapValue": {
                        "fields": {"list": {"arrayValue": {"values": [{"booleanValue": True}]}}}
                    }
                },
                "none": {"arrayValue": {}},
            }
        }
    },
    "hollow": {"mapValue": {}},
    "odd `name`.": {"stringValue": "odd"},
    "vector": {
        "mapValue": {
            "fields": {
                "__type__": {"stringValue": "__vector__"},
                "value": {"arrayValue": {"values": [{"doubleValue": 1.0}, {"doubleValue": 2.5}]}},
            }
        }
    },
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "users/alice": EVERYTHING,
    "users/alice/posts/p1": {"title": {"stringValue": "hi"}},
    "users/__id7__": {"x": {"integerValue": "1"}},
    "other/empty": {},
    **{f"many/d{number:03}": {"n": {"integerValue": str(number)}} for number in range(700)},
}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A managed export of the documents above."""
    assert FOLDER is not None
    folder = tmp_path_factory.mktemp("export")
    emulator = Emulator(FOLDER)
    try:
        writes = [
            {"update": {"name": f"{NAME}/{path}", "fields": fields}}
            for path, fields in DOCUMENTS.items()
        ]
        for start in range(0, len(writes), 400):
            body = {"writes": writes[start : start + 400]}
            status, answer = emulator.call("POST", f"/v1/{NAME}:commit", body, "owner")
            assert status == 200, answer
        where = {
            "database": "projects/p/databases/(default)",
            "export_directory": str(folder),
            "export_name": "all",
        }
        status, answer = emulator.call("POST", "/emulator/v1/projects/p:export", where, "owner")
        assert status == 200, answer
    finally:
        emulator.close()
    return folder / "all"


async def test_every_document_comes_back_as_it_was(export: Path, database: SqliteDatabase) -> None:
    store = DocumentStore(database, OpenAccess())
    assert await import_managed_export(store, DATABASE, export) == len(DOCUMENTS)
    for path, fields in DOCUMENTS.items():
        name = DocumentName(DATABASE, tuple(path.split("/")))
        found = (await store.get(name, OWNER)).value
        assert found is not None, path
        wanted = encode_fields_object(decode_fields_object(fields))
        assert encode_fields_object(found.fields) == wanted, path


async def test_an_interrupted_import_goes_on(export: Path, database: SqliteDatabase) -> None:
    store = DocumentStore(database, OpenAccess())

    class Interrupted(Exception):
        pass

    def interrupt(_count: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await import_managed_export(store, DATABASE, export, interrupt)
    told: list[int] = []
    assert await import_managed_export(store, DATABASE, export, told.append) == len(DOCUMENTS)
    assert told == [len(DOCUMENTS)]  # the first 500 were not written again


def test_a_damaged_file_is_told(export: Path) -> None:
    data = bytearray(next(export.rglob("output-0")).read_bytes())
    data[100] ^= 1
    with pytest.raises(DataLoss, match="checksum"):
        list(read_records(io.BytesIO(bytes(data))))


def test_a_file_that_is_cut_off_is_told(export: Path) -> None:
    data = next(export.rglob("output-0")).read_bytes()
    with pytest.raises(DataLoss):
        list(read_records(io.BytesIO(data[: len(data) // 2 - 3])))


@pytest.mark.parametrize("record", [b"", b"\x00", b"\xff" * 20, b"j\x04j\x00r\x00", b"\x0b" * 100])
def test_a_record_that_is_no_document_is_refused(record: bytes) -> None:
    with pytest.raises(InvalidArgument):
        decode_entity(record, DATABASE)


def test_another_folder_is_no_export(tmp_path: Path) -> None:
    assert not is_managed_export(tmp_path)
