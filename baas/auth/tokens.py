"""Making and believing ID tokens and session cookies."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from jose import jws
from jose.exceptions import JOSEError

from baas.auth import claims as claim_rules
from baas.auth.options import AuthOptions
from baas.auth.signing_keys import KeyRing, SigningKey
from baas.errors import Unauthenticated

ALGORITHM = "RS256"
MAX_TOKEN_LENGTH = 16_384


@dataclass(frozen=True, slots=True)
class Parts:
    """A JWT taken apart, nothing of it believed yet."""

    header: Mapping[str, Any]
    claims: dict[str, Any]
    signature: str


@dataclass(frozen=True, slots=True)
class _Believed:
    """A token that was verified: for which project, and until when its claims hold."""

    parts: Parts
    project: str
    until: float


def take_apart(token: str, what: str) -> Parts:
    """Header, claims and signature of a JWT.

    Raises:
        Unauthenticated: it is none.
    """
    words = token.split(".")
    if len(token) > MAX_TOKEN_LENGTH or len(words) != 3:
        raise Unauthenticated(f"{what} is not a JSON Web Token.")
    try:
        header, found = (json.loads(_decode(word)) for word in words[:2])
    except (ValueError, RecursionError) as error:
        raise Unauthenticated(f"{what} is not a JSON Web Token.") from error
    if not isinstance(header, dict) or not isinstance(found, dict):
        raise Unauthenticated(f"{what} is not a JSON Web Token.")
    return Parts(header, found, words[2])


def unsigned(claims: Mapping[str, Any]) -> str:
    """A token without signature, as the emulators make them."""
    return f"{_encode({'alg': 'none', 'typ': 'JWT'})}.{_encode(claims)}."


class Tokens:
    """Signs and verifies. The algorithm is RS256, whatever a token's header says.

    A verified token is remembered until it expires, so that the many calls of one client cost one signature.
    """

    def __init__(self, keys: KeyRing, options: AuthOptions, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._options = options
        self._clock = clock
        self._verified: OrderedDict[tuple[str, str], _Believed] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="token-signer")

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """A token of these claims; in development mode without signature, unless set otherwise."""
        if self._options.unsigned_tokens:
            return unsigned(claims)
        key = await self._keys.signing_key()
        # ~1 ms of RSA with the interpreter's lock released
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: _sign(claims, key)
        )

    async def verify_id_token(self, token: str, project: str) -> dict[str, Any]:
        """The claims of an ID token of this project.

        Raises:
            Unauthenticated: forged, expired, another project's, or no ID token at all.
        """
        return await self._verify(token, project, claim_rules.ID_TOKEN_ISSUER, "The ID token")

    async def verify_session_cookie(self, cookie: str, project: str) -> dict[str, Any]:
        """The claims of a session cookie of this project.

        Raises:
            Unauthenticated: as for ID tokens.
        """
        return await self._verify(
            cookie, project, claim_rules.SESSION_COOKIE_ISSUER, "The session cookie"
        )

    def forget(self) -> None:
        """Verify every token anew."""
        self._verified.clear()

    def close(self) -> None:
        """Stop the signing thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _verify(self, token: str, project: str, issuer: str, what: str) -> dict[str, Any]:
        remembered = self._verified.get((token, issuer))
        if remembered is not None and await self._key_of(remembered.parts) is not None:
            if project != remembered.project or self._clock() >= remembered.until:
                self._check(remembered.parts.claims, project, issuer, what)
            return remembered.parts.claims
        parts = take_apart(token, what)
        if self._options.dev and parts.header.get("alg") == "none" and not parts.signature:
            return _emulator_claims(parts.claims, what)
        if parts.header.get("alg") != ALGORITHM:
            raise Unauthenticated(f"{what} must be signed with {ALGORITHM}.")
        await self._check_signature(token, parts, what)
        self._check(parts.claims, project, issuer, what)
        self._remember(token, issuer, project, parts)
        return parts.claims

    async def _check_signature(self, token: str, parts: Parts, what: str) -> None:
        key = await self._key_of(parts)
        if key is None:
            raise Unauthenticated(f"{what} is signed with a key that this server does not know.")
        try:
            jws.verify(token, key.public, algorithms=[ALGORITHM])
        except JOSEError as error:
            raise Unauthenticated(f"{what} has a wrong signature.") from error

    async def _key_of(self, parts: Parts) -> SigningKey | None:
        key_id = parts.header.get("kid")
        return await self._keys.find(key_id) if isinstance(key_id, str) else None

    def _check(self, claims: Mapping[str, Any], project: str, issuer: str, what: str) -> None:
        claim_rules.check(
            claims,
            issuer=issuer,
            project=project,
            now=self._clock(),
            skew=self._options.clock_skew_s,
            what=what,
        )

    def _remember(self, token: str, issuer: str, project: str, parts: Parts) -> None:
        until = claim_rules.seconds(parts.claims, "exp") or 0.0
        self._verified[token, issuer] = _Believed(parts, project, until)
        if len(self._verified) > self._options.token_cache_size:
            self._verified.popitem(last=False)


def _emulator_claims(claims: dict[str, Any], what: str) -> dict[str, Any]:
    """Unsigned tokens of development mode: only the user matters; test tools leave out the rest."""
    subject = claims.get("sub") or claims.get("user_id")
    if not isinstance(subject, str):
        raise Unauthenticated(f"{what} names no user.")
    return {**claims, "sub": subject, "user_id": subject}


def _sign(claims: Mapping[str, Any], key: SigningKey) -> str:
    return str(jws.sign(dict(claims), key.private, {"kid": key.key_id}, ALGORITHM))


def _encode(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _decode(word: str) -> bytes:
    return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
