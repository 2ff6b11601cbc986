"""From an HTTP request of Identity Toolkit to a call, and from what comes of it to an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from baas.api.assembly import Assembly
from baas.api.client_address import ClientAddresses
from baas.api.http import JSONResponse, parse_object, read_body
from baas.api.identity_request import MAX_BODY, Call, Fields, identity_error, read_scope
from baas.auth.errors import AuthError
from baas.auth.hooks import Client
from baas.auth.options import AuthOptions, Scope
from baas.auth.project_config import ProjectConfig
from baas.errors import ApiError, InternalError

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[dict[str, Any]]]
ConfigOf = Callable[[Scope], Awaitable[ProjectConfig]]
Endpoint = Callable[[Request], Awaitable[Response]]

TOOLKIT_PREFIXES = ("", "/identitytoolkit.googleapis.com")
OLD_PREFIXES = (
    "/www.googleapis.com/identitytoolkit/v3/relyingparty",
    "/identitytoolkit/v3/relyingparty",
)


def while_enabled(handler: Handler, config_of: ConfigOf) -> Handler:
    """The handler, where sign-in is not switched off: a tenant can be, with all of its calls.

    Raises:
        AuthError: PROJECT_DISABLED, before anything of the call is looked at.
    """

    async def checked(call: Call) -> dict[str, Any]:
        if call.scope.tenant and (await config_of(call.scope)).get("disableAuth"):
            raise AuthError("PROJECT_DISABLED")
        return await handler(call)

    return checked


def call_endpoint(
    handler: Handler,
    options: AuthOptions,
    *,
    limit: int = MAX_BODY,
    assembly: Assembly | None = None,
) -> Endpoint:
    """An endpoint that parses a call, runs it, and renders what comes of it. ``assembly``: as for
    :func:`read_body`."""

    address_of = ClientAddresses(options.trusted_proxies)

    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request.receive, limit, assembly)
            fields = Fields(parse_object(body))
            call = Call(
                fields,
                read_scope(request, fields, options),
                Client(
                    address_of(request),
                    request.headers.get("user-agent", ""),
                    request.headers.get("x-firebase-locale", ""),
                ),
                request.headers.get("authorization"),
                {**request.query_params, **request.path_params},
                request.url.path,
            )
            return JSONResponse(await handler(call))
        except ApiError as error:
            return identity_error(error)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return identity_error(InternalError("The server failed; its log says why."))

    return endpoint
