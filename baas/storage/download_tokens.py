"""Download tokens: secrets in addresses, each of which lets whoever has it read one object."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable

from baas.access.principal import Principal
from baas.db.unit import Database
from baas.errors import InvalidArgument
from baas.storage import object_writes
from baas.storage.deciding import Decisions
from baas.storage.guard import Guard
from baas.storage.model import StoredObject
from baas.storage.options import StorageOptions

Tokens = tuple[str, ...]


def new_token() -> str:
    """A fresh token: 122 random bits."""
    return str(uuid.uuid4())


def has_token(stored: StoredObject, token: str) -> bool:
    """Whether this is one of the object's tokens, in a time that tells nothing of which."""
    given = token.encode(errors="surrogatepass")
    matches = [hmac.compare_digest(kept.encode(), given) for kept in stored.tokens]
    return any(matches)


class DownloadTokens:
    """Made and revoked."""

    def __init__(
        self, database: Database, guard: Guard, decisions: Decisions, options: StorageOptions
    ) -> None:
        self._database = database
        self._guard = guard
        self._decisions = decisions
        self._options = options

    async def create(self, principal: Principal, bucket: str, name: str) -> StoredObject:
        """Add a token. Only for callers that bypass rules.

        Raises:
            PermissionDenied, NotFound; InvalidArgument: the object has too many.
        """
        await self._guard.require_admin(principal, bucket)
        return await self._amend(bucket, name, lambda tokens: (*tokens, new_token()))

    async def revoke(
        self, principal: Principal, bucket: str, name: str, token: str
    ) -> StoredObject:
        """Revoke a token; the last one is replaced by a new one. Only for callers that bypass rules.

        Raises:
            PermissionDenied, NotFound.
        """

        def without(tokens: Tokens) -> Tokens:
            return tuple(kept for kept in tokens if kept != token) or (new_token(),)

        await self._guard.require_admin(principal, bucket)
        return await self._amend(bucket, name, without)

    async def set(
        self, principal: Principal, bucket: str, name: str, tokens: Tokens
    ) -> StoredObject:
        """Have exactly these tokens. Only for callers that bypass rules.

        Raises:
            PermissionDenied, NotFound; InvalidArgument: they are too many.
        """
        await self._guard.require_admin(principal, bucket)
        return await self._amend(bucket, name, lambda _: tokens)

    async def ensure(self, stored: StoredObject) -> StoredObject:
        """The object with a token at least: whoever may read it may hand it on.

        Raises:
            NotFound: it is gone by now.
        """
        if stored.tokens:
            return stored
        return await self._amend(
            stored.bucket, stored.name, lambda tokens: tokens or (new_token(),)
        )

    async def _amend(
        self, bucket: str, name: str, change: Callable[[Tokens], Tokens]
    ) -> StoredObject:
        async def attempt() -> StoredObject:
            existing = await self._guard.find(bucket, name)
            if existing is None:
                raise object_writes.not_found(bucket, name)
            tokens = change(existing.tokens)
            if len(tokens) > self._options.max_tokens:
                raise InvalidArgument(
                    f"An object has at most {self._options.max_tokens} download tokens."
                )
            if tokens == existing.tokens:
                return existing
            return await self._database.write(
                lambda tx: object_writes.amend(tx, existing, tokens=tokens)
            )

        return await self._decisions.carry_out(attempt)
