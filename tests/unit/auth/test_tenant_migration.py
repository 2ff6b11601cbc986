"""A database of before tenants began with everything off: its tenants keep what they had."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config

from baas.auth import project_config
from baas.auth.options import AuthOptions, Scope
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from tests.unit.auth.support import CHEAP

ROOT = Path(__file__).parents[3]


async def test_tenants_keep_the_ways_in_that_they_had(tmp_path: Path) -> None:
    path = tmp_path / "homefire.db"
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    command.upgrade(config, "0004_storage")
    stored = {"displayName": "Acme", "signIn": {"anonymous": {"enabled": False}}}
    with sqlite3.connect(path) as old:
        old.execute(
            "insert into auth_projects (project, tenant, config) values ('demo', 'acme', ?)",
            (json.dumps({**stored, "enableAnonymousUser": False}),),
        )
    old.close()
    schema.migrate_sqlite(path)
    database = await SqliteDatabase.open(path)
    found = await database.read(
        lambda tx: project_config.load(tx, Scope("demo", "acme"), AuthOptions(hashing=CHEAP))
    )
    await database.close()
    assert found.get("signIn.email.enabled") is True
    assert found.get("signIn.anonymous.enabled") is False
    assert found.get("enableEmailLinkSignin") is True
    assert found.get("mfa.state") == "ENABLED"
