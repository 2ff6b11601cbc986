"""Access to objects, as the storage room asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import rules
from baas.access import context
from baas.access.authorize import DENIED, AsyncLookup, Authorizer
from baas.access.principal import Principal
from baas.access.releases import STORAGE
from baas.errors import PermissionDenied
from baas.model.values import Timestamp


class StorageRights:
    """Decides about objects: by the rules of the project that the bucket belongs to.

    Args:
        authorizer: the decisions.
        project_of: bucket -> project, ``None`` if there is no such bucket.
        lookup: reads a document for ``firestore.get`` and ``firestore.exists``, past the rules.
    """

    def __init__(
        self,
        authorizer: Authorizer,
        project_of: Callable[[str], Awaitable[str | None]],
        lookup: AsyncLookup,
    ) -> None:
        self._authorizer = authorizer
        self._project_of = project_of
        self._lookup = lookup

    async def check_storage(
        self,
        principal: Principal,
        bucket: str,
        object_name: str,
        method: str,
        resource: Mapping[str, Any] | None,
        new_resource: Mapping[str, Any] | None,
        time: Timestamp,
    ) -> None:
        """May the caller do this with an object (``list``: with a prefix)?

        The resources are flat metadata in the words of ``rules`` §3 "Storage", their values those of
        the rules language.

        Raises:
            PermissionDenied: no.
        """
        request = rules.Request(
            service=STORAGE,
            method=context.method_of(method),
            database=bucket,
            path=tuple(part for part in object_name.split("/") if part),
            auth=context.auth_of(principal),
            time=context.time_of(time),
            resource=_metadata(resource),
            new_resource=_metadata(new_resource),
        )
        project = await self._project_of(bucket)
        if project is None:
            raise PermissionDenied(DENIED)
        await self._authorizer.check_storage(principal, project, request, self._lookup)


def _metadata(resource: Mapping[str, Any] | None) -> rules.Resource | None:
    return None if resource is None else rules.Resource(data=resource)
