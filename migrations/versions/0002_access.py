"""The access room: rulesets and their releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_access"
down_revision = "0001_documents"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "rulesets",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("file_name", sa.String, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
    )
    op.create_index("rulesets_by_project", "rulesets", ["project", "create_time"])
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("ruleset_id", sa.String, sa.ForeignKey("rulesets.id"), nullable=True),
        sa.Column("release_time", sa.BigInteger, nullable=False),
    )
    op.create_index("releases_by_name", "releases", ["project", "name", "id"])
