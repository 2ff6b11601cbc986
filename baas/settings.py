"""Every setting of the server: name, meaning, default and bounds.

From weakest to strongest: the defaults here, the file (``homefire.toml`` or ``--config``), environment
variables (``HOMEFIRE_`` and the name in capitals), command-line flags. A setting that does not hold is
refused at start with its name and what it may be. ``docs/settings.md`` lists them; a test keeps it whole.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

MIB = 1024 * 1024


class SettingsError(Exception):
    """A setting that the server refuses to start with; the message names it and says what it may be."""


ENVIRONMENT_PREFIX = "HOMEFIRE_"
PROJECT = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
KNOWN_PROVIDERS = ("google.com", "apple.com", "microsoft.com", "github.com")


class ProviderSetting(BaseModel):
    """An identity provider of the default project: a table of ``providers`` in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(SecretStr(""))
    issuer: str = Field("", pattern=r"^(https?://[^\s]+)?$")


class Settings(BaseModel):
    """The settings of one server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Where
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data: Path = Field(
        Path("homefire-data"), description="Folder of the database, the files and the keys."
    )
    public_url: str | None = Field(
        None,
        description="The address that clients use, when it is not the one listened on (behind a proxy).",
        pattern=r"^https?://[^\s/]+(/.*)?$",
    )
    tls_certificate: Path | None = Field(None, description="PEM file with the certificate chain.")
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key.")

    # What
    dev: bool = Field(
        False,
        description="Development mode: emulator endpoints, the `owner` token and unsigned tokens.",
    )
    allow_remote_dev: bool = Field(
        False, description="Let development mode listen on an address other than loopback."
    )
    project: str = Field(
        "homefire",
        pattern=PROJECT,
        description="The default project: calls that carry only an API key belong to it.",
    )
    projects: tuple[str, ...] = Field(
        (),
        description="Further projects that this server serves, beside those of `api_keys`; development mode "
        "takes any.",
    )
    buckets: tuple[str, ...] = Field(
        (), description="Further buckets of the default project, beside its standard ones."
    )
    rules: Path | None = Field(
        None,
        description="Security rules for documents (rules language or JSON dialect); none: all denied.",
    )
    storage_rules: Path | None = Field(
        None, description="Security rules for storage; none: all denied."
    )
    rules_reload: bool | None = Field(
        None, description="Reload the rules files when they change; by default in development mode."
    )
    storage_url: SecretStr | None = Field(
        None,
        description="Where objects are kept: http(s)://ACCESS:SECRET@HOST:PORT/BUCKET for MinIO or S3; "
        "none: in the data folder.",
    )
    storage_access_key: str | None = Field(
        None, description="Access key for storage_url, where the address does not hold it."
    )
    storage_secret_key: SecretStr | None = Field(
        None, description="Secret key for storage_url, where the address does not hold it."
    )
    presigned_downloads: bool = Field(
        False,
        description="Redirect downloads to storage_url's server by a signed address, so that their bytes "
        "do not pass through this one.",
    )
    presigned_uploads: bool = Field(
        False,
        description="Give resumable uploads that ask for it a signed address of storage_url's server, to "
        "send their bytes to it directly.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Key that encrypts secrets in the database, 32 bytes in base64 (several, separated "
        "by commas: the first one seals); none: one is made in the data folder at first run.",
    )

    # Auth
    api_keys: dict[str, str] = Field(
        {},
        description="API key of an app -> its project, for several projects on one server. None: any "
        "key will do, and means the default project.",
    )
    allow_sign_up: bool = Field(
        True, description="Let people make accounts, where a project's configuration does not say."
    )
    email_enumeration_protection: bool = Field(
        True,
        description="Hide which addresses have accounts, where a project's configuration does not say.",
    )
    test_phone_numbers: dict[str, str] = Field(
        {},
        description="Phone number -> the code that it always gets instead of a message.",
    )
    providers: dict[str, ProviderSetting] = Field(
        {},
        description="Identity providers of the default project: `google.com`, `apple.com`, "
        "`microsoft.com`, `github.com` or `oidc.NAME` -> `client_id`, `client_secret`, `issuer`; on one "
        "line `CLIENT:SECRET` or `CLIENT:SECRET@ISSUER`.",
    )
    smtp_host: str | None = Field(
        None,
        description="Mail server to send mail through; none: mails are refused with UNAVAILABLE, in "
        "development mode kept in the outbox.",
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="Encryption to it: `starttls` upgrades the connection (port 587), `tls` begins with "
        "it (465), `none` does without.",
    )
    smtp_user: str = Field("", description="User at the mail server; none: no login.")
    smtp_password: SecretStr | None = Field(None, description="Password at the mail server.")
    smtp_sender: str = Field(
        "Homefire <noreply@localhost>",
        pattern=r"^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$",
        description="From whom mails come: an address, or `Name <address>`.",
    )
    sms_webhook_url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="HTTP service that short messages are handed to, as signed JSON; none: they are refused "
        "with UNAVAILABLE, in development mode kept in the outbox.",
    )
    sms_webhook_secret: SecretStr | None = Field(
        None, min_length=16, description="What requests to it are signed with (HMAC-SHA-256)."
    )
    password_hash_passes: int = Field(
        2,
        ge=1,
        le=100,
        description="Argon2id passes for a password; changed ones apply at sign-in.",
    )
    password_hash_memory_kib: int = Field(
        19_456, ge=8, le=4_194_304, description="Argon2id memory for a password, in KiB."
    )
    password_hash_workers: int = Field(
        2,
        ge=1,
        le=64,
        description="Passwords hashed at once; memory in use is at most this times the one above.",
    )
    password_hash_queue: int = Field(
        128,
        ge=0,
        le=100_000,
        description="Passwords that may wait to be hashed; beyond, sign-ins get RESOURCE_EXHAUSTED.",
    )
    limit_account_failures: int = Field(
        10,
        ge=1,
        description="Wrong passwords for an account before each further one doubles a wait.",
    )
    limit_address_failures: int = Field(
        100, ge=1, description="Wrong passwords from a network address before the same."
    )
    limit_mails_per_hour: int = Field(
        30, ge=1, description="Mails or short messages to one recipient in an hour."
    )
    limit_sign_ups_per_hour: int = Field(
        100, ge=1, description="New accounts from one network address in an hour."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is "
        "believed when network addresses are counted.",
    )

    # Bounds
    max_request_bytes: int = Field(
        40 * MIB,
        ge=MIB,
        description="Largest message of a WebSocket. Bodies of other requests have the bounds of their "
        "APIs: 11 MiB for documents over REST, 10 over gRPC, 96 MiB for a row of them over WebChannel, "
        "256 KiB for accounts.",
    )
    max_connections: int = Field(20_000, ge=1, description="Open connections at most.")
    max_upload_bytes: int = Field(
        5 * 1024 * 1024 * MIB, ge=1, description="Largest object that can be stored."
    )
    bucket_quota_bytes: int | None = Field(
        None, ge=1, description="Bytes that one bucket may hold; none: unbounded."
    )
    user_quota_bytes: int | None = Field(
        None, ge=1, description="Bytes that one user may keep in one bucket; none: unbounded."
    )
    shutdown_seconds: float = Field(
        10, ge=0, le=600, description="How long requests in flight may take to finish at shutdown."
    )
    query_seconds: float = Field(
        60,
        gt=0,
        le=3_600,
        description="How long a query, a pipeline or a page of a list may take, waiting included; beyond, it "
        "gets DEADLINE_EXCEEDED.",
    )
    change_retention_seconds: int = Field(
        3_600,
        ge=60,
        description="How long changes are kept to resume listeners and to read at past times.",
    )
    documents_max_indexes: int = Field(
        500,
        ge=1,
        description="Indexes that one database may have; for one more, an unpinned one that no query used "
        "for an hour goes.",
    )
    listen_max_targets: int = Field(
        1_000, ge=1, description="Targets that one Listen stream may have open."
    )
    listen_merge_bytes: int = Field(
        256 * 1024,
        ge=1_024,
        description="Unread changes of a stream beyond this are merged into the newest state.",
    )
    listen_reset_bytes: int = Field(
        4 * MIB,
        ge=1_024,
        description="Merged changes beyond this are dropped; the targets are RESET when they are read.",
    )
    listen_max_result_bytes: int = Field(
        64 * MIB, ge=1_024, description="Largest result that can be listened to."
    )
    listen_memory_bytes: int = Field(
        256 * MIB, ge=MIB, description="What the results of all listeners may take together."
    )
    listen_replay_changes: int = Field(
        10_000,
        ge=0,
        description="A listener that comes back and missed more changes than this is RESET.",
    )
    listen_replay_bytes: int = Field(
        8 * MIB,
        ge=1_024,
        description="The same for bytes of documents, before and after these changes.",
    )
    websocket_max_commits: int = Field(
        1_000, ge=1, description="Commits that one WebSocket may have under way."
    )
    websocket_max_commit_bytes: int = Field(
        32 * MIB,
        ge=1_024,
        description="Bytes of these commits beyond which a WebSocket is not read for the while.",
    )
    websocket_max_frames: int = Field(
        10_000, ge=1, description="Frames that a WebSocket may send at once."
    )
    websocket_frames_per_second: float = Field(
        1_000, gt=0, description="Frames that it may send again in every second after."
    )
    websocket_slow_seconds: float = Field(
        60, gt=0, le=3_600, description="A WebSocket that takes nothing for so long is cut off."
    )
    websocket_ping_seconds: float = Field(
        20,
        gt=0,
        le=3_600,
        description="How often WebSockets are pinged, and how long they have to answer.",
    )
    sqlite_readers: int = Field(
        2, ge=1, le=64, description="Reader threads of the embedded database."
    )
    sqlite_cache_kib: int = Field(
        8_192, ge=256, description="Page cache of each database connection, in KiB."
    )

    # Telling
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["console", "json"] = Field("console", description="Form of log lines.")

    @field_validator("projects", "buckets", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("providers", mode="before")
    @classmethod
    def _read_providers(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: _read_provider(one) if isinstance(one, str) else one
            for name, one in value.items()
        }

    @field_validator("api_keys", "test_phone_numbers", "providers", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        return _read_pairs(value) if isinstance(value, str) else value

    @field_validator("api_keys")
    @classmethod
    def _check_projects(cls, value: dict[str, str]) -> dict[str, str]:
        for key, project in value.items():
            if not key or not re.fullmatch(PROJECT, project):
                raise ValueError("every key must be some text, and its project the name of one")
        return value

    @field_validator("test_phone_numbers")
    @classmethod
    def _check_numbers(cls, value: dict[str, str]) -> dict[str, str]:
        for number, code in value.items():
            if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number) or not re.fullmatch(
                "[0-9]{6}", code
            ):
                raise ValueError("numbers are written as +15551234567, their codes are six digits")
        return value

    @field_validator("providers")
    @classmethod
    def _check_providers(cls, value: dict[str, ProviderSetting]) -> dict[str, ProviderSetting]:
        for name, one in value.items():
            own = name.startswith("oidc.") and len(name) > len("oidc.")
            if not own and name not in KNOWN_PROVIDERS:
                raise ValueError(f"there is no provider {name!r}")
            if own and not one.issuer:
                raise ValueError(f"{name} needs an issuer")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ipaddress.ip_network(part, strict=False)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are given together or not at all")
        loopback = self.host in ("localhost", "::1") or self.host.startswith("127.")
        if self.dev and not loopback and not self.allow_remote_dev:
            raise ValueError(
                f"dev mode lets anyone who can connect do anything, so it refuses to listen on "
                f"{self.host!r}: use a loopback address, or set allow_remote_dev"
            )
        return self

    @property
    def served_projects(self) -> frozenset[str]:
        """Every project that this server serves in production: the named ones, and those of API keys."""
        return frozenset((self.project, *self.projects, *self.api_keys.values()))


def _read_pairs(text: str) -> dict[str, str]:
    """``key=value,key=value``, as environment variables have maps."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError("it is written as key=value,key=value")
        found[key.strip()] = value.strip()
    return found


def _read_provider(text: str) -> dict[str, str]:
    """``CLIENT:SECRET``, or ``CLIENT:SECRET@ISSUER``."""
    credentials, at, issuer = text.rpartition("@http")
    client, _, secret = (credentials if at else text).partition(":")
    return {"client_id": client, "client_secret": secret, "issuer": f"http{issuer}" if at else ""}


def load(
    flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None = None
) -> Settings:
    """The settings of this start. ``None`` among the flags means that the flag was not given.

    Raises:
        SettingsError: one does not hold, or the file cannot be read.
    """
    values = _read_file(config)
    for name in Settings.model_fields:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if environment.get(variable):
            values[name] = environment[variable]
    values.update((name, value) for name, value in flags.items() if value is not None)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _read_file(config: Path | None) -> dict[str, Any]:
    """The file's table: the named one, which must exist, or ``homefire.toml`` here if there is one."""
    path = config or Path("homefire.toml")
    if config is None and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"config: cannot read {path}: {error}") from error


def _explain(error: ValidationError) -> str:
    """One line a setting: its name, what is wrong, and what it may be. Never its value: it may be secret."""
    lines = []
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        field = Settings.model_fields.get(str(problem["loc"][0])) if name else None
        if not name:
            lines.append(message)
        elif field is None:
            lines.append(f"{name}: there is no such setting")
        else:
            lines.append(f"{name}: {message}. It is: {field.description}")
    return "\n".join(lines)
