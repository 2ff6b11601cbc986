"""The document store: databases, collections, documents."""

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
