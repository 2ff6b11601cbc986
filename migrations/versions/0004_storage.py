"""The storage room: buckets, objects and their segments, uploads, usage, the feed of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_storage"
down_revision = "0003_auth"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "storage_buckets",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("time_created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("metageneration", sa.BigInteger, nullable=False),
        sa.Column("settings", sa.String, nullable=False),
    )
    op.create_table(
        "storage_objects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("bucket", sa.String, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("metageneration", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("md5", sa.LargeBinary),
        sa.Column("crc32c", sa.BigInteger, nullable=False),
        sa.Column("component_count", sa.Integer),
        sa.Column("settings", sa.String, nullable=False),
        sa.Column("tokens", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("time_created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("bucket", "name"),
    )
    op.create_table(
        "storage_uploads",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("bucket", sa.String, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("crc32c", sa.BigInteger, nullable=False),
        sa.Column("result", sa.String),
        sa.Column("time_created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("storage_uploads_by_expiry", "storage_uploads", ["expires"])
    op.create_table(
        "storage_segments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("object_id", sa.Integer, sa.ForeignKey("storage_objects.id")),
        sa.Column("upload_id", sa.String, sa.ForeignKey("storage_uploads.id")),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("blob", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("storage_segments_of_object", "storage_segments", ["object_id", "position"])
    op.create_index("storage_segments_of_upload", "storage_segments", ["upload_id", "position"])
    op.create_index("storage_segments_by_blob", "storage_segments", ["blob"])
    op.create_table(
        "storage_usage",
        sa.Column("bucket", sa.String, primary_key=True),
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("objects", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "storage_events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("bucket", sa.String, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("resource", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("storage_events_by_time", "storage_events", ["time"])
