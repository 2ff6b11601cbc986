"""The schema: what the migrations make is what the code believes in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
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


class Cut(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 1.0])
def test_a_migration_that_is_cut_off_leaves_nothing(tmp_path: Path, part: float) -> None:
    def statements(path: Path, cut_after: float) -> int:
        count = 0

        def executed(*_: object) -> None:
            nonlocal count
            count += 1
            if count >= cut_after:
                raise Cut

        sa.event.listen(sa.Engine, "after_cursor_execute", executed)
        try:
            schema.migrate_sqlite(path)
        finally:
            sa.event.remove(sa.Engine, "after_cursor_execute", executed)
        return count

    whole = statements(tmp_path / "whole.db", math.inf)
    path = tmp_path / "cut.db"
    with pytest.raises(Cut):
        statements(path, int(whole * part))
    engine = sa.create_engine(schema.sqlite_url(path), poolclass=sa.pool.NullPool)
    assert sa.inspect(engine).get_table_names() == []
    assert schema.migrate_sqlite(path)
    assert schema.sqlite_revision(path) == schema.HEAD_REVISION
