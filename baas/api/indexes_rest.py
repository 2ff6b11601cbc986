"""Indexes of a running server, for administrators: what ``homefire indexes --url`` calls. Our own API.

``database`` is the database's id, ``(default)`` unless given.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from baas.api.administrators import Authenticate, Project, dependencies
from baas.documents.index_wishes import parse_declared
from baas.documents.indexes import Index
from baas.documents.service import DocumentStore
from baas.model.paths import DatabaseId

Database = Annotated[str, Query(max_length=128)]
DEFAULT = "(default)"


class IndexFile(BaseModel):
    """A ``firestore.indexes.json``, as text, and what to call it."""

    model_config = ConfigDict(extra="forbid")

    name: str = "firestore.indexes.json"
    content: str


def router(store: DocumentStore, authenticate: Authenticate) -> APIRouter:
    """The routes. Reading needs a service account; changing one that may write."""
    routes = APIRouter(prefix="/v1/projects/{project}", tags=["indexes"])
    may_read, may_write = dependencies(authenticate)

    @routes.get("/indexes", dependencies=may_read)
    async def list_indexes(project: Project, database: Database = DEFAULT) -> dict[str, Any]:
        """All indexes of a database."""
        indexes = await store.indexes.list(DatabaseId.of(project, database))
        return {"indexes": list(map(_shown, indexes))}

    @routes.post("/indexes:declare", dependencies=may_write)
    async def declare(
        project: Project, body: IndexFile, database: Database = DEFAULT
    ) -> dict[str, Any]:
        """Have the declared indexes built and pinned, and set the declared expiry policies."""
        declared = parse_declared(body.content)
        await store.declare_indexes(DatabaseId.of(project, database), declared, body.name)
        return {"declared": len(declared.indexes)}

    @routes.post("/indexes/{number}:pin", dependencies=may_write)
    async def pin(project: Project, number: int, database: Database = DEFAULT) -> dict[str, Any]:
        """Protect an index from being dropped."""
        return _shown(await store.indexes.pin(DatabaseId.of(project, database), number))

    @routes.post("/indexes/{number}:unpin", dependencies=may_write)
    async def unpin(project: Project, number: int, database: Database = DEFAULT) -> dict[str, Any]:
        """No longer protect an index."""
        target = DatabaseId.of(project, database)
        return _shown(await store.indexes.pin(target, number, pinned=False))

    @routes.delete("/indexes/{number}", dependencies=may_write)
    async def drop(project: Project, number: int, database: Database = DEFAULT) -> dict[str, Any]:
        """Drop an index. Its entries go in the background."""
        await store.indexes.drop(DatabaseId.of(project, database), number)
        return {}

    return routes


def _shown(index: Index) -> dict[str, Any]:
    return {
        "number": index.id,
        "fields": str(index.definition),
        "state": index.state.value,
        "pinned": index.pinned,
        "requestedBy": index.requested_by,
    }
