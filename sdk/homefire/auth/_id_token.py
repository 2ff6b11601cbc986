"""Reading an ID token's claims. Nothing is verified: that is the server's part."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from homefire.errors import AuthError


@dataclass(frozen=True, slots=True)
class IdTokenResult:
    """An ID token and what is written in it. Times are aware, in UTC."""

    token: str
    claims: Mapping[str, Any]
    auth_time: datetime
    issued_at_time: datetime
    expiration_time: datetime
    sign_in_provider: str | None
    sign_in_second_factor: str | None


def read_claims(token: str) -> dict[str, Any]:
    """The claims of a JWT; raises ``auth/internal-error`` where it is not one."""
    parts = token.split(".")
    try:
        payload = parts[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error) as error:
        raise AuthError("auth/internal-error", "The server's ID token cannot be read.") from error
    if not isinstance(claims, dict):
        raise AuthError("auth/internal-error", "The server's ID token cannot be read.")
    return claims


def read_id_token(token: str) -> IdTokenResult:
    """An ID token's claims and times."""
    claims = read_claims(token)
    firebase = claims.get("firebase")
    firebase = firebase if isinstance(firebase, dict) else {}
    return IdTokenResult(
        token=token,
        claims=claims,
        auth_time=_time(claims, "auth_time"),
        issued_at_time=_time(claims, "iat"),
        expiration_time=_time(claims, "exp"),
        sign_in_provider=firebase.get("sign_in_provider"),
        sign_in_second_factor=firebase.get("sign_in_second_factor"),
    )


def expiry_of(token: str) -> float | None:
    """When a token ends, in seconds since the epoch; ``None`` for tokens that do not say."""
    try:
        expiry = read_claims(token).get("exp")
    except AuthError:
        return None
    return float(expiry) if isinstance(expiry, int | float) else None


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name, 0)
    return datetime.fromtimestamp(value if isinstance(value, int | float) else 0, UTC)
