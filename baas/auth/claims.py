"""What an ID token says, and what a token must say to be believed. Pure.

Shapes after https://firebase.google.com/docs/auth/admin/verify-id-tokens and
https://firebase.google.com/docs/rules/rules-and-auth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from baas.auth.accounts import ANONYMOUS, PASSWORD, Account
from baas.auth.errors import AuthError
from baas.errors import Unauthenticated

ID_TOKEN_ISSUER = "https://securetoken.google.com/"
SESSION_COOKIE_ISSUER = "https://session.firebase.google.com/"
MAX_CUSTOM_CLAIMS = 1_000
SECOND_FACTOR_REQUIRED = "second_factor_required"
"""Of ``firebase``: the token is good for enrolling a second factor, and for nothing else."""

RESERVED = frozenset(
    [
        "acr",
        "amr",
        "at_hash",
        "aud",
        "auth_time",
        "azp",
        "cnf",
        "c_hash",
        "exp",
        "firebase",
        "iat",
        "iss",
        "jti",
        "nbf",
        "nonce",
        "sub",
    ]
)


def id_token_claims(
    account: Account,
    *,
    sign_in_provider: str,
    session_claims: Mapping[str, Any],
    auth_time: int,
    now: int,
    lifetime: int,
) -> dict[str, Any]:
    """The claims of a new ID token. ``session_claims`` are those of a custom token or a second factor."""
    second_factor = session_claims.get("firebase", {})
    own = {name: value for name, value in session_claims.items() if name != "firebase"}
    optional = {
        "name": account.display_name,
        "picture": account.photo_url,
        "email": account.email,
        "phone_number": account.phone_number,
    }
    claims: dict[str, Any] = {
        **(account.custom_claims or {}),
        **own,
        **{name: value for name, value in optional.items() if value},
        "iss": ID_TOKEN_ISSUER + account.scope.project,
        "aud": account.scope.project,
        "auth_time": auth_time,
        "user_id": account.uid,
        "sub": account.uid,
        "iat": now,
        "exp": now + lifetime,
        "firebase": {
            "identities": identities_claim(account),
            "sign_in_provider": sign_in_provider,
            **second_factor,
        },
    }
    if account.email or account.email_verified:
        claims["email_verified"] = account.email_verified
    if sign_in_provider == ANONYMOUS:
        claims["provider_id"] = ANONYMOUS
    if account.scope.tenant:
        claims["firebase"]["tenant"] = account.scope.tenant
    return claims


def identities_claim(account: Account) -> dict[str, list[str]]:
    """``firebase.identities``: provider -> the account's ids there."""
    found: dict[str, list[str]] = {}
    for identity in account.identities:
        found[identity.provider_id] = [identity.raw_id]
    if account.phone_number:
        found["phone"] = [account.phone_number]
    if account.email:
        found["email"] = [account.email]
    return found


def read_custom_claims(text: str) -> dict[str, Any]:
    """Custom claims as an administrator sets them: a JSON object of at most 1000 characters.

    Raises:
        AuthError: INVALID_CLAIMS, CLAIMS_TOO_LARGE, FORBIDDEN_CLAIM.
    """
    if len(text) > MAX_CUSTOM_CLAIMS:
        raise AuthError("CLAIMS_TOO_LARGE")
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise AuthError("INVALID_CLAIMS") from error
    if not isinstance(found, dict):
        raise AuthError("INVALID_CLAIMS")
    check_not_reserved(found)
    return found


def check_not_reserved(claims: Mapping[str, Any]) -> None:
    """Whether no claim has a name that the token itself needs.

    Raises:
        AuthError: FORBIDDEN_CLAIM, naming it.
    """
    for name in claims:
        if name in RESERVED or name.startswith("firebase"):
            raise AuthError("FORBIDDEN_CLAIM", name)


def check(
    claims: Mapping[str, Any], *, issuer: str, project: str, now: float, skew: int, what: str
) -> None:
    """Whether the claims of a token with a good signature hold here and now.

    Raises:
        Unauthenticated: saying which does not.
    """
    if claims.get("aud") != project:
        raise Unauthenticated(f"{what} is for another project: its audience must be {project!r}.")
    if claims.get("iss") != issuer + project:
        raise Unauthenticated(f"{what} has another issuer than {issuer + project!r}.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 128:
        raise Unauthenticated(f"{what} names no user.")
    expires, issued, signed_in = (seconds(claims, name) for name in ("exp", "iat", "auth_time"))
    if expires is None or issued is None or signed_in is None:
        raise Unauthenticated(f"{what} lacks one of exp, iat and auth_time.")
    if now >= expires + skew:
        raise Unauthenticated(f"{what} has expired: get a fresh one and try again.")
    if issued > now + skew or signed_in > now + skew:
        raise Unauthenticated(f"{what} is from the future: set the clocks right.")


def seconds(claims: Mapping[str, Any], name: str) -> float | None:
    """A time among the claims; ``None`` if there is none."""
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and type(value) is not bool else None


def factor_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """What an ID token tells of the second factor, to be told again when its session is renewed."""
    firebase = claims.get("firebase")
    if not isinstance(firebase, Mapping):
        return {}
    kept = {
        name: firebase[name]
        for name in ("sign_in_second_factor", "second_factor_identifier", "sign_in_attributes")
        if name in firebase
    }
    return {"firebase": kept} if kept else {}


def sign_in_provider(claims: Mapping[str, Any]) -> str:
    """How the user of this token signed in."""
    firebase = claims.get("firebase")
    found = firebase.get("sign_in_provider") if isinstance(firebase, Mapping) else None
    return found if isinstance(found, str) else PASSWORD
