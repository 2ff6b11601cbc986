"""The pages behind the web SDK's ``signInWithPopup`` and ``signInWithRedirect``.

The SDK opens ``handler`` in a popup (or sends the tab there) and keeps ``iframe`` in the app's page. The
handler goes to the provider and comes back with its answer; the frame passes that on to the app, which
completes it with ``accounts:signInWithIdp``. Three things keep others out: the app's address must be on an
authorized domain, and nothing is told to another origin; the round is kept in the tab that began it, so an
answer from elsewhere (a forged link) is refused; the provider is told one fixed address of this server's.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from baas.api.auth_pages import HEADERS, page, refusal
from baas.api.http import read_body
from baas.api.identity_request import project_of_key
from baas.auth.errors import AuthError
from baas.auth.options import Scope
from baas.auth.service import AuthService
from baas.errors import ApiError, InvalidArgument

HANDLER_PATH, IFRAME_PATH = "/__/auth/handler", "/__/auth/iframe"
_SCRIPTS = Path(__file__).with_name("auth_web")
_SCRIPT_NAMES = ("handler.js", "iframe.js", "embed.js")
_AUTH_TYPES = tuple(
    f"{what}Via{how}" for what in ("signIn", "link", "reauth") for how in ("Popup", "Redirect")
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MAX_TEXT, _MAX_BODY, _MAX_USERS = 512, 16_384, 200
_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")
_PICKER = (
    '<form id="new"><label>Email <input type="email" name="email" required></label>'
    '<label>Name <input name="name"></label><button>Sign in as a new user</button></form>'
)


def routes(service: AuthService) -> list[Route]:
    """Every route of this surface, under the names that the SDK has in both of its modes."""
    pages = HandlerPages(service)
    found = [Route(f"/__/auth/{name}", _script(name), methods=["GET"]) for name in _SCRIPT_NAMES]
    for prefix in ("/__/auth", "/emulator/auth"):
        found.append(Route(f"{prefix}/handler", pages.handler, methods=["GET"]))
        found.append(Route(f"{prefix}/iframe", pages.iframe, methods=["GET"]))
    found.append(Route(HANDLER_PATH, pages.posted, methods=["POST"]))
    return found


class HandlerPages:
    """The pages."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def handler(self, request: Request) -> Response:
        """The page in the popup: on the way to the provider, and on the way back."""
        query = request.query_params
        if "authType" not in query:
            return _stepping({"step": "finish"})
        try:
            scope = self._scope(query)
            call = await self._read_call(scope, query)
            return _stepping(await self._first_step(request, scope, call, query))
        except ApiError as error:
            return refusal(error)

    async def posted(self, request: Request) -> Response:
        """The way back of providers that post (Apple)."""
        try:
            body = (await read_body(request.receive, _MAX_BODY)).decode()
        except (ApiError, ValueError) as error:
            known = error if isinstance(error, ApiError) else InvalidArgument("It is no form.")
            return refusal(known)
        return _stepping({"step": "finish", "postBody": body})

    async def iframe(self, request: Request) -> Response:
        """The frame in the app's page; only authorized domains may hold it."""
        policy = "default-src 'none'; script-src 'self'; base-uri 'none'"
        try:
            config = await self._service.configs.get(self._scope(request.query_params))
        except ApiError as error:
            return refusal(error)
        if not self._service.options.dev:
            domains = [d for d in config.get("authorizedDomains") or [] if _DOMAIN.fullmatch(d)]
            sources = [f"{scheme}://{d}:*" for d in domains for scheme in ("https", "http")]
            policy += f"; frame-ancestors 'self' {' '.join(sources)}"
        headers = {**HEADERS, "content-security-policy": policy}
        del headers["x-frame-options"]  # it knows no list; the policy above has it
        text = (
            '<!doctype html><meta charset="utf-8"><title></title>'
            '<script src="/__/auth/iframe.js"></script>'
        )
        return Response(text, media_type="text/html", headers=headers)

    def _scope(self, query: Mapping[str, str]) -> Scope:
        project = project_of_key(query.get("apiKey", ""), self._service.options)
        scope = Scope(project, query.get("tid", ""))
        if not scope.valid:
            raise InvalidArgument("The address is damaged.")
        return scope

    async def _read_call(self, scope: Scope, query: Mapping[str, str]) -> dict[str, str]:
        """What the app asks for, and the origin that may be told what comes of it."""
        names = ("apiKey", "appName", "authType", "eventId", "providerId", "redirectUrl")
        call = {name: query.get(name, "") for name in names} | {"tenantId": scope.tenant}
        if call["authType"] not in _AUTH_TYPES:
            raise InvalidArgument("authType is none of those that there are.")
        short = [value for name, value in call.items() if name != "redirectUrl"]
        if any(len(value) > _MAX_TEXT for value in short) or len(call["redirectUrl"]) > 8_192:
            raise InvalidArgument("The address is too long.")
        config = await self._service.configs.get(scope)
        config.check_continue_url(call["redirectUrl"], open_to_all=self._service.options.dev)
        app = urlsplit(call["redirectUrl"])
        return call | {"target": f"{app.scheme}://{app.netloc}"}

    async def _first_step(
        self, request: Request, scope: Scope, call: Mapping[str, str], query: Mapping[str, str]
    ) -> dict[str, Any]:
        own = self._own_address(request)
        parts = urlsplit(own)
        try:
            url, session = await self._service.federated.begin(
                scope,
                call["providerId"],
                own + HANDLER_PATH,
                scopes=[each for each in query.get("scopes", "").split(",") if each],
                parameters=_custom_parameters(query.get("customParameters", "")),
            )
        except AuthError as error:
            missing = error.code == "OPERATION_NOT_ALLOWED"
            if missing and self._service.options.dev:
                users = await self._made_up(scope, call["providerId"])
                return {"step": "pick", "call": call, "users": users}
            code = "auth/operation-not-allowed" if missing else "auth/internal-error"
            return {
                "step": "refuse",
                "call": call,
                "error": {"code": code, "message": error.message},
            }
        origin = f"{parts.scheme}://{parts.netloc}"
        found = {"step": "begin", "call": call, "authUri": url, "sessionId": session}
        return {**found, "origin": origin}

    def _own_address(self, request: Request) -> str:
        """This server's address: as configured, never as a Host header says.

        Development mode has several names for the loopback, and a tab's memory belongs to one of them.
        """
        if self._service.options.dev and request.url.hostname in _LOOPBACK:
            return f"{request.url.scheme}://{request.url.netloc}"
        return self._service.options.public_url.rstrip("/")

    async def _made_up(self, scope: Scope, provider_id: str) -> list[dict[str, str]]:
        """Users of a provider that development mode knows already."""
        found, _ = await self._service.admin.page(scope, size=_MAX_USERS, token="")
        return [
            {
                "sub": identity.raw_id,
                "email": identity.email or "",
                "name": account.display_name or "",
            }
            for account in found
            for identity in account.identities
            if identity.provider_id == provider_id
        ]


def _custom_parameters(text: str) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("customParameters is no JSON.") from error
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise InvalidArgument("customParameters must be an object of strings.")
    return found


def _stepping(data: Mapping[str, Any]) -> Response:
    picker = data["step"] == "pick"
    title = f"Sign in with {data['call']['providerId']}" if picker else "Signing in"
    words = "Development mode: choose who comes back from there." if picker else ""
    # "<" is all that could end the element early
    shown = json.dumps(data).replace("<", "\\u003c")
    body = (
        f'<p id="words">{html.escape(words)}</p>{_PICKER if picker else ""}'
        f'<script type="application/json" id="data">{shown}</script>'
        '<script src="/__/auth/handler.js"></script>'
    )
    policy = HEADERS["content-security-policy"] + "; script-src 'self'"
    return page(title, body, headers={**HEADERS, "content-security-policy": policy})


def _script(name: str) -> Any:
    text = (_SCRIPTS / name).read_text(encoding="utf-8")
    headers = {
        "cache-control": "public, max-age=3600",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }

    async def serve(request: Request) -> Response:
        return Response(text, media_type="text/javascript", headers=headers)

    return serve
