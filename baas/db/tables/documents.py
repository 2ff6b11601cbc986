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
    # all changes after this time are kept: resume and reads in the past reach back to it
    sa.Column("oldest_change", sa.BigInteger, nullable=False),
    # goes up with every change of the indexes, so that what is known of them in memory can be checked
    sa.Column("index_generation", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("project", "name"),
)

collections = sa.Table(
    "collections",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), nullable=False),
    # order-preserving encoding of the collection's path: every document in it has a key that begins so
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
    # order-preserving encoding of the document id, end mark included
    sa.Column("id_key", sa.LargeBinary, nullable=False),
    sa.Column("document_id", sa.String, nullable=False),
    # proto3-JSON bytes of the `fields` object
    sa.Column("fields", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Column("update_time", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("collection_key", "id_key"),
)

# What each commit did, as images of what was there before it: enough to undo it, and so to read any
# version since, and to tell a listener what happened.
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), primary_key=True),
    sa.Column("commit_time", sa.BigInteger, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("collection_key", sa.Integer, nullable=False),
    sa.Column("id_key", sa.LargeBinary, nullable=False),
    sa.Column("document_id", sa.String, nullable=False),
    # whether the document is gone after the commit
    sa.Column("deleted", sa.Boolean, nullable=False),
    # the document before the commit; null where it did not exist
    sa.Column("old_fields", sa.LargeBinary),
    sa.Column("old_create_time", sa.BigInteger),
    sa.Column("old_update_time", sa.BigInteger),
    sa.Index(
        "changes_that_delete",
        "collection_key",
        "id_key",
        "commit_time",
        sqlite_where=sa.text("deleted"),
    ),
    sqlite_with_rowid=False,
)

indexes = sa.Table(
    "indexes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), nullable=False),
    sa.Column("collection_id", sa.String, nullable=False),
    # "collection" or "group"
    sa.Column("scope", sa.String, nullable=False),
    # JSON list of [field path, "asc" | "desc" | "contains"]
    sa.Column("fields", sa.String, nullable=False),
    # "building", "ready" or "dropping"
    sa.Column("state", sa.String, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    # what asked for it, for the operator to read
    sa.Column("requested_by", sa.String, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    # how far the building has come: the collection and document last looked at
    sa.Column("built_path_key", sa.LargeBinary, nullable=False),
    sa.Column("built_id_key", sa.LargeBinary, nullable=False),
    # when a query last used it, give or take some minutes; at first, when it was made
    sa.Column("last_use", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("database_id", "collection_id", "scope", "fields"),
    sqlite_autoincrement=True,
)

index_entries = sa.Table(
    "index_entries",
    metadata,
    sa.Column("index_id", sa.Integer, primary_key=True),
    # scope, then the fields, then the document's name: order-preserving
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("document", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

ttl_policies = sa.Table(
    "ttl_policies",
    metadata,
    sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), primary_key=True),
    sa.Column("collection_id", sa.String, primary_key=True),
    sa.Column("field", sa.String, nullable=False),
)
