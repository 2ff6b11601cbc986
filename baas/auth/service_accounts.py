"""Service accounts: key pairs of programs, their access tokens, and the tokens they make for users."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jws
from jose.exceptions import JOSEError

from baas.access.principal import Principal, PrincipalKind
from baas.auth import accounts
from baas.auth.accounts import CUSTOM, Account
from baas.auth.claims import check_not_reserved, seconds
from baas.auth.context import AuthContext, SignedIn
from baas.auth.errors import AuthError
from baas.auth.hooks import NO_CLIENT, Client
from baas.auth.options import Scope
from baas.auth.tokens import ALGORITHM, take_apart
from baas.auth.validation import MAX_UID
from baas.db.tables.auth import access_tokens, service_account_keys
from baas.db.unit import Database, Tx
from baas.errors import InvalidArgument, NotFound, Unauthenticated

ROLES = ("owner", "editor", "viewer")
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CUSTOM_TOKEN_AUDIENCE = (
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
)
_LONGEST_ASSERTION_S = 3_600
_TOKEN_LIFETIME_S = 3_600
_TOKEN_PREFIX = "hf."
_ACCOUNT_DOMAIN = ".gserviceaccount.com"
_SERVICE_AUDIENCES = (
    "https://firestore.googleapis.com",
    "https://firestore.googleapis.com/google.firestore.v1.Firestore",
    "https://storage.googleapis.com",
)
_SCOPES = frozenset(
    (
        "https://www.googleapis.com/auth/cloud-platform",
        "https://www.googleapis.com/auth/datastore",
        "https://www.googleapis.com/auth/devstorage.full_control",
        "https://www.googleapis.com/auth/firebase",
    )
)
_CACHED_FOR_S = 30.0
_CACHED = 1_000
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class ServiceAccountKey:
    """A key of a service account; its private half is with whoever made it. ``created_at`` in ms."""

    key_id: str
    project: str
    client_email: str
    role: str
    public_key: str
    created_at: int


async def create_key(
    database: Database, *, project: str, name: str, role: str, token_uri: str, now_ms: int
) -> dict[str, str]:
    """Make a key; answers the JSON file that the official Admin SDKs take as a credential.

    The private key is nowhere but in that answer.

    Raises:
        InvalidArgument: name, role or project cannot be.
    """
    if role not in ROLES:
        raise InvalidArgument(f"The role must be one of {', '.join(ROLES)}.")
    if not _NAME.fullmatch(name) or not Scope(project).valid:
        raise InvalidArgument(
            "The name must be 1 to 30 lower-case letters, digits and dashes, and the project a project id."
        )
    private_pem, public_pem = await asyncio.to_thread(_generate)
    key_id = secrets.token_hex(20)
    email = f"{name}@{project}.iam.gserviceaccount.com"
    row = {
        "key_id": key_id,
        "project": project,
        "client_email": email,
        "role": role,
        "public_key": public_pem,
        "created_at": now_ms,
    }
    await database.write(lambda tx: tx.core.execute(sa.insert(service_account_keys).values(row)))
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": key_id,
        "private_key": private_pem,
        "client_email": email,
        "client_id": str(int(key_id[:15], 16)),
        "auth_uri": token_uri.replace("/token", "/auth"),
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }


async def list_keys(database: Database, project: str | None = None) -> list[ServiceAccountKey]:
    """The keys, of one project or all."""
    query = sa.select(service_account_keys).order_by(service_account_keys.c.created_at)
    if project is not None:
        query = query.where(service_account_keys.c.project == project)
    rows = await database.read(lambda tx: tx.core.execute(query).mappings().all())
    return [ServiceAccountKey(**dict(row)) for row in rows]


async def delete_key(database: Database, key_id: str) -> None:
    """Delete a key; its access tokens end with it.

    Raises:
        NotFound: there is none.
    """
    statement = sa.delete(service_account_keys).where(service_account_keys.c.key_id == key_id)
    if not await database.write(lambda tx: tx.core.execute(statement).rowcount):
        raise NotFound(f"There is no key {key_id!r}.")


class ServiceAccounts:
    """What programs with a key may ask for."""

    def __init__(self, context: AuthContext) -> None:
        self._context = context
        self._cache: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def exchange(self, assertion: str) -> tuple[str, int]:
        """An access token, and its lifetime in seconds, for a JWT signed with a service account's key.

        RFC 7523, section 2.1.

        Raises:
            Unauthenticated: the assertion is no good.
        """
        key, claims = await self._verify(assertion, "The assertion")
        now = self._context.clock()
        expires, issued = seconds(claims, "exp"), seconds(claims, "iat")
        skew = self._context.options.clock_skew_s
        if claims.get("iss") != key.client_email:
            raise Unauthenticated("The assertion's issuer is not the owner of its key.")
        if not self._is_our_audience(claims.get("aud")):
            raise Unauthenticated("The assertion's audience is not this server's token address.")
        if expires is None or issued is None or not issued - skew <= now < expires + skew:
            raise Unauthenticated("The assertion has expired, or is from the future.")
        if expires - issued > _LONGEST_ASSERTION_S + skew:
            raise Unauthenticated("The assertion lives too long: an hour is the most.")
        token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = {
            "token_hash": _hash(token),
            "key_id": key.key_id,
            "expires_at": int((now + _TOKEN_LIFETIME_S) * 1_000),
        }

        def unit(tx: Tx) -> None:
            stale = access_tokens.c.expires_at < int(now * 1_000)
            tx.core.execute(sa.delete(access_tokens).where(stale))
            tx.core.execute(sa.insert(access_tokens).values(row))

        await self._context.database.write(unit)
        return token, _TOKEN_LIFETIME_S

    @staticmethod
    def is_access_token(token: str) -> bool:
        """Whether a bearer token has the shape of ours."""
        return token.startswith(_TOKEN_PREFIX)

    async def principal(self, token: str, project: str) -> Principal:
        """Who shows this access token.

        Raises:
            Unauthenticated: unknown, expired, another project's, or its key was deleted.
        """
        token_hash = _hash(token)
        now = self._context.clock()
        cached = self._cache.get(token_hash)
        if cached is None or cached[0] <= now:
            cached = (now + _CACHED_FOR_S, await self._load(token_hash))
            self._cache[token_hash] = cached
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        principal = cached[1]
        if principal.expires_at is None or now >= principal.expires_at:
            raise Unauthenticated("The access token has expired: get a fresh one and try again.")
        if principal.project != project:
            raise Unauthenticated("The access token is for another project.")
        return principal

    @staticmethod
    def is_self_signed(token: str) -> bool:
        """Whether a bearer token says that a service account made it for itself."""
        try:
            parts = take_apart(token, "The token")
        except Unauthenticated:
            return False
        issuer = parts.claims.get("iss")
        return (
            parts.header.get("alg") == ALGORITHM
            and isinstance(issuer, str)
            and issuer.endswith(_ACCOUNT_DOMAIN)
            and issuer == parts.claims.get("sub")
        )

    async def self_signed(self, token: str, project: str) -> Principal:
        """Who shows a JWT that it signed with its own key, as Google's libraries do instead of fetching an
        access token (AIP-4111).

        Raises:
            Unauthenticated: not signed with a key of this project, not meant for Firestore, or expired.
        """
        token_hash, now = _hash(token), self._context.clock()
        cached = self._cache.get(token_hash)
        if cached is None or cached[0] <= now:
            cached = (now + _CACHED_FOR_S, await self._verify_self_signed(token))
            self._cache[token_hash] = cached
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        principal = cached[1]
        if principal.expires_at is None or now >= principal.expires_at:
            raise Unauthenticated("The self-signed token has expired.")
        if principal.project != project:
            raise Unauthenticated("The self-signed token is of another project's account.")
        return principal

    async def _verify_self_signed(self, token: str) -> Principal:
        key, claims = await self._verify(token, "The self-signed token")
        now, skew = self._context.clock(), self._context.options.clock_skew_s
        expires, issued = seconds(claims, "exp"), seconds(claims, "iat")
        if claims.get("iss") != key.client_email:
            raise Unauthenticated("The self-signed token's issuer is not the owner of its key.")
        if not self._is_for_our_services(claims):
            # A custom token is signed by the same key, and handed to users: it must not pass for this.
            raise Unauthenticated("The self-signed token is meant for another service.")
        if expires is None or issued is None or issued - skew > now:
            raise Unauthenticated("The self-signed token has no times, or is from the future.")
        if expires - issued > _LONGEST_ASSERTION_S + skew:
            raise Unauthenticated("The self-signed token lives too long: an hour is the most.")
        return Principal(
            PrincipalKind.SERVICE_ACCOUNT,
            uid=key.client_email,
            claims={"email": key.client_email, "sub": key.client_email},
            project=key.project,
            expires_at=expires + skew,
            role=key.role,
        )

    def _is_for_our_services(self, claims: dict[str, Any]) -> bool:
        audience, scopes = claims.get("aud"), claims.get("scope")
        if audience is None:
            return isinstance(scopes, str) and not _SCOPES.isdisjoint(scopes.split())
        if not isinstance(audience, str):
            return False
        own = self._context.options.public_url.rstrip("/")
        return audience.rstrip("/") in {own, *_SERVICE_AUDIENCES}

    async def sign_in(
        self, scope: Scope, custom_token: str, *, client: Client = NO_CLIENT
    ) -> SignedIn:
        """Sign in with a custom token that a service account of the project made for a uid.

        Raises:
            AuthError: INVALID_CUSTOM_TOKEN, CREDENTIAL_MISMATCH, TENANT_ID_MISMATCH, USER_DISABLED.
        """
        claims = await self._custom_claims(scope, custom_token)
        uid, own = claims.get("uid"), claims.get("claims") or {}
        if uid is None:
            raise AuthError("MISSING_IDENTIFIER")
        if not isinstance(uid, str) or not 0 < len(uid) <= MAX_UID:
            raise AuthError("INVALID_CUSTOM_TOKEN", "The token names no uid.")
        if not isinstance(own, dict) or len(json.dumps(own)) > 1_000:
            raise AuthError("INVALID_CUSTOM_TOKEN", "Its claims are no object, or too large.")
        if (claims.get("tenant_id") or "") != scope.tenant:
            raise AuthError("TENANT_ID_MISMATCH")
        check_not_reserved(own)

        def find(tx: Tx) -> Account | None:
            account = accounts.by_uid(tx, scope, uid)
            if account is None or account.custom_auth:
                return account
            return accounts.update(tx, account, custom_auth=True)

        context = self._context
        found = await context.write(find)
        if found is not None:
            return await context.issue(found, CUSTOM, client, session_claims=own)
        created = await context.create(scope, {"uid": uid, "custom_auth": True}, CUSTOM, client)
        return await context.issue(created, CUSTOM, client, session_claims=own, is_new=True)

    async def _custom_claims(self, scope: Scope, token: str) -> dict[str, Any]:
        """The claims of a custom token whose signature is good."""
        now, skew = self._context.clock(), self._context.options.clock_skew_s
        if self._context.options.dev:
            return _emulated_custom_token(token)
        try:
            key, claims = await self._verify(token, "The custom token")
        except Unauthenticated as error:
            raise AuthError("INVALID_CUSTOM_TOKEN", error.message) from error
        if key.project != scope.project or key.role == "viewer":
            raise AuthError("CREDENTIAL_MISMATCH")
        if claims.get("aud") != CUSTOM_TOKEN_AUDIENCE or claims.get("iss") != key.client_email:
            raise AuthError("INVALID_CUSTOM_TOKEN", "Audience or issuer is wrong.")
        expires, issued = seconds(claims, "exp"), seconds(claims, "iat")
        if expires is None or issued is None or not issued - skew <= now < expires + skew:
            raise AuthError("INVALID_CUSTOM_TOKEN", "The token has expired, or is from the future.")
        if expires - issued > _LONGEST_ASSERTION_S + skew:
            raise AuthError("INVALID_CUSTOM_TOKEN", "The token lives longer than an hour.")
        return claims

    async def _verify(self, token: str, what: str) -> tuple[ServiceAccountKey, dict[str, Any]]:
        """The key that signed, and what it signed. Custom tokens may come without a key id."""
        parts = take_apart(token, what)
        if parts.header.get("alg") != ALGORITHM:
            raise Unauthenticated(f"{what} must be signed with {ALGORITHM}.")
        key_id, issuer = parts.header.get("kid"), parts.claims.get("iss")
        column = service_account_keys.c
        named = column.key_id == str(key_id) if key_id else column.client_email == str(issuer)
        query = sa.select(service_account_keys).where(named).limit(20)
        rows = await self._context.database.read(lambda tx: tx.core.execute(query).mappings().all())
        for row in rows:
            try:
                jws.verify(token, row["public_key"], algorithms=[ALGORITHM])
            except JOSEError:
                continue
            return ServiceAccountKey(**dict(row)), parts.claims
        raise Unauthenticated(f"{what} is not signed with the key of a service account here.")

    def _is_our_audience(self, audience: object) -> bool:
        """Key files name the token address; some clients sign for Google's, whatever the file says."""
        own = self._context.options.public_url.rstrip("/")
        allowed = {
            f"{own}/token",
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com/o/oauth2/token",
        }
        return isinstance(audience, str) and audience in allowed

    async def _load(self, token_hash: bytes) -> Principal:
        query = (
            sa.select(service_account_keys, access_tokens.c.expires_at)
            .join(access_tokens, access_tokens.c.key_id == service_account_keys.c.key_id)
            .where(access_tokens.c.token_hash == token_hash)
        )
        row = await self._context.database.read(
            lambda tx: tx.core.execute(query).mappings().first()
        )
        if row is None:
            raise Unauthenticated("The access token is unknown: get a fresh one.")
        return Principal(
            PrincipalKind.SERVICE_ACCOUNT,
            uid=row["client_email"],
            claims={"email": row["client_email"], "sub": row["client_email"]},
            project=row["project"],
            expires_at=row["expires_at"] / 1_000,
            role=row["role"],
        )


def _emulated_custom_token(token: str) -> dict[str, Any]:
    """The claims of a custom token as emulators take it: plain JSON, or a token that anybody signed."""
    if token.lstrip().startswith("{"):
        try:
            plain = json.loads(token)
        except (ValueError, RecursionError) as error:
            raise AuthError("INVALID_CUSTOM_TOKEN", "It is no JSON object.") from error
        return dict(plain)
    try:
        parts = take_apart(token, "The custom token")
    except Unauthenticated as error:
        raise AuthError("INVALID_CUSTOM_TOKEN", error.message) from error
    if parts.claims.get("aud") != CUSTOM_TOKEN_AUDIENCE:
        raise AuthError("INVALID_CUSTOM_TOKEN", "Its audience is wrong.")
    return parts.claims


def _generate() -> tuple[str, str]:
    """Private half in PKCS #8 PEM, public half in PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private_pem.decode(), public_pem.decode()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
