"""Is it there, is it ready, which one is it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from pydantic import BaseModel

import baas


class Health(BaseModel):
    """The server answers."""

    status: str


class Version(BaseModel):
    """What is running."""

    name: str
    version: str


def router(ready: Callable[[], Awaitable[None]]) -> APIRouter:
    """The health endpoints. ``ready`` raises ``Unavailable`` while requests could not be served."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> Health:
        """200 as soon as the process serves."""
        return Health(status="ok")

    @routes.get("/readyz", responses={503: {"description": "A part cannot serve now."}})
    async def readyz() -> Health:
        """200 when the database answers and objects can be stored; 503 with the reason otherwise."""
        await ready()
        return Health(status="ready")

    @routes.get("/version")
    async def version() -> Version:
        """Name and version of the server."""
        return Version(name="homefire", version=baas.__version__)

    return routes
