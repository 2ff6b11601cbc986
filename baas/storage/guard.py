"""What every door of storage does first: is there such a bucket, may the caller, what is there now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baas.access.principal import Principal
from baas.db.unit import Database
from baas.errors import NotFound, PermissionDenied
from baas.model.values import Timestamp
from baas.storage import object_rows
from baas.storage.access import StorageAuthorizer
from baas.storage.buckets import Buckets
from baas.storage.model import StoredObject
from baas.storage.names import check_object_name
from baas.storage.object_writes import now_micros
from baas.storage.resources import resource_of


class Guard:
    """Looks and asks; changes nothing."""

    def __init__(self, database: Database, authorize: StorageAuthorizer, buckets: Buckets) -> None:
        self._database = database
        self._authorize = authorize
        self._buckets = buckets

    async def known_bucket(self, bucket: str) -> None:
        """Raises:
        NotFound: there is no such bucket.
        """
        if await self._buckets.project_of(bucket) is None:
            raise NotFound(f"The bucket {bucket} does not exist.")

    async def find(self, bucket: str, name: str) -> StoredObject | None:
        """The object as it is now.

        Raises:
            NotFound: there is no such bucket.
            InvalidArgument: no object can have this name.
        """
        await self.known_bucket(bucket)
        check_object_name(name)
        return await self._database.read(lambda tx: object_rows.find(tx, bucket, name), quick=True)

    async def check(
        self,
        principal: Principal,
        bucket: str,
        name: str,
        method: str,
        resource: Mapping[str, Any] | None = None,
        proposed: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises:
        PermissionDenied: the rules say no.
        """
        await self._authorize.check_storage(
            principal, bucket, name, method, resource, proposed, Timestamp(now_micros())
        )

    async def check_write(
        self,
        principal: Principal,
        bucket: str,
        name: str,
        existing: StoredObject | None,
        proposed: Mapping[str, Any],
    ) -> None:
        """The same for what would be created, or updated where there is an object already."""
        method = "create" if existing is None else "update"
        resource = None if existing is None else resource_of(existing)
        await self.check(principal, bucket, name, method, resource, proposed)

    async def require_admin(self, principal: Principal, bucket: str) -> None:
        """Raises:
        PermissionDenied: the caller is no admin of the bucket's project.
        NotFound: there is no such bucket.
        """
        await self.known_bucket(bucket)
        if not principal.bypasses_rules:
            raise PermissionDenied("Only service accounts may do this.")
        await self.check(principal, bucket, "", "get")
