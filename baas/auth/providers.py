"""Identity providers: how they are configured, and what is believed of what they say.

ID tokens are believed by their signature (RS256 or ES256 with the issuer's published keys, never another
algorithm), issuer, audience, times and nonce; a bare access token only where the provider tells for which
app it was made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from jose import jws
from jose.exceptions import JOSEError

from baas.auth.claims import seconds
from baas.auth.errors import AuthError
from baas.auth.options import ISSUERS, Provider, Scope
from baas.auth.outgoing import Outgoing
from baas.auth.secret_box import SecretBox
from baas.auth.tokens import Parts, take_apart
from baas.db.tables import auth as tables
from baas.db.unit import Tx
from baas.errors import Unauthenticated, Unavailable

ALGORITHMS = ("RS256", "ES256")
_PURPOSE = "provider-secret"
_MICROSOFT_PREFIX = "https://login.microsoftonline.com/"
KNOWN = (*ISSUERS, "github.com")
_USUAL_SCOPES = ("openid", "email", "profile")
_OWN_PARAMETERS = frozenset(
    [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    ]
)
_KEYS_FOR_S = 3_600.0
_REFETCH_S = 30.0


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a provider says has signed in."""

    provider_id: str
    raw_id: str
    email: str | None
    email_verified: bool
    display_name: str | None
    photo_url: str | None
    screen_name: str | None
    raw: Mapping[str, Any]


# The store


def save(tx: Tx, scope: Scope, provider: Provider, box: SecretBox) -> None:
    """Keep a configuration, the secret sealed."""
    drop(tx, scope, provider.provider_id)
    config = {
        "client_id": provider.client_id,
        "issuer": provider.issuer,
        "display_name": provider.display_name,
        "enabled": provider.enabled,
        "response_types": provider.response_types,
    }
    sealed = box.seal(provider.client_secret.encode(), _PURPOSE) if provider.client_secret else None
    tx.core.execute(
        sa.insert(tables.providers).values(
            project=scope.project,
            tenant=scope.tenant,
            provider_id=provider.provider_id,
            config=json.dumps(config),
            client_secret=sealed,
        )
    )


def load(tx: Tx, scope: Scope, provider_id: str, box: SecretBox) -> Provider | None:
    """A configuration."""
    found = [p for p in load_all(tx, scope, box) if p.provider_id == provider_id]
    return found[0] if found else None


def load_all(tx: Tx, scope: Scope, box: SecretBox) -> list[Provider]:
    """All configurations of a scope, in order of their ids."""
    column = tables.providers.c
    rows = tx.core.execute(
        sa.select(tables.providers)
        .where(column.project == scope.project, column.tenant == scope.tenant)
        .order_by(column.provider_id)
    ).mappings()
    return [
        Provider(
            row["provider_id"],
            client_secret=(
                box.open(row["client_secret"], _PURPOSE).decode() if row["client_secret"] else ""
            ),
            **json.loads(row["config"]),
        )
        for row in rows
    ]


def drop(tx: Tx, scope: Scope, provider_id: str) -> bool:
    """Forget a configuration; answers whether there was one."""
    column = tables.providers.c
    deleted = tx.core.execute(
        sa.delete(tables.providers).where(
            column.project == scope.project,
            column.tenant == scope.tenant,
            column.provider_id == provider_id,
        )
    )
    return bool(deleted.rowcount)


def reseal(tx: Tx, box: SecretBox) -> int:
    """Seal every secret with the first key; answers how many were not."""
    table = tables.providers
    count = 0
    for row in tx.core.execute(sa.select(table)).mappings().all():
        sealed = row["client_secret"]
        if sealed is not None and not box.is_current(sealed):
            here = [table.c[name] == row[name] for name in ("project", "tenant", "provider_id")]
            fresh = box.seal(box.open(sealed, _PURPOSE), _PURPOSE)
            tx.core.execute(sa.update(table).where(*here).values(client_secret=fresh))
            count += 1
    return count


# What they say


class ProviderClient:
    """Talks to providers, and checks what they answer."""

    def __init__(self, outgoing: Outgoing, clock: Callable[[], float], skew_s: int) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._skew = skew_s
        self._discovered: dict[str, tuple[float, dict[str, Any]]] = {}
        self._keys: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    async def authorization_url(
        self,
        provider: Provider,
        *,
        redirect: str,
        state: str,
        nonce: str,
        challenge: str,
        scopes: Sequence[str] = (),
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """Where a browser goes to sign in at the provider (the code flow, with PKCE).

        ``scopes`` are asked for beside those that tell who it is; ``parameters`` (``prompt``,
        ``login_hint``, ...) never take the place of the flow's own.

        Raises:
            AuthError: INVALID_PROVIDER_ID, if it has no such address.
        """
        asked = {
            **{k: v for k, v in (parameters or {}).items() if k not in _OWN_PARAMETERS},
            "client_id": provider.client_id,
            "redirect_uri": redirect,
            "state": state,
            "response_type": "code",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if provider.provider_id == "github.com":
            asked["scope"] = " ".join(dict.fromkeys(("user:email", *scopes)))
            return f"https://github.com/login/oauth/authorize?{urlencode(asked)}"
        found = await self._discover(provider)
        usual = ("openid", "email") if provider.provider_id == "apple.com" else _USUAL_SCOPES
        asked |= {"scope": " ".join(dict.fromkeys((*usual, *scopes))), "nonce": nonce}
        if provider.provider_id == "apple.com":
            asked |= {"response_mode": "form_post"}
        return f"{found['authorization_endpoint']}?{urlencode(asked)}"

    async def exchange_code(
        self, provider: Provider, *, code: str, redirect: str, verifier: str
    ) -> dict[str, Any]:
        """The tokens for an authorization code.

        Raises:
            AuthError: INVALID_IDP_RESPONSE.
        """
        if provider.provider_id == "github.com":
            endpoint = "https://github.com/login/oauth/access_token"
        else:
            endpoint = str((await self._discover(provider))["token_endpoint"])
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "code_verifier": verifier,
        }
        return await self._call(
            "POST",
            endpoint,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
            },
            body=urlencode(form).encode(),
        )

    async def profile_of_id_token(
        self, provider: Provider, token: str, nonce: str | None
    ) -> Profile:
        """Who an ID token is about. ``nonce`` is the raw one; the token may hold it, or its SHA-256 in hex.

        Raises:
            AuthError: INVALID_IDP_RESPONSE, MISSING_OR_INVALID_NONCE.
        """
        try:
            parts = take_apart(token, "The provider's ID token")
        except Unauthenticated as error:
            raise _invalid(error.message) from error
        await self._check_signature(provider, token, parts)
        self._check_claims(provider, parts.claims)
        _check_nonce(parts.claims.get("nonce"), nonce)
        return profile_of(provider.provider_id, parts.claims)

    async def profile_of_access_token(self, provider: Provider, token: str) -> Profile:
        """Who an access token is about, if it was made for our app.

        Raises:
            AuthError: INVALID_IDP_RESPONSE.
        """
        if provider.provider_id == "github.com":
            return await self._github_profile(provider, token)
        if provider.provider_id != "google.com":
            raise _invalid("This provider needs an ID token.")
        query = urlencode({"access_token": token})
        info = await self._call("GET", f"https://oauth2.googleapis.com/tokeninfo?{query}")
        if provider.client_id not in (info.get("aud"), info.get("azp")):
            raise _invalid("The access token was made for another app.")
        found = await self._call(
            "GET",
            "https://openidconnect.googleapis.com/v1/userinfo",
            headers={"authorization": f"Bearer {token}"},
        )
        return profile_of(provider.provider_id, found)

    async def revoke(self, provider: Provider, token: str, kind: str) -> None:
        """Give a token back to the provider (RFC 7009). ``kind``: access_token, refresh_token, "" for a code.

        Raises:
            AuthError: INVALID_IDP_RESPONSE, OPERATION_NOT_ALLOWED (the provider has no such address).
        """
        if provider.provider_id == "github.com":
            raise AuthError("OPERATION_NOT_ALLOWED", "GitHub revokes nothing by this way.")
        address = (await self._discover(provider)).get("revocation_endpoint")
        if not isinstance(address, str):
            raise AuthError("OPERATION_NOT_ALLOWED", "The provider revokes no tokens.")
        form = {
            "token": token,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            **({"token_type_hint": kind} if kind else {}),
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        try:
            answer = await self._outgoing.call(
                "POST", address, headers=headers, body=urlencode(form).encode()
            )
        except Unavailable as error:
            raise _invalid("The provider gave no usable answer.") from error
        if answer.status != 200:
            raise _invalid(f"The provider answered with HTTP status {answer.status}.")

    async def _github_profile(self, provider: Provider, token: str) -> Profile:
        basic = base64.b64encode(f"{provider.client_id}:{provider.client_secret}".encode()).decode()
        checked = await self._call(
            "POST",
            f"https://api.github.com/applications/{provider.client_id}/token",
            headers={"authorization": f"Basic {basic}", "accept": "application/json"},
            body=json.dumps({"access_token": token}).encode(),
        )
        user = checked.get("user")
        if not isinstance(user, dict) or type(user.get("id")) is not int:
            raise _invalid("GitHub does not know the access token.")
        found = await self._call(
            "GET",
            "https://api.github.com/user",
            headers={"authorization": f"Bearer {token}", "accept": "application/json"},
        )
        if found.get("id") != user["id"]:
            raise _invalid("GitHub names two users.")
        claims = {
            "sub": str(user["id"]),
            "email": found.get("email"),
            "name": found.get("name"),
            "picture": found.get("avatar_url"),
            "screen_name": found.get("login"),
        }
        return profile_of("github.com", claims, raw=found)

    async def _check_signature(self, provider: Provider, token: str, parts: Parts) -> None:
        algorithm, key_id = parts.header.get("alg"), parts.header.get("kid")
        if algorithm not in ALGORITHMS:
            raise _invalid("The ID token's algorithm is not allowed.")
        keys = await self._public_keys(provider, key_id)
        for key in keys:
            try:
                jws.verify(token, key, algorithms=[algorithm])
            except JOSEError:
                continue
            return
        raise _invalid("The ID token has a wrong signature.")

    async def _public_keys(self, provider: Provider, key_id: object) -> list[dict[str, Any]]:
        address = str((await self._discover(provider))["jwks_uri"])
        now = self._clock()
        fetched_at, keys = self._keys.get(address, (float("-inf"), []))
        fitting = _fitting(keys, key_id)
        age = now - fetched_at
        if age > _KEYS_FOR_S or (not fitting and age > _REFETCH_S):
            found = (await self._call("GET", address)).get("keys")
            keys = [k for k in found if isinstance(k, dict)] if isinstance(found, list) else []
            self._keys[address] = (now, keys)
            fitting = _fitting(keys, key_id)
        return fitting

    async def _discover(self, provider: Provider) -> dict[str, Any]:
        issuer = provider.address.rstrip("/")
        if not issuer:
            raise AuthError("INVALID_PROVIDER_ID", f"{provider.provider_id} has no issuer.")
        fetched_at, found = self._discovered.get(issuer, (float("-inf"), {}))
        if self._clock() - fetched_at > _KEYS_FOR_S:
            found = await self._call("GET", f"{issuer}/.well-known/openid-configuration")
            same = str(found.get("issuer", "")).rstrip("/") == issuer
            if not same and provider.provider_id != "microsoft.com":
                raise _invalid("The provider's configuration names another issuer.")
            for name in ("jwks_uri", "authorization_endpoint", "token_endpoint"):
                if not isinstance(found.get(name), str):
                    raise _invalid(f"The provider's configuration lacks {name}.")
            self._discovered[issuer] = (self._clock(), found)
        return found

    def _check_claims(self, provider: Provider, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if provider.client_id not in audiences or not provider.client_id:
            raise _invalid("The ID token was made for another app.")
        if len(audiences) > 1 and claims.get("azp") != provider.client_id:
            raise _invalid("The ID token was made for several apps.")
        if not _issuer_fits(provider, claims):
            raise _invalid("The ID token has another issuer.")
        expires, issued = seconds(claims, "exp"), seconds(claims, "iat")
        if expires is None or now >= expires + self._skew:
            raise _invalid("The ID token has expired.")
        if issued is None or issued > now + self._skew:
            raise _invalid("The ID token is from the future.")

    async def _call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        try:
            answer = await self._outgoing.call(method, url, headers=headers, body=body)
            found = answer.json() if answer.status == 200 else None
        except (Unavailable, ValueError, RecursionError) as error:
            raise _invalid("The provider gave no usable answer.") from error
        if not isinstance(found, dict):
            raise _invalid(f"The provider answered with HTTP status {answer.status}.")
        return found


def profile_of(
    provider_id: str, claims: Mapping[str, Any], *, raw: Mapping[str, Any] | None = None
) -> Profile:
    """Who the claims are about.

    Raises:
        AuthError: INVALID_IDP_RESPONSE: they name nobody.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise _invalid("It names no user.")
    return Profile(
        provider_id,
        subject,
        _text(claims, "email"),
        claims.get("email_verified") in (True, "true"),
        _text(claims, "name") or _text(claims, "displayName"),
        _text(claims, "picture") or _text(claims, "photoUrl"),
        _text(claims, "screen_name") or _text(claims, "screenName"),
        raw or claims,
    )


def _issuer_fits(provider: Provider, claims: Mapping[str, Any]) -> bool:
    issuer = str(claims.get("iss", ""))
    if provider.provider_id == "microsoft.com" and not provider.issuer:
        return issuer == f"{_MICROSOFT_PREFIX}{claims.get('tid')}/v2.0"
    if provider.provider_id == "google.com" and issuer == "accounts.google.com":
        return True
    return issuer.rstrip("/") == provider.address.rstrip("/")


def _check_nonce(claimed: object, raw: str | None) -> None:
    if claimed is None and raw is None:
        return
    if not isinstance(claimed, str) or raw is None:
        raise AuthError("MISSING_OR_INVALID_NONCE")
    hashed = hashlib.sha256(raw.encode()).hexdigest()
    told = claimed.encode()
    fits = hmac.compare_digest(told, raw.encode()), hmac.compare_digest(told, hashed.encode())
    if not any(fits):
        raise AuthError("MISSING_OR_INVALID_NONCE")


def _fitting(keys: list[dict[str, Any]], key_id: object) -> list[dict[str, Any]]:
    public = [key for key in keys if key.get("kty") in ("RSA", "EC")]
    return [key for key in public if key_id is None or key.get("kid") == key_id]


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value[:2_048] if isinstance(value, str) and value else None


def _invalid(words: str) -> AuthError:
    return AuthError("INVALID_IDP_RESPONSE", words)
