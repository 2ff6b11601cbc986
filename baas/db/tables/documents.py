"""Tables of the document store. Times are microseconds since the epoch."""

from __future__ import annotations

import sqlalchemy as sa

from baas.db.tables.base import metadata

databases = sa.Table(
    "databases",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    # 8 random bytes: tells one history of this database from another
    sa.Column("epoch", sa.LargeBinary, nullable=False),
    sa.Column("last_commit", sa.BigInteger, nullable=False),
    # changes before this time are pruned: resume and reads in the past end here
    sa.Column("oldest_change", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project", "name"),
)

collections = sa.Table(
    "collections",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), nullable=False),
    # order-preserving encoding of the collection's path
    sa.Column("path_key", sa.LargeBinary, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("collection_id", sa.String, nullable=False),
    sa.UniqueConstraint("database_id", "path_key"),
    sa.Index("collections_by_id", "database_id", "collection_id", "path_key"),
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("collection_key", sa.Integer, sa.ForeignKey("collections.id"), nullable=False),
    # order-preserving encoding of the document id
    sa.Column("id_key", sa.LargeBinary, nullable=False),
    sa.Column("document_id", sa.String, nullable=False),
    # proto3-JSON bytes of the `fields` object
    sa.Column("fields", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Column("update_time", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("collection_key", "id_key"),
)
