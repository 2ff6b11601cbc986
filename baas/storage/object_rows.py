"""SQL of objects and their segments: plain functions of a unit of work."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from baas.db.tables.storage import storage_objects as objects
from baas.db.tables.storage import storage_segments as segments
from baas.db.tables.storage import storage_usage as usage
from baas.db.unit import Tx
from baas.storage.model import ObjectSettings, Page, Segment, StoredObject
from baas.storage.page_token import decode_page_token, encode_page_token


def find(tx: Tx, bucket: str, name: str) -> StoredObject | None:
    """The object of this name."""
    query = sa.select(objects).where(objects.c.bucket == bucket, objects.c.name == name.encode())
    row = tx.core.execute(query).one_or_none()
    return None if row is None else _object(row._mapping)


def _object(row: Mapping[Any, Any]) -> StoredObject:
    return StoredObject(
        id=row["id"],
        bucket=row["bucket"],
        name=bytes(row["name"]).decode(),
        generation=row["generation"],
        metageneration=row["metageneration"],
        size=row["size"],
        md5=None if row["md5"] is None else bytes(row["md5"]),
        crc32c=row["crc32c"],
        component_count=row["component_count"],
        settings=_settings(row["settings"]),
        tokens=tuple(token for token in row["tokens"].split(",") if token),
        owner=row["owner"],
        time_created=row["time_created"],
        updated=row["updated"],
    )


def _settings(text: str) -> ObjectSettings:
    loaded = json.loads(text)
    return ObjectSettings(loaded["values"], loaded["custom"])


def _row(stored: StoredObject) -> dict[str, Any]:
    settings = {"values": dict(stored.settings.values), "custom": dict(stored.settings.custom)}
    return {
        "bucket": stored.bucket,
        "name": stored.name.encode(),
        "generation": stored.generation,
        "metageneration": stored.metageneration,
        "size": stored.size,
        "md5": stored.md5,
        "crc32c": stored.crc32c,
        "component_count": stored.component_count,
        "settings": json.dumps(settings),
        "tokens": ",".join(stored.tokens),
        "owner": stored.owner,
        "time_created": stored.time_created,
        "updated": stored.updated,
    }


def insert(tx: Tx, stored: StoredObject) -> StoredObject:
    """Add a row; answers the object with its key."""
    result = tx.core.execute(sa.insert(objects).values(_row(stored)))
    (key,) = result.inserted_primary_key or (0,)
    return dataclasses.replace(stored, id=key)


def replace(tx: Tx, stored: StoredObject) -> None:
    """Set the row of ``stored.id`` to what the object is now."""
    tx.core.execute(sa.update(objects).where(objects.c.id == stored.id).values(_row(stored)))


def delete(tx: Tx, stored: StoredObject) -> None:
    """Remove the row, whose segments must be gone."""
    tx.core.execute(sa.delete(objects).where(objects.c.id == stored.id))


# Segments


def segments_of(tx: Tx, stored: StoredObject) -> tuple[Segment, ...]:
    """The segments of an object, in order."""
    query = (
        sa.select(segments.c.blob, segments.c.size)
        .where(segments.c.object_id == stored.id)
        .order_by(segments.c.position)
    )
    return tuple(Segment(row.blob, row.size) for row in tx.core.execute(query))


def segments_of_upload(tx: Tx, upload_id: str) -> tuple[Segment, ...]:
    """The segments of a resumable upload, in order."""
    query = (
        sa.select(segments.c.blob, segments.c.size)
        .where(segments.c.upload_id == upload_id)
        .order_by(segments.c.position)
    )
    return tuple(Segment(row.blob, row.size) for row in tx.core.execute(query))


def add_segments(
    tx: Tx,
    parts: Sequence[Segment],
    *,
    object_id: int | None = None,
    upload_id: str | None = None,
    first: int = 0,
) -> None:
    """Append segments to an object or to an upload."""
    rows = [
        {
            "object_id": object_id,
            "upload_id": upload_id,
            "position": first + number,
            "blob": part.blob,
            "size": part.size,
        }
        for number, part in enumerate(parts)
    ]
    if rows:
        tx.core.execute(sa.insert(segments), rows)


def drop_segments(
    tx: Tx, *, object_id: int | None = None, upload_id: str | None = None
) -> list[str]:
    """Remove all segments of an object or of an upload; answers the blobs that nothing names any more."""
    owner = (
        segments.c.object_id == object_id
        if object_id is not None
        else segments.c.upload_id == upload_id
    )
    blobs = [row.blob for row in tx.core.execute(sa.select(segments.c.blob).where(owner))]
    tx.core.execute(sa.delete(segments).where(owner))
    return unnamed(tx, blobs)


def unnamed(tx: Tx, blobs: Iterable[str]) -> list[str]:
    """Those of the blobs that no segment names."""
    wanted = list(dict.fromkeys(blobs))
    named: set[str] = set()
    for start in range(0, len(wanted), 500):
        batch = wanted[start : start + 500]
        query = sa.select(segments.c.blob).where(segments.c.blob.in_(batch))
        named.update(row.blob for row in tx.core.execute(query))
    return [blob for blob in wanted if blob not in named]


# Usage


def usage_of(tx: Tx, bucket: str, owner: str) -> tuple[int, int]:
    """(bytes, objects) of a bucket (empty owner) or of a user in it."""
    query = sa.select(usage.c.bytes, usage.c.objects).where(
        usage.c.bucket == bucket, usage.c.owner == owner
    )
    row = tx.core.execute(query).one_or_none()
    return (0, 0) if row is None else (row.bytes, row.objects)


def add_usage(tx: Tx, bucket: str, owner: str, size: int, count: int) -> None:
    """Count bytes and objects in, or out."""
    updated = tx.core.execute(
        sa.update(usage)
        .where(usage.c.bucket == bucket, usage.c.owner == owner)
        .values(bytes=usage.c.bytes + size, objects=usage.c.objects + count)
    )
    if updated.rowcount == 0:
        tx.core.execute(
            sa.insert(usage).values(bucket=bucket, owner=owner, bytes=size, objects=count)
        )


# Listing


@dataclasses.dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list: names that begin with ``prefix``; what follows the next ``delimiter`` is rolled up.

    ``start`` (inclusive) and ``end`` (exclusive) bound the names.
    """

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    page_token: str | None = None
    max_results: int = 1000
    start: str = ""
    end: str = ""
    include_trailing_delimiter: bool = False


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
        rows = _names_from(tx, query, prefix, position, room + 1)
        skipped_to: bytes | None = None
        for row in rows:
            if skipped_to is not None and row.name < skipped_to:
                continue
            if len(items) + len(prefixes) == query.max_results:
                return _page(items, prefixes, encode_page_token(bytes(row.name)))
            rolled = _rolled_up(bytes(row.name), prefix, delimiter)
            if rolled is not None:
                prefixes.append(rolled)
                skipped_to = after_prefix(rolled)
            if rolled is None or (query.include_trailing_delimiter and rolled == row.name):
                items.append(_object(row._mapping))
        if len(rows) <= room:
            return _page(items, prefixes, None)
        last = bytes(rows[-1].name)
        position = skipped_to if skipped_to is not None and last < skipped_to else last + b"\0"


def _names_from(
    tx: Tx, query: ListQuery, prefix: bytes, position: bytes, count: int
) -> Sequence[sa.Row[Any]]:
    select = sa.select(objects).where(objects.c.bucket == query.bucket, objects.c.name >= position)
    if prefix:
        select = select.where(objects.c.name < after_prefix(prefix))
    if query.end:
        select = select.where(objects.c.name < query.end.encode())
    return tx.core.execute(select.order_by(objects.c.name).limit(count)).all()


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
