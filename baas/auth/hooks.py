"""Blocking functions: an HTTP service that may change or refuse a new account, or a sign-in.

The request is ``{"data": {"jwt": ...}}`` as Firebase's functions framework expects it; the token is signed
with the server's keys, its audience is the function's address.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from baas.auth.accounts import Account, Identity
from baas.auth.claims import check_not_reserved
from baas.auth.errors import AuthError
from baas.auth.outgoing import Answer, Outgoing
from baas.auth.project_config import ProjectConfig
from baas.errors import Unavailable

BEFORE_CREATE, BEFORE_SIGN_IN = "beforeCreate", "beforeSignIn"
_TIMEOUT_S = 7.0
_COLUMNS = {
    "displayName": "display_name",
    "photoUrl": "photo_url",
    "disabled": "disabled",
    "emailVerified": "email_verified",
    "customClaims": "custom_claims",
}
_TYPES: dict[str, type] = {
    "displayName": str,
    "photoUrl": str,
    "disabled": bool,
    "emailVerified": bool,
    "customClaims": dict,
    "sessionClaims": dict,
}


@dataclass(frozen=True, slots=True)
class Client:
    """From where a call came."""

    address: str = ""
    user_agent: str = ""
    language: str = ""


NO_CLIENT = Client()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a function asks for: columns to change, and claims for the session."""

    columns: dict[str, Any] = field(default_factory=dict)
    session_claims: dict[str, Any] = field(default_factory=dict)


class Hooks:
    """Asks the functions that a project has configured."""

    def __init__(
        self,
        outgoing: Outgoing,
        sign: Callable[[Mapping[str, Any]], Awaitable[str]],
        clock: Callable[[], float],
    ) -> None:
        self._outgoing = outgoing
        self._sign = sign
        self._clock = clock

    async def ask(
        self,
        config: ProjectConfig,
        event: str,
        account: Mapping[str, Any],
        *,
        project: str,
        tenant: str,
        method: str,
        client: Client,
    ) -> Verdict:
        """What the function for this event says; nothing, if there is none.

        Raises:
            AuthError: BLOCKING_FUNCTION_ERROR_RESPONSE: it refused, or gave no usable answer.
        """
        trigger = (config.get("blockingFunctions.triggers") or {}).get(event)
        if not trigger:
            return Verdict()
        uri: str = trigger["functionUri"]
        now = int(self._clock())
        claims = {
            "iss": f"https://securetoken.google.com/{project}",
            "aud": uri,
            "iat": now,
            "exp": now + 60,
            "event_id": secrets.token_urlsafe(12),
            "event_type": event,
            "user_agent": client.user_agent,
            "ip_address": client.address,
            "locale": client.language,
            "sign_in_method": method,
            "user_record": account,
            "sub": account.get("uid", ""),
            **({"tenant_id": tenant} if tenant else {}),
        }
        body = json.dumps({"data": {"jwt": await self._sign(claims)}}).encode()
        try:
            answer = await self._outgoing.call(
                "POST",
                uri,
                headers={"content-type": "application/json"},
                body=body,
                timeout_s=_TIMEOUT_S,
            )
        except Unavailable as error:
            raise AuthError("BLOCKING_FUNCTION_ERROR_RESPONSE", error.message) from error
        return _read(answer)


def _read(answer: Answer) -> Verdict:
    code = "BLOCKING_FUNCTION_ERROR_RESPONSE"
    if not 200 <= answer.status < 300:
        said = answer.body[:1_000].decode(errors="replace")
        raise AuthError(code, f"((The function returned HTTP error {answer.status}: {said}))")
    try:
        record = (answer.json() if answer.body.strip() else {}).get("userRecord") or {}
        mask = str(record.get("updateMask") or "")
    except (ValueError, AttributeError) as error:
        raise AuthError(code, "((The function's answer is no JSON object.))") from error
    columns: dict[str, Any] = {}
    session_claims: dict[str, Any] = {}
    for name in filter(None, (part.strip() for part in mask.split(","))):
        value = record.get(name)
        fits: bool = name in _TYPES and (value is None or type(value) is _TYPES[name])
        if not fits:
            raise AuthError(code, f"((The function's answer sets {name!r} to what it may not be.))")
        if name in ("customClaims", "sessionClaims"):
            check_not_reserved(value or {})
        if name == "sessionClaims":
            session_claims = dict(value or {})
        else:
            columns[_COLUMNS[name]] = value
    return Verdict(columns, session_claims)


def record_of_new(
    values: Mapping[str, Any], identity: Identity | None, now_ms: int
) -> dict[str, Any]:
    """An account that is to be made of these columns, as functions see it."""
    names = ("uid", "email", "display_name", "photo_url", "phone_number")
    providers = [] if identity is None else [_provider_data(identity)]
    return {
        **{name: values.get(name) for name in names},
        "email_verified": bool(values.get("email_verified")),
        "disabled": False,
        "custom_claims": {},
        "provider_data": providers,
        "metadata": {"creation_time": now_ms, "last_sign_in_time": None},
    }


def _provider_data(identity: Identity) -> dict[str, Any]:
    return {
        "provider_id": identity.provider_id,
        "uid": identity.raw_id,
        "email": identity.email,
        "display_name": identity.display_name,
        "photo_url": identity.photo_url,
    }


def record_of(account: Account) -> dict[str, Any]:
    """An account as functions see it."""
    return {
        "uid": account.uid,
        "email": account.email,
        "email_verified": account.email_verified,
        "display_name": account.display_name,
        "photo_url": account.photo_url,
        "phone_number": account.phone_number,
        "disabled": account.disabled,
        "custom_claims": dict(account.custom_claims or {}),
        "provider_data": [_provider_data(identity) for identity in account.identities],
        "metadata": {
            "creation_time": account.created_at,
            "last_sign_in_time": account.last_login_at,
        },
    }
