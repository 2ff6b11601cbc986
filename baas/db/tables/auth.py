"""Tables of the auth room. Times are milliseconds since the epoch, unless a name ends in ``_s`` (seconds).

No column holds a usable secret: passwords are hashed, tokens and codes are kept as SHA-256 of random
strings, and what must be read back (signing keys, TOTP secrets) is sealed with a key from outside.
"""

from __future__ import annotations

import sqlalchemy as sa

from baas.db.tables.base import metadata

accounts = sa.Table(
    "auth_accounts",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    # "" outside of tenants, so that uniqueness holds there too
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("uid", sa.String, nullable=False),
    sa.Column("email", sa.String),
    sa.Column("email_verified", sa.Boolean, nullable=False, default=False),
    # the address before its owner first changed it
    sa.Column("initial_email", sa.String),
    sa.Column("phone_number", sa.String),
    sa.Column("display_name", sa.String),
    sa.Column("photo_url", sa.String),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("password_hash", sa.String),
    sa.Column("password_updated_at", sa.BigInteger),
    # JSON object as the admin gave it
    sa.Column("custom_claims", sa.String),
    sa.Column("custom_auth", sa.Boolean, nullable=False, default=False),
    sa.Column("email_link", sa.Boolean, nullable=False, default=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("last_login_at", sa.BigInteger),
    sa.Column("last_refresh_at", sa.BigInteger),
    # ID tokens of sign-ins before this are revoked
    sa.Column("valid_since_s", sa.BigInteger, nullable=False),
    # JSON list of enrolments; secrets in it are sealed
    sa.Column("second_factors", sa.String),
    sa.UniqueConstraint("project", "tenant", "uid"),
    sa.UniqueConstraint("project", "tenant", "email"),
    sa.UniqueConstraint("project", "tenant", "phone_number"),
)

identities = sa.Table(
    "auth_identities",
    metadata,
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
    sa.Index("auth_identities_by_account", "account_key", "provider_id", unique=True),
    sa.Index("auth_identities_by_email", "project", "tenant", "email"),
)

sessions = sa.Table(
    "auth_sessions",
    metadata,
    # SHA-256 of the session's random name, which its refresh tokens begin with
    sa.Column("id_hash", sa.LargeBinary, primary_key=True),
    sa.Column(
        "account_key",
        sa.Integer,
        sa.ForeignKey("auth_accounts.key", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("sign_in_provider", sa.String, nullable=False),
    sa.Column("auth_time_s", sa.BigInteger, nullable=False),
    # JSON: claims that live as long as the session (custom tokens, second factor)
    sa.Column("claims", sa.String),
    # key that makes each secret from the one before
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("current_hash", sa.LargeBinary, nullable=False),
    sa.Column("previous_hash", sa.LargeBinary),
    sa.Column("rotated_at", sa.BigInteger, nullable=False),
    # times that the token before came again later than the grace
    sa.Column("late_repeats", sa.Integer, nullable=False),
)

signing_keys = sa.Table(
    "auth_signing_keys",
    metadata,
    sa.Column("key_id", sa.String, primary_key=True),
    sa.Column("private_key", sa.LargeBinary, nullable=False),
    sa.Column("certificate", sa.String, nullable=False),
    # published from creation on, signs from here on
    sa.Column("active_from", sa.BigInteger, nullable=False),
    # signs and verifies no more
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

codes = sa.Table(
    "auth_codes",
    metadata,
    # SHA-256 of the random code
    sa.Column("code_hash", sa.LargeBinary, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column(
        "account_key",
        sa.Integer,
        sa.ForeignKey("auth_accounts.key", ondelete="CASCADE"),
        index=True,
    ),
    sa.Column("payload", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
)

attempts = sa.Table(
    "auth_attempts",
    metadata,
    # SHA-256 of what is counted: kind, project, account or address
    sa.Column("subject", sa.LargeBinary, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("blocked_until", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False, index=True),
)

projects = sa.Table(
    "auth_projects",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    # "" is the project itself
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("config", sa.String, nullable=False),
)

providers = sa.Table(
    "auth_providers",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("provider_id", sa.String, primary_key=True),
    sa.Column("config", sa.String, nullable=False),
    sa.Column("client_secret", sa.LargeBinary),
)

service_account_keys = sa.Table(
    "auth_service_account_keys",
    metadata,
    sa.Column("key_id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("client_email", sa.String, nullable=False, index=True),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("public_key", sa.String, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

access_tokens = sa.Table(
    "auth_access_tokens",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column(
        "key_id",
        sa.String,
        sa.ForeignKey("auth_service_account_keys.key_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
)
