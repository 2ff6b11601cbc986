"""The access room."""

from __future__ import annotations

revision = "0002_access"
down_revision = "0001_documents"


def upgrade() -> None:
    """Create the tables."""
