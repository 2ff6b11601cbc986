"""The document store: databases, collections, documents, changes, indexes, expiry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_documents"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "databases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("epoch", sa.LargeBinary, nullable=False),
        sa.Column("last_commit", sa.BigInteger, nullable=False),
        sa.Column("oldest_change", sa.BigInteger, nullable=False),
        sa.Column("index_generation", sa.Integer, nullable=False, server_default="0"),
        sa.UniqueConstraint("project", "name"),
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), nullable=False),
        sa.Column("path_key", sa.LargeBinary, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("collection_id", sa.String, nullable=False),
        sa.UniqueConstraint("database_id", "path_key"),
    )
    op.create_index(
        "collections_by_id", "collections", ["database_id", "collection_id", "path_key"]
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("collection_key", sa.Integer, sa.ForeignKey("collections.id"), nullable=False),
        sa.Column("id_key", sa.LargeBinary, nullable=False),
        sa.Column("document_id", sa.String, nullable=False),
        sa.Column("fields", sa.LargeBinary, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("collection_key", "id_key"),
    )
    op.create_table(
        "changes",
        sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), primary_key=True),
        sa.Column("commit_time", sa.BigInteger, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("collection_key", sa.Integer, nullable=False),
        sa.Column("id_key", sa.LargeBinary, nullable=False),
        sa.Column("document_id", sa.String, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("old_fields", sa.LargeBinary),
        sa.Column("old_create_time", sa.BigInteger),
        sa.Column("old_update_time", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "changes_that_delete",
        "changes",
        ["collection_key", "id_key", "commit_time"],
        sqlite_where=sa.text("deleted"),
    )
    op.create_table(
        "indexes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), nullable=False),
        sa.Column("collection_id", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("fields", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("requested_by", sa.String, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("built_path_key", sa.LargeBinary, nullable=False),
        sa.Column("built_id_key", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("database_id", "collection_id", "scope", "fields"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "index_entries",
        sa.Column("index_id", sa.Integer, primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("document", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ttl_policies",
        sa.Column("database_id", sa.Integer, sa.ForeignKey("databases.id"), primary_key=True),
        sa.Column("collection_id", sa.String, primary_key=True),
        sa.Column("field", sa.String, nullable=False),
    )
