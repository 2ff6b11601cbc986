"""The tables, a module a room; ``metadata`` knows all of them. What creates them is ``migrations/``."""

from baas.db.tables import access, auth, documents, storage
from baas.db.tables.base import metadata

__all__ = ["access", "auth", "documents", "metadata", "storage"]
