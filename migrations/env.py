"""Alembic's entry: runs the migrations over the URL that it is configured with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context


def run() -> None:
    """Run the migrations, all of them in one SQL transaction where the engine can."""
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise RuntimeError("sqlalchemy.url is not set")
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()


run()
