"""The schema: what the migrations make is what the code believes in."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from baas.db import schema
from baas.db.tables import metadata

MIGRATIONS = Path(__file__).parents[3] / "migrations"


def test_the_code_works_with_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD_REVISION


def test_a_migrated_database_has_the_tables_of_the_code(migrated_file: Path) -> None:
    engine = sa.create_engine(schema.sqlite_url(migrated_file), poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "homefire.db"
    assert schema.migrate_sqlite(path) is True
    assert schema.migrate_sqlite(path) is False
