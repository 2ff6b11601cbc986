"""Accounts know the address that they began with, and are found by the one that they have at a provider.

Tenants begin with every way in switched off from here on; those that are there keep what they had.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005_auth_emails"
down_revision = "0004_storage"


def upgrade() -> None:
    """Add the column and the index, and write down what tenants had by default."""
    op.add_column("auth_accounts", sa.Column("initial_email", sa.String))
    op.create_index("auth_identities_by_email", "auth_identities", ["project", "tenant", "email"])
    projects = sa.table(
        "auth_projects",
        sa.column("project", sa.String),
        sa.column("tenant", sa.String),
        sa.column("config", sa.String),
    )
    bind = op.get_bind()
    for row in bind.execute(sa.select(projects).where(projects.c.tenant != "")).all():
        bind.execute(
            sa.update(projects)
            .where(projects.c.project == row.project, projects.c.tenant == row.tenant)
            .values(config=json.dumps(explicit(json.loads(row.config))))
        )


def explicit(config: dict[str, Any]) -> dict[str, Any]:
    """A tenant's configuration with what it had without saying so."""
    found = {
        k: v for k, v in config.items() if k not in ("allowPasswordSignup", "enableAnonymousUser")
    }
    sign_in = found.setdefault("signIn", {})
    for way in ("email", "anonymous"):
        sign_in.setdefault(way, {}).setdefault("enabled", True)
    found.setdefault("enableEmailLinkSignin", True)
    factors = found.setdefault("mfa", {})
    factors.setdefault("state", "ENABLED")
    factors.setdefault("enabledProviders", ["PHONE_SMS"])
    totp = {"state": "ENABLED", "totpProviderConfig": {"adjacentIntervals": 1}}
    factors.setdefault("providerConfigs", [totp])
    return found
