"""Accounts know the address that they began with, and are found by the one that they have at a provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_auth_emails"
down_revision = "0004_storage"


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column("auth_accounts", sa.Column("initial_email", sa.String))
    op.create_index("auth_identities_by_email", "auth_identities", ["project", "tenant", "email"])
