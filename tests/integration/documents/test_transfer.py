"""Export and import: everything, at one version, and again after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baas.documents import transfer
from baas.documents.service import DocumentStore
from baas.errors import InvalidArgument
from baas.model.paths import DatabaseId
from baas.model.values import GeoPoint, Timestamp, Vector
from tests.integration.documents.helpers import DATABASE, commit, delete, fields_of, name, put

FIELDS = {
    "n": 2**60,
    "d": float("inf"),
    "t": Timestamp(1_234_567),
    "v": Vector((1.0,)),
    "g": GeoPoint(1.0, 2.0),
    "m": {"l": [1, None, "é"]},
}
COPY = DatabaseId("demo", "copy")


async def contents(store: DocumentStore, path: Path, database: DatabaseId) -> list[object]:
    """The paths and fields of an export."""
    path.unlink(missing_ok=True)
    await transfer.export_documents(store, database, path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["path"], line["fields"]) for line in lines[1:-1]]


async def test_what_is_imported_is_what_was_exported(store: DocumentStore, tmp_path: Path) -> None:
    await commit(store, put("c/a", FIELDS), put("c/a/d/b", {"n": 1}), put("e/f"), delete("c/x"))
    path = tmp_path / "export.ndjson"
    assert await transfer.export_documents(store, DATABASE, path) == 3
    assert await transfer.import_documents(store, COPY, path) == 3
    original = await contents(store, tmp_path / "one", DATABASE)
    assert await contents(store, tmp_path / "two", COPY) == original
    assert len(original) == 3


async def test_an_export_is_private(store: DocumentStore, tmp_path: Path) -> None:
    path = tmp_path / "export.ndjson"
    await transfer.export_documents(store, DATABASE, path)
    assert path.stat().st_mode & 0o077 == 0


async def test_an_interrupted_export_goes_on_at_its_version(
    store: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PAGE", 2)
    await commit(store, *(put(f"c/{n}", {"n": n}) for n in range(5)), put("d/x"))
    path = tmp_path / "export.ndjson"
    whole = tmp_path / "whole.ndjson"
    await transfer.export_documents(store, DATABASE, whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:10])
    await commit(store, put("c/9", {"n": 9}), delete("c/4"))
    assert await transfer.export_documents(store, DATABASE, path) == 6
    assert path.read_bytes() == whole.read_bytes()


async def test_a_complete_export_is_not_written_over(store: DocumentStore, tmp_path: Path) -> None:
    path = tmp_path / "export.ndjson"
    await transfer.export_documents(store, DATABASE, path)
    with pytest.raises(InvalidArgument, match="complete"):
        await transfer.export_documents(store, DATABASE, path)


async def test_another_file_is_not_written_over(store: DocumentStore, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text('{"mine": true}\n')
    with pytest.raises(InvalidArgument):
        await transfer.export_documents(store, DATABASE, path)
    assert path.read_text() == '{"mine": true}\n'


async def test_an_interrupted_import_goes_on_where_it_was(
    store: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PAGE", 2)
    await commit(store, *(put(f"c/{n}", {"n": n}) for n in range(5)))
    path = tmp_path / "export.ndjson"
    await transfer.export_documents(store, DATABASE, path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]))
    with pytest.raises(InvalidArgument, match="cut off after document 3"):
        await transfer.import_documents(store, COPY, path)
    path.write_bytes(whole)
    told: list[int] = []
    assert await transfer.import_documents(store, COPY, path, told.append) == 5
    assert told == [5]
    assert not path.with_name("export.ndjson.progress").exists()


async def cut_off_import(store: DocumentStore, path: Path) -> None:
    """Import all but the end of an export of five documents into the copy; the file is whole again then."""
    await commit(store, *(put(f"c/{n}", {"n": n}) for n in range(5)))
    await transfer.export_documents(store, DATABASE, path)
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:4]))
    with pytest.raises(InvalidArgument, match="cut off"):
        await transfer.import_documents(store, COPY, path)
    path.write_bytes(whole)


async def test_an_import_into_another_database_begins_at_the_start(
    store: DocumentStore, tmp_path: Path
) -> None:
    path = tmp_path / "export.ndjson"
    await cut_off_import(store, path)
    other = DatabaseId("demo", "other")
    assert await transfer.import_documents(store, other, path) == 5
    assert len(await contents(store, tmp_path / "check", other)) == 5


async def test_an_import_of_another_file_of_that_name_begins_at_the_start(
    store: DocumentStore, tmp_path: Path
) -> None:
    path = tmp_path / "export.ndjson"
    await cut_off_import(store, path)
    path.unlink()
    await commit(store, put("c/0", {"n": "changed"}))
    await transfer.export_documents(store, DATABASE, path)
    assert await transfer.import_documents(store, COPY, path) == 5
    assert (await contents(store, tmp_path / "check", COPY))[0] == (
        "c/0",
        {"n": {"stringValue": "changed"}},
    )


async def test_an_unreadable_mark_costs_time_and_no_documents(
    store: DocumentStore, tmp_path: Path
) -> None:
    path = tmp_path / "export.ndjson"
    await cut_off_import(store, path)
    path.with_name("export.ndjson.progress").write_bytes(b"")
    assert await transfer.import_documents(store, COPY, path) == 5
    assert len(await contents(store, tmp_path / "check", COPY)) == 5


@pytest.mark.parametrize(
    "line", ['{"path": "c", "fields": {}}', '{"path": "c/a", "fields": {"n": {"x": 1}}}', "{", "[]"]
)
async def test_a_bad_line_is_named_and_nothing_of_its_batch_written(
    store: DocumentStore, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "export.ndjson"
    header = '{"homefire": "documents", "format": 1}\n{"path": "c/ok", "fields": {}}\n'
    path.write_text(f"{header}{line}\n")
    with pytest.raises(InvalidArgument, match="ocument 2"):
        await transfer.import_documents(store, DATABASE, path)
    assert await fields_of(store, name("c/ok").name.split("documents/")[1]) is None
