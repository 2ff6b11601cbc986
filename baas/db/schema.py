"""Bringing a database to the current schema.

The embedded SQLite is migrated by the server itself at start; a server database only when it is told to.
Alembic is loaded only when there is something to do, since importing it costs a quarter of a second.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

HEAD_REVISION = "0006_index_use"
"""The revision that this code works with: a test holds it against ``migrations/``."""

_PACKAGED = Path(__file__).parent / "migrations"
_IN_REPOSITORY = Path(__file__).parents[2] / "migrations"


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's URL of an SQLite file."""
    return f"sqlite:///{path}"


def sqlite_revision(path: Path) -> str | None:
    """The revision of an SQLite file; ``None`` for a new or empty one."""
    if not path.exists():
        return None
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    finally:
        connection.close()
    return None if row is None else str(row[0])


def migrate(url: str) -> None:
    """Bring the database at this URL to :data:`HEAD_REVISION`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    scripts = _PACKAGED if _PACKAGED.is_dir() else _IN_REPOSITORY
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


def migrate_sqlite(path: Path) -> bool:
    """Bring an SQLite file to the current schema; answers whether anything was to do."""
    if sqlite_revision(path) == HEAD_REVISION:
        return False
    migrate(sqlite_url(path))
    return True
