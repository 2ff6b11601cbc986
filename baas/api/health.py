"""Is it there, is it ready, which one is it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import baas
from baas.api.http import JSONResponse


def routes(ready: Callable[[], Awaitable[None]]) -> list[Route]:
    """The health endpoints. ``ready`` raises ``Unavailable`` while requests could not be served."""

    async def healthz(_request: Request) -> Response:
        """200 as soon as the process serves."""
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        """200 when the database answers; 503 with the reason otherwise."""
        await ready()
        return JSONResponse({"status": "ready"})

    async def version(_request: Request) -> Response:
        """Name and version of the server."""
        return JSONResponse({"name": "homefire", "version": baas.__version__})

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/version", version, methods=["GET"]),
    ]
