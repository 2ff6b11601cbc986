"""SQL of objects and their segments: plain functions of a unit of work.

The statements are text: they run several times in each upload and download, and building them anew out of
SQLAlchemy's parts took half of the time that a small upload held Python's lock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from baas.db.unit import Tx
from baas.storage.model import ObjectSettings, Page, Segment, StoredObject
from baas.storage.page_token import decode_page_token, encode_page_token

_WRITTEN = (
    "bucket, name, generation, metageneration, size, md5, crc32c, component_count, settings, tokens, owner,"
    " time_created, updated"
)
_SELECT = f"SELECT id, {_WRITTEN} FROM storage_objects"
_SELECT_WITH_SEGMENTS = (
    f"SELECT o.id, {', '.join('o.' + column.strip() for column in _WRITTEN.split(','))}, s.blob, s.size"
    " FROM storage_objects AS o LEFT JOIN storage_segments AS s ON s.object_id = o.id"
    " WHERE o.bucket = ? AND o.name = ? ORDER BY s.position"
)
_INSERT = f"INSERT INTO storage_objects ({_WRITTEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REPLACE = f"UPDATE storage_objects SET ({_WRITTEN}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?"
_CHOSEN_BATCH = 500
_NAME = 2
"""Where the name stands in a row of :data:`_SELECT`."""


def find(tx: Tx, bucket: str, name: str) -> StoredObject | None:
    """The object of this name."""
    row = tx.one(f"{_SELECT} WHERE bucket = ? AND name = ?", (bucket, name.encode()))
    return None if row is None else _object(row)


def find_with_segments(
    tx: Tx, bucket: str, name: str
) -> tuple[StoredObject | None, tuple[Segment, ...]]:
    """The object of this name and its segments, in order."""
    rows = tx.all(_SELECT_WITH_SEGMENTS, (bucket, name.encode()))
    if not rows:
        return None, ()
    parts = tuple(Segment(row[-2], row[-1]) for row in rows if row[-2] is not None)
    return _object(rows[0][:-2]), parts


def _object(row: Sequence[Any]) -> StoredObject:
    (
        key,
        bucket,
        name,
        generation,
        metageneration,
        size,
        md5,
        crc32c,
        component_count,
        settings,
        tokens,
        owner,
        time_created,
        updated,
    ) = row
    loaded = orjson.loads(settings)
    return StoredObject(
        id=key,
        bucket=bucket,
        name=name.decode(),
        generation=generation,
        metageneration=metageneration,
        size=size,
        md5=md5,
        crc32c=crc32c,
        component_count=component_count,
        settings=ObjectSettings(loaded["values"], loaded["custom"]),
        tokens=tuple(token for token in tokens.split(",") if token),
        owner=owner,
        time_created=time_created,
        updated=updated,
    )


def _row(stored: StoredObject) -> tuple[Any, ...]:
    """The values of :data:`_WRITTEN`."""
    settings = {"values": dict(stored.settings.values), "custom": dict(stored.settings.custom)}
    return (
        stored.bucket,
        stored.name.encode(),
        stored.generation,
        stored.metageneration,
        stored.size,
        stored.md5,
        stored.crc32c,
        stored.component_count,
        orjson.dumps(settings).decode(),
        ",".join(stored.tokens),
        stored.owner,
        stored.time_created,
        stored.updated,
    )


def insert(tx: Tx, stored: StoredObject) -> StoredObject:
    """Add a row; answers the object with its key."""
    return dataclasses.replace(stored, id=tx.insert(_INSERT, _row(stored)))


def replace(tx: Tx, stored: StoredObject) -> None:
    """Set the row of ``stored.id`` to what the object is now."""
    tx.run(_REPLACE, (*_row(stored), stored.id))


def delete(tx: Tx, stored: StoredObject) -> None:
    """Remove the row, whose segments must be gone."""
    tx.run("DELETE FROM storage_objects WHERE id = ?", (stored.id,))


# Segments


def segments_of_upload(tx: Tx, upload_id: str) -> tuple[Segment, ...]:
    """The segments of a resumable upload, in order."""
    rows = tx.all(
        "SELECT blob, size FROM storage_segments WHERE upload_id = ? ORDER BY position",
        (upload_id,),
    )
    return tuple(Segment(blob, size) for blob, size in rows)


def add_segments(
    tx: Tx,
    parts: Sequence[Segment],
    *,
    object_id: int | None = None,
    upload_id: str | None = None,
    first: int = 0,
) -> None:
    """Append segments to an object or to an upload."""
    tx.run_many(
        "INSERT INTO storage_segments (object_id, upload_id, position, blob, size) VALUES (?, ?, ?, ?, ?)",
        [
            (object_id, upload_id, first + number, part.blob, part.size)
            for number, part in enumerate(parts)
        ],
    )


def drop_segments(
    tx: Tx, *, object_id: int | None = None, upload_id: str | None = None
) -> list[str]:
    """Remove all segments of an object or of an upload; answers the blobs that were named by them."""
    owner, key = ("object_id", object_id) if object_id is not None else ("upload_id", upload_id)
    dropped = tx.all(f"DELETE FROM storage_segments WHERE {owner} = ? RETURNING blob", (key,))
    return [blob for (blob,) in dropped]


def unnamed(tx: Tx, blobs: Iterable[str]) -> list[str]:
    """Those of the blobs that no segment names."""
    wanted = list(dict.fromkeys(blobs))
    named: set[str] = set()
    for start in range(0, len(wanted), 500):
        batch = wanted[start : start + 500]
        marks = ", ".join("?" * len(batch))
        found = tx.all(f"SELECT blob FROM storage_segments WHERE blob IN ({marks})", batch)
        named.update(blob for (blob,) in found)
    return [blob for blob in wanted if blob not in named]


# Usage


def usage_of(tx: Tx, bucket: str, owner: str) -> tuple[int, int]:
    """(bytes, objects) of a bucket (empty owner) or of a user in it."""
    row = tx.one(
        "SELECT bytes, objects FROM storage_usage WHERE bucket = ? AND owner = ?", (bucket, owner)
    )
    return (0, 0) if row is None else (row[0], row[1])


def add_usage(tx: Tx, bucket: str, owner: str, size: int, count: int) -> None:
    """Count bytes and objects in, or out."""
    tx.run(
        "INSERT INTO storage_usage (bucket, owner, bytes, objects) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (bucket, owner) DO UPDATE"
        " SET bytes = bytes + excluded.bytes, objects = objects + excluded.objects",
        (bucket, owner, size, count),
    )


# Listing


@dataclasses.dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list: names that begin with ``prefix``; what follows the next ``delimiter`` is rolled up.

    ``start`` (inclusive) and ``end`` (exclusive) bound the names; ``chosen`` tells which of them
    are meant, where not all are.
    """

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    page_token: str | None = None
    max_results: int = 1000
    start: str = ""
    end: str = ""
    include_trailing_delimiter: bool = False
    chosen: Callable[[str], bool] | None = None


def list_page(tx: Tx, query: ListQuery) -> Page:
    """A page of a listing, at the cost of what it shows: rolled-up names are skipped, not read.

    Raises:
        InvalidArgument: the page token is none of ours.
    """
    prefix, delimiter = query.prefix.encode(), query.delimiter.encode()
    position = max(prefix, query.start.encode())
    if query.page_token:
        position = max(position, decode_page_token(query.page_token))
    items: list[StoredObject] = []
    prefixes: list[bytes] = []
    while True:
        room = query.max_results - len(items) - len(prefixes)
        wanted = room + 1 if query.chosen is None else max(room + 1, _CHOSEN_BATCH)
        rows = _names_from(tx, query, prefix, position, wanted)
        skipped_to: bytes | None = None
        for row in rows:
            name = row[_NAME]
            if skipped_to is not None and name < skipped_to:
                continue
            if query.chosen is not None and not query.chosen(name.decode()):
                continue
            if len(items) + len(prefixes) >= query.max_results:
                return _page(items, prefixes, encode_page_token(name))
            rolled = _rolled_up(name, prefix, delimiter)
            if rolled is not None:
                prefixes.append(rolled)
                skipped_to = after_prefix(rolled)
            if rolled is None or (query.include_trailing_delimiter and rolled == name):
                items.append(_object(row))
        if len(rows) < wanted:
            return _page(items, prefixes, None)
        last = rows[-1][_NAME]
        position = skipped_to if skipped_to is not None and last < skipped_to else last + b"\0"


def _names_from(
    tx: Tx, query: ListQuery, prefix: bytes, position: bytes, count: int
) -> list[tuple[Any, ...]]:
    conditions, values = ["bucket = ?", "name >= ?"], [query.bucket, position]
    for bound in (after_prefix(prefix) if prefix else b"", query.end.encode()):
        if bound:
            conditions.append("name < ?")
            values.append(bound)
    return tx.all(
        f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY name LIMIT ?", (*values, count)
    )


def _rolled_up(name: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    if not delimiter:
        return None
    found = name.find(delimiter, len(prefix))
    return None if found < 0 else name[: found + len(delimiter)]


def after_prefix(prefix: bytes) -> bytes:
    """The smallest bytes above everything that begins with the prefix (UTF-8 has no 0xFF)."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _page(items: list[StoredObject], prefixes: list[bytes], token: str | None) -> Page:
    return Page(tuple(items), tuple(prefix.decode() for prefix in prefixes), token)
