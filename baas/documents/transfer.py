"""Export and import: all documents of a database as lines of JSON, streamed, resumable.

The file is NDJSON. Its first line tells what it is and which version it holds::

    {"homefire": "documents", "format": 1, "database": "projects/P/databases/D", "readTime": "…"}
    {"path": "users/alice", "fields": {…typed values…}, "createTime": "…", "updateTime": "…"}
    {"end": true, "documents": 1}

``fields`` are proto3-JSON as everywhere. An export that was interrupted goes on after its last whole line,
at the same version, as long as that version is kept. An import writes in batches and notes after each how far
it has come; done twice it gives the same documents. It sets new times: those in the file are for the reader.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from baas.access.principal import OWNER
from baas.documents.catalogue import CollectionEntry
from baas.documents.import_mark import Done, ImportMark
from baas.documents.reader import Reader
from baas.documents.records import encoded_fields
from baas.documents.scan import Scan
from baas.documents.service import DocumentStore
from baas.errors import InvalidArgument
from baas.model.document import Document
from baas.model.key_encoding import encode_path, encode_path_prefix
from baas.model.paths import DOCUMENT_ID, DatabaseId, DocumentName, check_segments
from baas.model.query import Order, Query
from baas.model.values import Timestamp
from baas.model.write import Commit, Write, WriteKind
from baas.wire.json_values import decode_fields_object
from baas.wire.timestamps import format_timestamp, parse_timestamp

FORMAT = 1
PAGE = 500
BATCH_BYTES = 4 * 1024 * 1024

Progress = Callable[[int], None]
"""Called with the number of documents so far."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Where an export begins: at which version, after which document, with how many written."""

    version: Timestamp
    after: tuple[str, ...] | None
    count: int


async def export_documents(
    store: DocumentStore, database: DatabaseId, path: Path, progress: Progress = lambda _: None
) -> int:
    """Write all documents of a database, at one version, into a file; answers how many.

    A file that an interrupted export left is gone on with.

    Raises:
        InvalidArgument: the file is there and is no interrupted export of this database.
        InvalidArgument: it is, and its version is not kept any more.
    """
    latest = await store.read_at_version(database, lambda reader: reader.version)
    start = _resume_point(path, database) or _Start(latest, None, 0)
    count = start.count
    with _opened(path) as file:
        if file.tell() == 0:
            file.write(_header(database, start.version))
        async for page in _pages(store, database, start):
            file.writelines(map(_line, page))
            file.flush()
            count += len(page)
            progress(count)
        file.write(orjson.dumps({"end": True, "documents": count}) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return count


def _opened(path: Path) -> BinaryIO:
    """A file that is gone on with, or made: its owner's alone, as what it holds was behind rules."""
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


async def _pages(store: DocumentStore, database: DatabaseId, start: _Start) -> Any:
    """The documents by collections in the order of their paths, each by name."""
    collections = await store.read_at_version(
        database, lambda reader: list(reader.group("", ())), at=start.version
    )
    after = None if start.after is None else encode_path(start.after)
    if start.after is not None:
        reached = encode_path_prefix(start.after[:-1])
        collections = [entry for entry in collections if entry.prefix >= reached]
        if not collections or collections[0].prefix != reached:
            after = None
    for collection in collections:
        while True:
            page = await store.read_at_version(
                database, _page_unit(database, collection, after), at=start.version
            )
            if page:
                yield page
                after = encode_path(page[-1].name.segments)
            if len(page) < PAGE:
                break
        after = None


def _page_unit(
    database: DatabaseId, collection: CollectionEntry, after: bytes | None
) -> Callable[[Reader], list[Document]]:
    *parent, collection_id = collection.segments
    query = Query(database, tuple(parent), collection_id, order_by=(Order(DOCUMENT_ID),))

    def unit(reader: Reader) -> list[Document]:
        documents = Scan(reader, query, PAGE, after=after).documents()
        return [document for document, _ in zip(documents, range(PAGE), strict=False)]

    return unit


def _header(database: DatabaseId, version: Timestamp) -> bytes:
    header = {
        "homefire": "documents",
        "format": FORMAT,
        "database": database.name,
        "readTime": format_timestamp(version),
    }
    return orjson.dumps(header) + b"\n"


def _line(document: Document) -> bytes:
    line = {
        "path": "/".join(document.name.segments),
        "fields": orjson.Fragment(encoded_fields(document)),
        "createTime": format_timestamp(document.create_time),
        "updateTime": format_timestamp(document.update_time),
    }
    return orjson.dumps(line) + b"\n"


def _resume_point(path: Path, database: DatabaseId) -> _Start | None:
    """Where an interrupted export ended; what follows its last whole line is cut off."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    with path.open("r+b") as file:
        first = file.readline()
        header = _object(first, "the first line")
        if header.get("homefire") != "documents" or header.get("database") != database.name:
            raise InvalidArgument(f"{path} exists and is no export of {database.name}.")
        count, end, last = 0, len(first), None
        for line in file:
            if not line.endswith(b"\n"):
                break
            end, last = end + len(line), line
            count += 1
        file.truncate(end)
    version = parse_timestamp(str(header.get("readTime")))
    if last is None:
        return _Start(version, None, 0)
    entry = _object(last, "the last line")
    if "end" in entry:
        raise InvalidArgument(f"{path} is a complete export already; name another file.")
    return _Start(version, tuple(str(entry.get("path")).split("/")), count)


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"Not an export: {where} is no JSON ({error}).") from None
    if not isinstance(parsed, dict):
        raise InvalidArgument(f"Not an export: {where} is no JSON object.")
    return parsed


# Import


async def import_documents(
    store: DocumentStore, database: DatabaseId, path: Path, progress: Progress = lambda _: None
) -> int:
    """Write all documents of a file into a database, over those of the same names; answers how many.

    How far it has come is in a file beside it, ``<name>.progress``, gone when it is done.

    Raises:
        InvalidArgument: the file is not an export, or ends too early; the message names the line.
    """
    with path.open("rb") as file:
        first = file.readline()
        header = _object(first, "the first line")
        if header.get("homefire") != "documents" or header.get("format") != FORMAT:
            raise InvalidArgument(f"{path} is not an export of documents in format {FORMAT}.")
        mark = ImportMark(store, database, path, first.decode())
        done = await mark.read()
        number = done.documents
        if done.offset:
            file.seek(done.offset)
        for writes, end, count in _batches(file, database, number):
            await store.commit(Commit(database, writes), OWNER)
            await mark.note(Done(end, count))
            progress(count)
            number = count
    mark.remove()
    return number


def _batches(
    file: Any, database: DatabaseId, number: int
) -> Iterator[tuple[tuple[Write, ...], int, int]]:
    """Writes that go together, where in the file they end, and how many documents that makes."""
    batch: list[Write] = []
    size = 0
    while line := file.readline():
        entry = _object(line, f"document {number + 1}")
        if "end" in entry:
            if entry.get("documents") != number:
                raise InvalidArgument(
                    f"The export says that it has {entry.get('documents')} documents; {number} came."
                )
            if batch:
                yield tuple(batch), file.tell(), number
            return
        number += 1
        batch.append(_write(entry, database, number))
        size += len(line)
        if len(batch) >= PAGE or size >= BATCH_BYTES:
            yield tuple(batch), file.tell(), number
            batch, size = [], 0
    if batch:
        yield tuple(batch), file.tell(), number
    raise InvalidArgument(
        f"The export is cut off after document {number}; all until there are imported."
    )


def _write(entry: dict[str, Any], database: DatabaseId, number: int) -> Write:
    try:
        segments = check_segments(tuple(str(entry["path"]).split("/")))
        if len(segments) % 2:
            raise InvalidArgument(f"{entry['path']!r} is not the path of a document.")
        fields = decode_fields_object(entry.get("fields", {}))
    except (InvalidArgument, KeyError, ValueError) as error:
        raise InvalidArgument(f"Document {number} of the export is not valid: {error}") from None
    return Write(WriteKind.UPDATE, DocumentName(database, segments), fields)
