"""The pages that links in mails lead to, and in development mode the emulator's own form of them.

A link that is merely opened changes nothing (mail scanners open them all): the page asks, and its form posts
the code, which is the only credential. There are no cookies, so there is nothing to forge a request with.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from baas.api.http import JSONResponse, read_body
from baas.auth.action_codes import ACTION_PATH, EMULATOR_ACTION_PATH, MODES
from baas.auth.errors import AuthError
from baas.auth.options import Scope
from baas.auth.service import AuthService
from baas.errors import ApiError, InvalidArgument

_MAX_FORM = 16_384
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_STYLE = (
    ":root{color-scheme:light dark;--ground:#f4f5f7;--card:#fff;--line:#c9cdd4;--main:#1a56b0}"
    "@media(prefers-color-scheme:dark){"
    ":root{--ground:#16181c;--card:#22252b;--line:#4a505b;--main:#2f6fd0}}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1rem;background:var(--ground)}"
    "main{max-width:24rem;margin:8vh auto;padding:1.5rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:.75rem}"
    "h1{font-size:1.4rem;line-height:1.25;margin:0 0 .75rem}"
    "p{margin:0 0 1rem;overflow-wrap:anywhere}p:last-child{margin:0}"
    "input,button{font:inherit;padding:.65rem .75rem;border-radius:.5rem;width:100%;"
    "box-sizing:border-box;border:1px solid var(--line)}"
    "input{margin:.25rem 0 1rem}"
    "button{background:var(--main);border-color:var(--main);color:#fff;font-weight:600;"
    "cursor:pointer}"
    ":focus-visible{outline:3px solid var(--main);outline-offset:2px}"
)
_TITLES = {
    "verifyEmail": ("Verify your email address", "Verify"),
    "resetPassword": ("Choose a new password", "Save"),
    "verifyAndChangeEmail": ("Use this address for your account", "Confirm"),
    "recoverEmail": ("Take your email address back", "Take back"),
}
_DONE = {
    "verifyEmail": "Your email address is verified.",
    "resetPassword": "Your password is changed. You can sign in with it now.",
    "verifyAndChangeEmail": "Your email address is changed. Sign in again with it.",
    "recoverEmail": "You have your email address back. Change your password, to be safe.",
}
_PURPOSES = {mode: purpose for purpose, mode in MODES.items()}


def routes(service: AuthService) -> list[Route]:
    """Every route of this surface."""
    pages = ActionPages(service)
    found = [
        Route(ACTION_PATH, pages.show, methods=["GET"]),
        Route(ACTION_PATH, pages.act, methods=["POST"]),
    ]
    if service.options.dev:
        found.append(Route(EMULATOR_ACTION_PATH, EmulatorActions(service).act, methods=["GET"]))
    return found


class ActionPages:
    """The pages for people."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def show(self, request: Request) -> Response:
        """Ask for the action of a link."""
        query = request.query_params
        mode = query.get("mode", "")
        try:
            if mode == "signIn":
                return await sign_in_redirect(self._service, query)
            scope = read_scope(self._service, query)
            found = await self._service.codes.check(scope, query.get("oobCode", ""))
            if mode not in _TITLES or found.purpose != _PURPOSES[mode]:
                raise AuthError("INVALID_OOB_CODE")
        except ApiError as error:
            return refusal(error)
        email = found.payload.get("new_email") or found.payload["email"]
        return page(_TITLES[mode][0], _form(mode, email, query))

    async def act(self, request: Request) -> Response:
        """Do it."""
        try:
            form = await _read_form(request)
            mode, code = form.get("mode", ""), form.get("oobCode", "")
            scope = read_scope(self._service, form)
            if mode == "resetPassword":
                await self._service.codes.reset_password(scope, code, form.get("newPassword", ""))
            elif mode in _DONE:
                await self._service.codes.apply(scope, code, language=form.get("lang", ""))
            else:
                raise AuthError("INVALID_OOB_CODE")
            body = f"<p>{html.escape(_DONE[mode])}</p>"
            target = form.get("continueUrl", "")
            if target:
                await check_target(self._service, scope, target)
                body += f'<p><a href="{html.escape(target, quote=True)}">Continue</a></p>'
        except ApiError as error:
            return refusal(error)
        return page("Done", body)


class EmulatorActions:
    """What the emulator answers: the action is done at once, and told in JSON."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def act(self, request: Request) -> Response:
        """Do the action of a link."""
        query = request.query_params
        mode, code = query.get("mode", ""), query.get("oobCode", "")
        scope = read_scope(self._service, query)
        try:
            if mode == "signIn":
                return await sign_in_redirect(self._service, query)
            if mode not in _DONE:
                return _told(400, {"error": f"Invalid mode: {mode}"})
            if mode == "resetPassword":
                password = query.get("newPassword", "")
                if not password:
                    hint = "To reset the password, append '&newPassword=...' to this address."
                    return _told(
                        400, {"error": "missing newPassword query parameter", "instructions": hint}
                    )
                account = await self._service.codes.reset_password(scope, code, password)
            else:
                account, _ = await self._service.codes.apply(scope, code)
        except ApiError as error:
            return _told(400, {"error": error.message, "instructions": "Ask for another link."})
        if query.get("continueUrl"):
            return RedirectResponse(query["continueUrl"], status_code=303)
        return _told(200, {"success": _DONE[mode], "email": account.email or ""})


async def sign_in_redirect(service: AuthService, query: Mapping[str, str]) -> Response:
    """Hand a sign-in link over to the app that asked for it; the code is the app's to redeem.

    Raises:
        AuthError: the app's address is missing, or not authorized.
    """
    target = query.get("continueUrl", "")
    if not target:
        raise AuthError("MISSING_CONTINUE_URI")
    await check_target(service, read_scope(service, query), target)
    parts = urlsplit(target)
    passed = {
        name: query[name]
        for name in ("mode", "lang", "oobCode", "apiKey", "tenantId")
        if name in query
    }
    joined = "&".join(filter(None, (parts.query, urlencode(passed))))
    return RedirectResponse(
        urlunsplit(parts._replace(query=joined)),
        status_code=303,
        headers={"cache-control": "no-store", "referrer-policy": "no-referrer"},
    )


async def check_target(service: AuthService, scope: Scope, target: str) -> None:
    """Whether users of this scope may be sent there.

    Raises:
        AuthError: INVALID_CONTINUE_URI, UNAUTHORIZED_DOMAIN.
    """
    config = await service.configs.get(scope)
    config.check_continue_url(target, open_to_all=service.options.dev)


def read_scope(service: AuthService, query: Mapping[str, str]) -> Scope:
    """Whose accounts a link is about: as it says, else by its API key, else the default project's.

    Raises:
        InvalidArgument: a name is no name.
    """
    options = service.options
    keyed = options.api_keys.get(query.get("apiKey", ""), options.default_project)
    scope = Scope(query.get("projectId") or keyed, query.get("tenantId", ""))
    if not scope.valid:
        raise InvalidArgument("The link is damaged.")
    return scope


async def _read_form(request: Request) -> dict[str, str]:
    body = await read_body(request.receive, _MAX_FORM)
    try:
        pairs = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise InvalidArgument("The form is damaged.") from error
    return {name: values[-1] for name, values in pairs.items()}


def _form(mode: str, email: str, query: Mapping[str, str]) -> str:
    names = ("mode", "oobCode", "continueUrl", "projectId", "tenantId", "apiKey", "lang")
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(query[name], quote=True)}">'
        for name in names
        if name in query
    )
    password = (
        '<label>New password <input type="password" name="newPassword" minlength="6" required '
        'autocomplete="new-password"></label>'
        if mode == "resetPassword"
        else ""
    )
    button = _TITLES[mode][1]
    return (
        f"<p>{html.escape(email)}</p>"
        f'<form method="post" action="{ACTION_PATH}">{hidden}{password}'
        f"<button>{button}</button></form>"
    )


def page(
    title: str, body: str, status: int = 200, headers: Mapping[str, str] = HEADERS
) -> Response:
    """A page for people; ``body`` is HTML."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(text, status_code=status, headers=dict(headers))


def refusal(error: ApiError) -> Response:
    """A page that says why not."""
    words = {
        "INVALID_OOB_CODE": "This link is not valid, or has been used already. Ask for another one.",
        "EXPIRED_OOB_CODE": "This link has expired. Ask for another one.",
    }
    code = error.code if isinstance(error, AuthError) else ""
    shown = words.get(code, error.message)
    return page("That did not work", f"<p>{html.escape(shown)}</p>", error.http_status)


def _told(status: int, words: Mapping[str, str]) -> Response:
    return JSONResponse({"authEmulator": dict(words)}, status_code=status)
