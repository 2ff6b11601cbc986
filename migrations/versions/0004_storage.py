"""The storage room."""

from __future__ import annotations

revision = "0004_storage"
down_revision = "0003_auth"


def upgrade() -> None:
    """Create the tables."""
