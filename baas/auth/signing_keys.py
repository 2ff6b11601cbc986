"""The keys that sign tokens: in the database, sealed; made when first needed, and anew before they expire.

A new key is published for a while before it signs, and an old one after it has signed for the last time,
so that rotation logs nobody out and surprises no cache of public keys.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from jose import jwk
from jose.backends.base import Key

from baas.auth.options import AuthOptions
from baas.auth.secret_box import SecretBox
from baas.db.tables.auth import signing_keys
from baas.db.unit import Database, Tx

LONGEST_TOKEN_S = 14 * 86_400
"""The longest life of anything signed: a session cookie's."""
_PURPOSE = "signing-key"
_RELOAD_S = 30.0


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair. Times in seconds since the epoch."""

    key_id: str
    private: Key
    public: Key
    certificate: str
    active_from: float
    expires_at: float

    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JSON Web Key."""
        data: dict[str, Any] = dict(self.public.to_dict())
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.key_id,
            "n": data["n"],
            "e": data["e"],
        }


class KeyRing:
    """The signing keys of a server, shared by its projects (tokens name theirs in ``iss`` and ``aud``)."""

    def __init__(
        self,
        database: Database,
        options: AuthOptions,
        secrets_box: SecretBox,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._options = options
        self._box = secrets_box
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def signing_key(self) -> SigningKey:
        """The key that signs now; made, if there is none yet."""
        await self._refresh()
        now = self._clock()
        active = [key for key in self._keys.values() if key.active_from <= now < self._ends(key)]
        if not active:
            return await self._first(now)
        newest = max(active, key=_age)
        if self._is_due(newest, now) and not self._lock.locked():
            async with self._lock:
                await self._create(active_from=now + self._options.signing_key_ahead_s)
        return newest

    async def _first(self, now: float) -> SigningKey:
        async with self._lock:
            made = [key for key in self._keys.values() if key.active_from <= now < self._ends(key)]
            return made[0] if made else await self._create(active_from=now)

    async def public_keys(self) -> list[SigningKey]:
        """All keys that a verifier must know: those that signed, sign, and will."""
        await self._refresh()
        if not self._keys:
            await self.signing_key()
        return sorted(self._keys.values(), key=_age, reverse=True)

    async def find(self, key_id: str) -> SigningKey | None:
        """A key by the id in a token's header. Unknown ones read the table once a second at most."""
        await self._refresh(always=False)
        key = self._keys.get(key_id)
        if key is None and self._clock() - self._read_at >= 1.0:
            await self._read()
            key = self._keys.get(key_id)
        return key if key is not None and self._clock() < key.expires_at else None

    async def rotate(self, *, revoke: bool = False) -> str:
        """Sign with a new key from now on; answers its id.

        With ``revoke`` the old keys stop verifying too: every ID token ends, refresh tokens get new ones.
        """
        if revoke:
            await self._database.write(lambda tx: tx.core.execute(sa.delete(signing_keys)))
            self._keys = {}
        async with self._lock:
            return (await self._create(active_from=self._clock())).key_id

    async def reseal(self) -> int:
        """Seal every key with the first secret key; answers how many were not."""
        return await self._database.write(lambda tx: _reseal(tx, self._box))

    def _ends(self, key: SigningKey) -> float:
        return key.expires_at - LONGEST_TOKEN_S

    def _is_due(self, newest: SigningKey, now: float) -> bool:
        waiting = any(key.active_from > now for key in self._keys.values())
        return not waiting and self._ends(newest) - now < 2 * self._options.signing_key_ahead_s

    async def _refresh(self, *, always: bool = True) -> None:
        if self._clock() - self._read_at >= _RELOAD_S or (always and not self._keys):
            await self._read()

    async def _read(self) -> None:
        rows = await self._database.read(
            lambda tx: tx.core.execute(sa.select(signing_keys)).mappings().all()
        )
        now = self._clock()
        self._keys = {
            row["key_id"]: self._keys.get(row["key_id"]) or self._load(row)
            for row in rows
            if row["expires_at"] > now * 1_000
        }
        self._read_at = now

    def _load(self, row: Any) -> SigningKey:
        private_pem = self._box.open(row["private_key"], _PURPOSE).decode()
        private = jwk.construct(private_pem, "RS256")
        return SigningKey(
            row["key_id"],
            private,
            private.public_key(),
            row["certificate"],
            row["active_from"] / 1_000,
            row["expires_at"] / 1_000,
        )

    async def _create(self, *, active_from: float) -> SigningKey:
        """Make and store a key. The lock is held by the caller."""
        expires_at = active_from + self._options.signing_key_lifetime_s + LONGEST_TOKEN_S
        # ids begin with the time of creation, so that they tell which of two keys is newer
        key_id = f"{time.time_ns():016x}{secrets.token_hex(12)}"
        private_pem, certificate = await asyncio.to_thread(_generate, active_from, expires_at)
        row = {
            "key_id": key_id,
            "private_key": self._box.seal(private_pem, _PURPOSE),
            "certificate": certificate,
            "active_from": int(active_from * 1_000),
            "expires_at": int(expires_at * 1_000),
        }

        def store(tx: Tx) -> None:
            now_ms = int(self._clock() * 1_000)
            tx.core.execute(sa.delete(signing_keys).where(signing_keys.c.expires_at < now_ms))
            tx.core.execute(sa.insert(signing_keys).values(row))

        await self._database.write(store)
        self._keys[key_id] = self._load(row)
        return self._keys[key_id]


def _age(key: SigningKey) -> tuple[float, str]:
    return key.active_from, key.key_id


def _generate(active_from: float, expires_at: float) -> tuple[bytes, str]:
    """A new RSA key: private half in PKCS #8 PEM, public half as a self-signed certificate in PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.homefire")])
    day = dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.fromtimestamp(active_from, dt.UTC) - 2 * day)
        .not_valid_after(dt.datetime.fromtimestamp(expires_at, dt.UTC) + day)
        .sign(key, hashes.SHA256())
    )
    private_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private_pem, certificate.public_bytes(serialization.Encoding.PEM).decode()


def _reseal(tx: Tx, box: SecretBox) -> int:
    resealed = 0
    for key_id, sealed in tx.core.execute(
        sa.select(signing_keys.c.key_id, signing_keys.c.private_key)
    ).all():
        if not box.is_current(sealed):
            fresh = box.seal(box.open(sealed, _PURPOSE), _PURPOSE)
            tx.core.execute(
                sa.update(signing_keys)
                .where(signing_keys.c.key_id == key_id)
                .values(private_key=fresh)
            )
            resealed += 1
    return resealed
