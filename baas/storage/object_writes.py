"""What happens to an object, each a unit of work: rows, segments, usage and the event, all or nothing.

Rules were asked before, about the object as it was then. A unit is told which state that was, and raises
:class:`Changed` if there is another by now, so that the caller asks again.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

from baas.db.unit import Tx
from baas.errors import NotFound
from baas.storage import object_json, object_rows
from baas.storage.errors import QuotaExceeded
from baas.storage.model import ObjectSettings, Received, StoredObject
from baas.storage.options import Quota, StorageOptions

FINALIZE, DELETE, METADATA_UPDATE = "finalize", "delete", "metadataUpdate"

Garbage = Callable[[list[str]], None]
"""Told, after the flush, which blobs nothing names any more."""


class Changed(Exception):
    """The object is not the one that was decided about."""


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object to be: what the client said and the bytes that are durable."""

    bucket: str
    name: str
    settings: ObjectSettings
    received: Received
    tokens: tuple[str, ...]
    owner: str


def now_micros() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def same(a: StoredObject | None, b: StoredObject | None) -> bool:
    """Whether two looks at a name saw one state."""
    if a is None or b is None:
        return a is b
    return (a.generation, a.metageneration) == (b.generation, b.metageneration)


def publish(
    tx: Tx, new: NewObject, expected: StoredObject | None, options: StorageOptions, garbage: Garbage
) -> StoredObject:
    """Let the name stand for the new bytes.

    Raises:
        Changed: see above.
        QuotaExceeded: the bucket or the user has no room for it.
    """
    existing = object_rows.find(tx, new.bucket, new.name)
    if not same(existing, expected):
        raise Changed
    now = now_micros()
    stored = StoredObject(
        bucket=new.bucket,
        name=new.name,
        generation=max(now, existing.generation + 1 if existing else 0),
        metageneration=1,
        size=new.received.size,
        md5=new.received.md5,
        crc32c=new.received.crc32c,
        component_count=new.received.component_count,
        settings=new.settings,
        tokens=new.tokens,
        owner=new.owner,
        time_created=now,
        updated=now,
        id=existing.id if existing else 0,
    )
    dropped: list[str] = []
    if existing is None:
        stored = object_rows.insert(tx, stored)
    else:
        dropped = object_rows.drop_segments(tx, object_id=existing.id)
        object_rows.replace(tx, stored)
    object_rows.add_segments(tx, new.received.segments, object_id=stored.id)
    _count(tx, stored.bucket, existing, stored)
    check_quota(tx, stored.bucket, stored.owner, options)
    add_event(tx, FINALIZE, stored)
    # a copy of an object onto itself names its blobs again
    dropped = object_rows.unnamed(tx, dropped)
    if dropped:
        tx.on_flush(lambda: garbage(dropped))
    return stored


def remove(tx: Tx, bucket: str, name: str, expected: StoredObject, garbage: Garbage) -> None:
    """Delete the object.

    Raises:
        NotFound: it is gone already.
        Changed: see above.
    """
    existing = object_rows.find(tx, bucket, name)
    if existing is None:
        raise not_found(bucket, name)
    if not same(existing, expected):
        raise Changed
    dropped = object_rows.unnamed(tx, object_rows.drop_segments(tx, object_id=existing.id))
    object_rows.delete(tx, existing)
    _count(tx, existing.bucket, existing, None)
    add_event(tx, DELETE, existing)
    if dropped:
        tx.on_flush(lambda: garbage(dropped))


def amend(
    tx: Tx,
    expected: StoredObject,
    *,
    settings: ObjectSettings | None = None,
    tokens: tuple[str, ...] | None = None,
) -> StoredObject:
    """Change what is said of an object; its bytes and generation stay.

    Raises:
        NotFound: it is gone.
        Changed: see above.
    """
    existing = object_rows.find(tx, expected.bucket, expected.name)
    if existing is None:
        raise not_found(expected.bucket, expected.name)
    if not same(existing, expected):
        raise Changed
    stored = dataclasses.replace(
        existing,
        settings=existing.settings if settings is None else settings,
        tokens=existing.tokens if tokens is None else tokens,
        metageneration=existing.metageneration + 1,
        updated=max(now_micros(), existing.updated),
    )
    object_rows.replace(tx, stored)
    add_event(tx, METADATA_UPDATE, stored)
    return stored


def add_event(tx: Tx, kind: str, stored: StoredObject) -> None:
    """Add to the feed, in the unit that makes it true."""
    tx.run(
        "INSERT INTO storage_events (bucket, name, kind, time, resource) VALUES (?, ?, ?, ?, ?)",
        (stored.bucket, stored.name.encode(), kind, now_micros(), object_json.dump(stored)),
    )


def check_quota(
    tx: Tx, bucket: str, owner: str, options: StorageOptions, more_bytes: int = 0
) -> None:
    """Raises:
    QuotaExceeded: the bucket or the user's share holds more than it may.
    """
    _check(tx, bucket, "", options.bucket_quota, f"The bucket {bucket}", more_bytes)
    if owner:
        _check(tx, bucket, owner, options.user_quota, "Your share of the bucket", more_bytes)


def _check(tx: Tx, bucket: str, owner: str, quota: Quota, whose: str, more: int) -> None:
    if quota.bytes is None and quota.objects is None:
        return
    used, count = object_rows.usage_of(tx, bucket, owner)
    if quota.bytes is not None and used + more > quota.bytes:
        raise QuotaExceeded(f"{whose} is full: its quota is {quota.bytes} bytes.")
    if quota.objects is not None and count > quota.objects:
        raise QuotaExceeded(f"{whose} is full: its quota is {quota.objects} objects.")


def _count(tx: Tx, bucket: str, before: StoredObject | None, after: StoredObject | None) -> None:
    """Count what took the place of what, for the bucket and for the users whose they are."""
    changes: dict[str, tuple[int, int]] = {}
    for stored, sign in ((before, -1), (after, +1)):
        if stored is not None:
            for owner in dict.fromkeys(("", stored.owner)):
                size, count = changes.get(owner, (0, 0))
                changes[owner] = size + sign * stored.size, count + sign
    for owner, (size, count) in changes.items():
        if size or count:
            object_rows.add_usage(tx, bucket, owner, size, count)


def not_found(bucket: str, name: str) -> NotFound:
    """The error for an object that is not there."""
    return NotFound(f"No such object: {bucket}/{name}")
