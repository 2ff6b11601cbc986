"""The auth room: accounts, identities, sessions, signing keys, codes, projects, service accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_auth"
down_revision = "0002_access"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "auth_accounts",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("uid", sa.String, nullable=False),
        sa.Column("email", sa.String),
        sa.Column("email_verified", sa.Boolean, nullable=False),
        sa.Column("phone_number", sa.String),
        sa.Column("display_name", sa.String),
        sa.Column("photo_url", sa.String),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("password_hash", sa.String),
        sa.Column("password_updated_at", sa.BigInteger),
        sa.Column("custom_claims", sa.String),
        sa.Column("custom_auth", sa.Boolean, nullable=False),
        sa.Column("email_link", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_login_at", sa.BigInteger),
        sa.Column("last_refresh_at", sa.BigInteger),
        sa.Column("valid_since_s", sa.BigInteger, nullable=False),
        sa.Column("second_factors", sa.String),
        sa.UniqueConstraint("project", "tenant", "uid"),
        sa.UniqueConstraint("project", "tenant", "email"),
        sa.UniqueConstraint("project", "tenant", "phone_number"),
    )
    op.create_table(
        "auth_identities",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column(
            "account_key",
            sa.Integer,
            sa.ForeignKey("auth_accounts.key", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("provider_id", sa.String, nullable=False),
        sa.Column("raw_id", sa.String, nullable=False),
        sa.Column("email", sa.String),
        sa.Column("display_name", sa.String),
        sa.Column("photo_url", sa.String),
        sa.Column("screen_name", sa.String),
        sa.UniqueConstraint("project", "tenant", "provider_id", "raw_id"),
    )
    op.create_table(
        "auth_sessions",
        sa.Column("id_hash", sa.LargeBinary, primary_key=True),
        sa.Column(
            "account_key",
            sa.Integer,
            sa.ForeignKey("auth_accounts.key", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("sign_in_provider", sa.String, nullable=False),
        sa.Column("auth_time_s", sa.BigInteger, nullable=False),
        sa.Column("claims", sa.String),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("current_hash", sa.LargeBinary, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary),
        sa.Column("rotated_at", sa.BigInteger, nullable=False),
        sa.Column("late_repeats", sa.Integer, nullable=False),
    )
    op.create_table(
        "auth_signing_keys",
        sa.Column("key_id", sa.String, primary_key=True),
        sa.Column("private_key", sa.LargeBinary, nullable=False),
        sa.Column("certificate", sa.String, nullable=False),
        sa.Column("active_from", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "auth_codes",
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column(
            "account_key",
            sa.Integer,
            sa.ForeignKey("auth_accounts.key", ondelete="CASCADE"),
        ),
        sa.Column("payload", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "auth_attempts",
        sa.Column("subject", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("blocked_until", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "auth_projects",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("tenant", sa.String, primary_key=True),
        sa.Column("config", sa.String, nullable=False),
    )
    op.create_table(
        "auth_providers",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("tenant", sa.String, primary_key=True),
        sa.Column("provider_id", sa.String, primary_key=True),
        sa.Column("config", sa.String, nullable=False),
        sa.Column("client_secret", sa.LargeBinary),
    )
    op.create_table(
        "auth_service_account_keys",
        sa.Column("key_id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("client_email", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("public_key", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "auth_access_tokens",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column(
            "key_id",
            sa.String,
            sa.ForeignKey("auth_service_account_keys.key_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "auth_identities_by_account", "auth_identities", ["account_key", "provider_id"], unique=True
    )
    op.create_index("ix_auth_sessions_account_key", "auth_sessions", ["account_key"])
    op.create_index("ix_auth_codes_account_key", "auth_codes", ["account_key"])
    op.create_index("ix_auth_codes_expires_at", "auth_codes", ["expires_at"])
    op.create_index("ix_auth_attempts_updated_at", "auth_attempts", ["updated_at"])
    op.create_index(
        "ix_auth_service_account_keys_client_email", "auth_service_account_keys", ["client_email"]
    )
    op.create_index("ix_auth_access_tokens_key_id", "auth_access_tokens", ["key_id"])
    op.create_index("ix_auth_access_tokens_expires_at", "auth_access_tokens", ["expires_at"])
