"""Settings of the auth room."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PROJECT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:-]{0,99}")
ISSUERS = {
    "google.com": "https://accounts.google.com",
    "apple.com": "https://appleid.apple.com",
    "microsoft.com": "https://login.microsoftonline.com/common/v2.0",
}
_TRUSTED_EMAILS = ("google.com", "apple.com")
"""Providers that prove an address before they call it verified."""
_TENANT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where accounts live: a project, and a tenant in it ("" for none). Scopes know nothing of each other."""

    project: str
    tenant: str = ""

    @property
    def valid(self) -> bool:
        """Whether both names are names at all."""
        return bool(
            _PROJECT.fullmatch(self.project) and (not self.tenant or _TENANT.fullmatch(self.tenant))
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider as a project has configured it."""

    provider_id: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    issuer: str = ""
    display_name: str = ""
    enabled: bool = True
    response_types: tuple[str, ...] = ("idToken",)
    """As Identity Platform's configurations name them: kept for administrators. We always ask for a code."""

    @property
    def trusts_email(self) -> bool:
        """Whether "verified" from this provider means that it is the owner's."""
        return self.provider_id in _TRUSTED_EMAILS

    @property
    def address(self) -> str:
        """The issuer."""
        return self.issuer or ISSUERS.get(self.provider_id, "")


@dataclass(frozen=True, slots=True)
class HashOptions:
    """Argon2id's cost, and how much of it may be paid at once.

    Memory in use is at most ``workers * memory_kib``. The defaults are OWASP's first recommendation.
    """

    time_cost: int = 2
    memory_kib: int = 19_456
    parallelism: int = 1
    workers: int = 2
    max_waiting: int = 128
    """Passwords that may wait for a worker before more are refused with RESOURCE_EXHAUSTED."""


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """How often one may be wrong: a few failures are free, then each one doubles the wait."""

    account_failures: int = 10
    address_failures: int = 100
    first_block_s: float = 2.0
    longest_account_block_s: float = 300.0
    """Short, so that nobody can lock another out for long."""
    longest_address_block_s: float = 3_600.0
    forget_after_s: float = 3_600.0
    """Failures are forgotten after this long without another."""
    mails_per_hour: int = 30
    """Messages (mail or SMS) to one recipient."""
    sign_ups_per_hour: int = 100
    """New accounts from one address."""


@dataclass(frozen=True, slots=True)
class AuthOptions:
    """What a server is told about accounts and tokens."""

    dev: bool = False
    """Development mode: unsigned tokens, the ``owner`` token, an outbox that can be read."""
    default_project: str = "homefire"
    """The project of calls that carry only an API key."""
    projects: frozenset[str] | None = None
    """The projects that have accounts here; ``None``: any."""
    api_keys: Mapping[str, str] = field(default_factory=dict)
    """API key -> project. Empty: any key, and it means the default project."""
    public_url: str = "http://127.0.0.1:8080"
    """Where users reach this server: the base of links in mails. Never taken from a Host header."""
    id_token_lifetime_s: int = 3_600
    clock_skew_s: int = 60
    """How far apart the clocks of issuer and verifier may be."""
    recent_sign_in_s: int = 300
    """How fresh a sign-in must be to change a password or an email address, or delete the account."""
    refresh_grace_s: int = 60
    """How long a refresh token may be exchanged once more (a lost answer, a second tab)."""
    code_lifetime_s: int = 3_600
    sms_code_lifetime_s: int = 300
    signing_key_lifetime_s: int = 90 * 86_400
    signing_key_ahead_s: int = 86_400
    """How long a new key is published before it signs, so that every cache has seen it."""
    email_enumeration_protection: bool = True
    """Answers do not tell whether an address has an account. A project's own configuration goes first."""
    allow_sign_up: bool = True
    sign_dev_tokens: bool = False
    """Sign ID tokens in development mode too. Emulator tools expect unsigned ones there."""
    token_cache_size: int = 10_000
    hashing: HashOptions = HashOptions()
    limits: LimitOptions = LimitOptions()
    test_phone_numbers: Mapping[str, str] = field(default_factory=dict)
    """Phone number -> the code that it always gets; no message is sent."""
    providers: Mapping[str, Provider] = field(default_factory=dict)
    """Identity providers of the default project, by id; its own configuration of one goes first."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies whose word is taken on from where a call came."""

    @property
    def unsigned_tokens(self) -> bool:
        """Whether ID tokens are issued without a signature."""
        return self.dev and not self.sign_dev_tokens
