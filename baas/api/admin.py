"""The administrators' side of the HTTP surface: a FastAPI application that describes itself (OpenAPI).

It is built when it is first asked for: nobody waits for it at start.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

import baas
from baas.access.release_store import ReleaseStore
from baas.api import indexes_rest, metrics, rules_rest
from baas.api.administrators import Authenticate
from baas.api.assembly import Assembly
from baas.api.edge import render_api_error, render_http_exception
from baas.api.http import BoundedBodies, error_response
from baas.documents.service import DocumentStore
from baas.errors import ApiError, InvalidArgument

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request: rules, and suites of their tests."""


def application(
    store: ReleaseStore,
    documents: DocumentStore,
    figures: metrics.Figures,
    authenticate: Authenticate,
    project: str,
    assembly: Assembly,
) -> ASGIApp:
    """The application; ``/openapi.json`` describes it. ``project`` is the default project."""
    app = FastAPI(
        title="Homefire",
        version=baas.__version__,
        docs_url=None,
        redoc_url=None,
        strict_content_type=False,  # clients of Google's APIs name JSON as they please
    )
    routers: list[APIRouter] = [
        rules_rest.router(store, authenticate),
        rules_rest.testing_router(authenticate),
        indexes_rest.router(documents, authenticate),
        metrics.router(figures, authenticate, project),
    ]
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(ApiError, render_api_error)
    app.add_exception_handler(HTTPException, render_http_exception)
    app.add_exception_handler(RequestValidationError, _render_validation_error)
    return BoundedBodies(app, MAX_BODY, assembly)


async def _render_validation_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()
    )
    return error_response(InvalidArgument(f"Invalid request: {found}"))
