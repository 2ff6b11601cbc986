"""Who may call the administrators' side: service accounts, and those among them that may write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Path

from baas.access.principal import Principal
from baas.errors import PermissionDenied, Unauthenticated

Authenticate = Callable[[str | None, str], Awaitable[Principal]]
Project = Annotated[str, Path(max_length=128)]


def dependencies(authenticate: Authenticate) -> tuple[list[Any], list[Any]]:
    """What routes depend on whose callers read, and on whose callers change something."""

    async def reader(
        project: Project, authorization: Annotated[str | None, Header()] = None
    ) -> Principal:
        principal = await authenticate(authorization, project)
        if principal.bypasses_rules:
            return principal
        if principal.uid is None:
            raise Unauthenticated("This call needs the access token of a service account.")
        raise PermissionDenied("This call is for service accounts only.")

    async def writer(
        project: Project, authorization: Annotated[str | None, Header()] = None
    ) -> Principal:
        principal = await reader(project, authorization)
        if not principal.may_write:
            raise PermissionDenied("The role of this service account lets it read only.")
        return principal

    return [Depends(reader)], [Depends(writer)]
