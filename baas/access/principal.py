"""Who is asking."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import rules


class PrincipalKind(enum.Enum):
    """The kinds of callers."""

    ANONYMOUS = "anonymous"
    """No credentials: rules decide, with ``request.auth == null``."""
    USER = "user"
    """A verified ID token: rules decide."""
    SERVICE_ACCOUNT = "service_account"
    """A service account's access token: bypasses rules, within its role."""
    OWNER = "owner"
    """Development mode's ``Bearer owner``: bypasses rules."""


@dataclass(frozen=True)
class Principal:
    """A caller whose credentials have been verified.

    ``claims`` are the ID token's claims as they stand (``sub``, ``email``, ``firebase``, custom ones);
    ``expires_at`` is in seconds since the epoch, ``None`` for callers that do not expire.
    """

    kind: PrincipalKind
    uid: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    project: str | None = None
    expires_at: float | None = None
    role: str | None = None

    @cached_property
    def auth(self) -> rules.Auth | None:
        """``request.auth`` of the rules, made once for all requests of a caller; ``None`` for those who
        show no ID token."""
        if self.kind is not PrincipalKind.USER or self.uid is None:
            return None
        return rules.Auth(uid=self.uid, token=self.claims)

    @property
    def bypasses_rules(self) -> bool:
        """Whether security rules do not apply to this caller."""
        return self.kind in (PrincipalKind.OWNER, PrincipalKind.SERVICE_ACCOUNT)

    @property
    def may_write(self) -> bool:
        """Whether a caller that rules do not apply to may change anything: a viewer may not."""
        return self.kind is PrincipalKind.OWNER or self.role in ("owner", "editor")


ANONYMOUS = Principal(PrincipalKind.ANONYMOUS)
OWNER = Principal(PrincipalKind.OWNER)
