"""From an HTTP request of Identity Toolkit to a call, and from what comes of it to an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from baas.api.http import JSONResponse, parse_object, read_body
from baas.api.identity_request import MAX_BODY, Call, Fields, identity_error, read_scope
from baas.auth.hooks import Client
from baas.auth.options import AuthOptions
from baas.errors import ApiError, InternalError

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[dict[str, Any]]]
Endpoint = Callable[[Request], Awaitable[Response]]

TOOLKIT_PREFIXES = ("", "/identitytoolkit.googleapis.com")


def call_endpoint(handler: Handler, options: AuthOptions, *, limit: int = MAX_BODY) -> Endpoint:
    """An endpoint that parses a call, runs it, and renders what comes of it."""

    networks = [ip_network(each, strict=False) for each in options.trusted_proxies]

    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request.receive, limit)
            fields = Fields(parse_object(body))
            call = Call(
                fields,
                read_scope(request, fields, options),
                Client(
                    client_address(request, networks),
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


def client_address(request: Request, proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """From where a call came; "" if nobody knows.

    ``X-Forwarded-For`` is read from its end, and only as far as trusted proxies wrote it: what stands before
    is the client's own invention.
    """
    address = request.client.host if request.client else ""
    if not proxies:
        return address
    told = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while _within(address, proxies) and told:
        last = told.pop().strip()
        try:
            address = str(ip_address(last))
        except ValueError:
            break
    return address


def _within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
