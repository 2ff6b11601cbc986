"""Alembic's entry: runs the migrations over the URL that it is configured with."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context


def run() -> None:
    """Run the migrations, all of them in one SQL transaction where the engine can."""
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise RuntimeError("sqlalchemy.url is not set")
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    if engine.dialect.name == "sqlite":
        _begin_before_tables_change(engine)
    with engine.connect() as connection:
        context.configure(connection=connection, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()


def _begin_before_tables_change(engine: sa.Engine) -> None:
    """Have Python's driver leave transactions alone: by itself it begins none before a change of tables, so
    that a process that is killed would leave half of a migration, which no other could go on with."""

    @sa.event.listens_for(engine, "connect")
    def leave_transactions_alone(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


run()
