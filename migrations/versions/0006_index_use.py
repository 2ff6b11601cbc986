"""Indexes know when queries last used them, so that the least used makes room for another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_index_use"
down_revision = "0005_auth_emails"


def upgrade() -> None:
    """Add the column. Indexes that are there count as used when they were made."""
    op.add_column(
        "indexes", sa.Column("last_use", sa.BigInteger, nullable=False, server_default="0")
    )
    op.execute("UPDATE indexes SET last_use = create_time")
