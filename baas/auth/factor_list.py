"""The list of second factors of an account, as an administrator wants it to be. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baas.auth.errors import AuthError


@dataclass(frozen=True, slots=True)
class WantedFactor:
    """One factor: a number to be enrolled, or an enrolled factor by its id. ``enrolled_at`` in ms."""

    factor_id: str = ""
    phone: str = ""
    display_name: str = ""
    enrolled_at: int | None = None


def created(wanted: Sequence[WantedFactor], now_ms: int) -> list[Mapping[str, Any]]:
    """The factors of a new account: each number once, under ids of ours.

    Raises:
        AuthError: INVALID_MFA_PHONE_NUMBER: one is no number.
    """
    return _distinct([_phone_factor(factor, "", now_ms) for factor in wanted])


def changed(
    before: Sequence[Mapping[str, Any]], wanted: Sequence[WantedFactor], now_ms: int
) -> list[Mapping[str, Any]]:
    """The factors that replace those of an account. An authenticator app can only stay as it is, by its id.

    Raises:
        AuthError: INVALID_MFA_PHONE_NUMBER, DUPLICATE_MFA_ENROLLMENT_ID (one id for two numbers).
    """
    known = {factor["id"]: factor for factor in before}
    found: list[Mapping[str, Any]] = []
    for factor in wanted:
        old = known.get(factor.factor_id, {})
        if "secret" in old:
            found.append({**old, "display_name": factor.display_name or old["display_name"]})
        else:
            fresh = _phone_factor(factor, factor.factor_id, old.get("enrolled_at", now_ms))
            found.append(fresh)
    distinct = _distinct(found)
    if len({factor["id"] for factor in distinct}) < len(distinct):
        raise AuthError("DUPLICATE_MFA_ENROLLMENT_ID")
    return distinct


def _phone_factor(factor: WantedFactor, factor_id: str, now_ms: int) -> Mapping[str, Any]:
    if not factor.phone:
        raise AuthError("INVALID_MFA_PHONE_NUMBER", "Invalid format.")
    return {
        "id": factor_id or secrets.token_urlsafe(15),
        "display_name": factor.display_name,
        "enrolled_at": now_ms if factor.enrolled_at is None else factor.enrolled_at,
        "phone": factor.phone,
    }


def _distinct(factors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each number once: the first of them counts."""
    found: dict[str, Mapping[str, Any]] = {}
    for factor in factors:
        found.setdefault(factor.get("phone") or factor["id"], factor)
    return list(found.values())
