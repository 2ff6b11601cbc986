"""Configurations of projects and tenants: read, changed, made and dropped."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from baas.auth import accounts, codes, project_config
from baas.auth.context import AuthContext
from baas.auth.errors import AuthError
from baas.auth.options import Scope
from baas.auth.project_config import ProjectConfig
from baas.db.unit import Tx
from baas.errors import InvalidArgument

_UNFIT = re.compile(r"[^a-z0-9-]+")
MAX_TENANTS = 1_000


class Configs:
    """The administrator's side of configuration."""

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    async def get(self, scope: Scope) -> ProjectConfig:
        """The configuration in force.

        Raises:
            AuthError: TENANT_NOT_FOUND.
        """
        return await self._context.config(scope)

    async def update(
        self, scope: Scope, values: Mapping[str, Any], mask: Sequence[str]
    ) -> ProjectConfig:
        """Change the masked paths; without a mask those that are given.

        Raises:
            InvalidArgument: a path cannot be set, or not to this.
            AuthError: TENANT_NOT_FOUND.
        """

        def unit(tx: Tx) -> ProjectConfig:
            before = project_config.stored(tx, scope)
            if before is None and scope.tenant:
                raise AuthError("TENANT_NOT_FOUND")
            changed = project_config.apply_update(before or {}, values, mask or None)
            project_config.save(tx, scope, changed)
            return project_config.load(tx, scope, self._context.options)

        return await self._context.write(unit)

    async def create_tenant(self, project: str, values: Mapping[str, Any]) -> Scope:
        """A new tenant, its id made from its display name.

        Raises:
            InvalidArgument: the values cannot be set, or there are too many tenants.
        """
        stem = _UNFIT.sub("-", str(values.get("displayName") or "tenant").lower()).strip("-")
        scope = Scope(project, f"{stem[:20] or 'tenant'}-{secrets.token_hex(3)}")
        changed = project_config.apply_update({}, values, None)

        def unit(tx: Tx) -> None:
            if len(project_config.tenants(tx, project)) >= MAX_TENANTS:
                raise InvalidArgument(f"A project has at most {MAX_TENANTS} tenants.")
            project_config.save(tx, scope, changed)

        await self._context.write(unit)
        return scope

    async def tenants(self, project: str, *, size: int, token: str) -> tuple[list[Scope], str]:
        """A page of a project's tenants by id, and the token of the next one ("" after the last)."""
        size = min(max(size or MAX_TENANTS, 1), MAX_TENANTS)
        found = await self._context.database.read(
            lambda tx: project_config.tenants(tx, project, after=token, limit=size)
        )
        scopes = [Scope(project, tenant) for tenant in found]
        return scopes, found[-1] if len(found) == size else ""

    async def ensure_tenant(self, scope: Scope) -> None:
        """Make the tenant that development mode was asked for, with everything on."""

        def unit(tx: Tx) -> None:
            if project_config.stored(tx, scope) is None:
                everything = project_config.tenant_defaults(made=False)
                project_config.save(tx, scope, everything)

        await self._context.write(unit)

    async def delete_tenant(self, scope: Scope) -> None:
        """Delete a tenant and its accounts.

        Raises:
            AuthError: TENANT_NOT_FOUND.
        """

        def unit(tx: Tx) -> None:
            if project_config.stored(tx, scope) is None:
                raise AuthError("TENANT_NOT_FOUND")
            project_config.drop(tx, scope)
            accounts.delete_all(tx, scope)

        await self._context.write(unit)

    async def reset(self, project: str) -> None:
        """Forget everything of a project: accounts, tenants, codes, configuration."""

        def unit(tx: Tx) -> None:
            for tenant in ("", *project_config.tenants(tx, project)):
                scope = Scope(project, tenant)
                accounts.delete_all(tx, scope)
                codes.drop_of_scope(tx, scope)
                project_config.drop(tx, scope)

        await self._context.write(unit)
