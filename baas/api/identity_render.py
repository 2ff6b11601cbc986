"""Accounts and sign-ins in Identity Toolkit's JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from baas.auth.accounts import Account
from baas.auth.context import SecondFactorNeeded, SignedIn

REDACTED = "UkVEQUNURUQ="
"""Base64 of REDACTED: what stands for a password hash, which never leaves the server this way."""


def account_json(account: Account) -> dict[str, Any]:
    """``UserInfo`` of the API."""
    found: dict[str, Any] = {
        "localId": account.uid,
        "email": account.email,
        "displayName": account.display_name,
        "photoUrl": account.photo_url,
        "phoneNumber": account.phone_number,
        "disabled": account.disabled,
        "emailVerified": account.email_verified,
        "providerUserInfo": provider_infos(account),
        "validSince": str(account.valid_since),
        "createdAt": str(account.created_at),
        "lastLoginAt": _text(account.last_login_at),
        "lastRefreshAt": _rfc3339(account.last_refresh_at),
        "tenantId": account.scope.tenant or None,
        "initialEmail": account.initial_email,
        "screenName": next((i.screen_name for i in account.identities if i.screen_name), None),
    }
    if account.password_hash:
        found["passwordHash"] = REDACTED
        found["passwordUpdatedAt"] = account.password_updated_at
    if account.custom_claims is not None:
        found["customAttributes"] = json.dumps(account.custom_claims, separators=(",", ":"))
    if account.second_factors:
        found["mfaInfo"] = [factor_json(factor) for factor in account.second_factors]
    if account.custom_auth:
        found["customAuth"] = True
    if account.email_link:
        found["emailLinkSignin"] = True
    return {name: value for name, value in found.items() if value is not None}


def provider_infos(account: Account) -> list[dict[str, Any]]:
    """``ProviderUserInfo`` of each way into the account, in the order of production: federated first.

    A password without an address is no way in, and Admin SDKs take no provider without a ``rawId``.
    """
    infos: list[dict[str, Any]] = [
        {
            "providerId": identity.provider_id,
            "rawId": identity.raw_id,
            "federatedId": identity.raw_id,
            "email": identity.email,
            "displayName": identity.display_name,
            "photoUrl": identity.photo_url,
            "screenName": identity.screen_name,
        }
        for identity in account.identities
    ]
    if account.phone_number:
        infos.append(
            {
                "providerId": "phone",
                "phoneNumber": account.phone_number,
                "rawId": account.phone_number,
            }
        )
    if account.email and (account.password_hash or account.email_link):
        infos.append(
            {
                "providerId": "password",
                "email": account.email,
                "federatedId": account.email,
                "rawId": account.email,
                "displayName": account.display_name,
                "photoUrl": account.photo_url,
            }
        )
    return [{k: v for k, v in info.items() if v is not None} for info in infos]


def sign_in_json(outcome: SignedIn | SecondFactorNeeded) -> dict[str, Any]:
    """What a sign-in answers: tokens, or the second factors to choose from."""
    if isinstance(outcome, SecondFactorNeeded):
        return {
            "localId": outcome.account.uid,
            "mfaPendingCredential": outcome.pending_credential,
            "mfaInfo": [factor_json(f, hide=True) for f in outcome.account.second_factors],
        }
    return tokens_json(outcome)


def factor_json(factor: Mapping[str, Any], *, hide: bool = False) -> dict[str, Any]:
    """``MfaEnrollment`` of a second factor; ``hide`` leaves but the end of a phone number."""
    found = {
        "mfaEnrollmentId": factor["id"],
        "enrolledAt": _rfc3339(factor["enrolled_at"]),
        "displayName": factor.get("display_name") or None,
    }
    if "phone" in factor:
        phone: str = factor["phone"]
        found["phoneInfo"] = "+" + "*" * (len(phone) - 5) + phone[-4:] if hide else phone
        found["unobfuscatedPhoneInfo"] = None if hide else phone
    else:
        found["totpInfo"] = {}
    return {name: value for name, value in found.items() if value is not None}


def tokens_json(signed_in: SignedIn) -> dict[str, Any]:
    """What every sign-in answers."""
    return {
        "localId": signed_in.account.uid,
        "idToken": signed_in.id_token,
        "refreshToken": signed_in.refresh_token,
        "expiresIn": str(signed_in.expires_in),
    }


def profile_json(account: Account) -> dict[str, Any]:
    """The fields that a sign-in or an update tells of the account, the set ones only."""
    found = {
        "email": account.email,
        "displayName": account.display_name,
        "photoUrl": account.photo_url,
    }
    return {name: value for name, value in found.items() if value}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _rfc3339(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = dt.datetime.fromtimestamp(milliseconds / 1_000, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
