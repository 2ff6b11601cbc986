"""What storage asks of access: may they?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from baas.access.principal import Principal
from baas.model.values import Timestamp


class StorageAuthorizer(Protocol):
    """The rules, as storage sees them."""

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

        ``method``: ``get``, ``list``, ``create``, ``update`` or ``delete``. The resources are flat
        metadata in the words of ``rules`` §3 "Storage", their values those of the rules language.

        Raises:
            PermissionDenied: no.
        """
