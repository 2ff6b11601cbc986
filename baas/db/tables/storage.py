"""Tables of the storage room. Times are microseconds since the epoch.

An object's bytes are its *segments*: blobs in order. A simple upload is one segment, a resumable upload one
a chunk, a composed object those of its sources. Several objects may share a blob (copies do); a blob that no
segment names is garbage.
"""

from __future__ import annotations

import sqlalchemy as sa

from baas.db.tables.base import metadata

storage_buckets = sa.Table(
    "storage_buckets",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("time_created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("metageneration", sa.BigInteger, nullable=False),
    # JSON: what the admin API lets one set (location, storage class, labels, lifecycle)
    sa.Column("settings", sa.String, nullable=False),
)

storage_objects = sa.Table(
    "storage_objects",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("bucket", sa.String, nullable=False),
    # UTF-8 bytes, so that every engine orders names alike
    sa.Column("name", sa.LargeBinary, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("metageneration", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    # absent for composed objects, as in Cloud Storage
    sa.Column("md5", sa.LargeBinary),
    sa.Column("crc32c", sa.BigInteger, nullable=False),
    sa.Column("component_count", sa.Integer),
    # JSON: content type and its like, custom metadata
    sa.Column("settings", sa.String, nullable=False),
    # download tokens, joined by commas
    sa.Column("tokens", sa.String, nullable=False),
    # whose quota it counts against: a uid, or empty
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("time_created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("bucket", "name"),
)

storage_uploads = sa.Table(
    "storage_uploads",
    metadata,
    # sha256 of the upload id: whoever reads the table cannot go on with the upload
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("bucket", sa.String, nullable=False),
    sa.Column("name", sa.LargeBinary, nullable=False),
    # JSON: who started it, what was declared, preconditions
    sa.Column("plan", sa.String, nullable=False),
    # "active", "final" or "cancelled"
    sa.Column("state", sa.String, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    # crc32c of what was received
    sa.Column("crc32c", sa.BigInteger, nullable=False),
    # JSON of the object that it became, for a client that asks again
    sa.Column("result", sa.String),
    sa.Column("time_created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False),
    sa.Index("storage_uploads_by_expiry", "expires"),
)

storage_segments = sa.Table(
    "storage_segments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # exactly one of these two
    sa.Column("object_id", sa.Integer, sa.ForeignKey("storage_objects.id")),
    sa.Column("upload_id", sa.String, sa.ForeignKey("storage_uploads.id")),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("blob", sa.String, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Index("storage_segments_of_object", "object_id", "position"),
    sa.Index("storage_segments_of_upload", "upload_id", "position"),
    sa.Index("storage_segments_by_blob", "blob"),
)

storage_usage = sa.Table(
    "storage_usage",
    metadata,
    sa.Column("bucket", sa.String, primary_key=True),
    # a uid, or empty: the whole bucket
    sa.Column("owner", sa.String, primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("objects", sa.BigInteger, nullable=False),
)

storage_events = sa.Table(
    "storage_events",
    metadata,
    # ids are never used twice, so that a reader's position stays true
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("bucket", sa.String, nullable=False),
    sa.Column("name", sa.LargeBinary, nullable=False),
    # "finalize", "delete" or "metadataUpdate"
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    # JSON: the object's resource as it was then
    sa.Column("resource", sa.String, nullable=False),
    sa.Index("storage_events_by_time", "time"),
    sqlite_autoincrement=True,
)
