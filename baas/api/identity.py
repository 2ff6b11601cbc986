"""Identity Toolkit v1 and Secure Token v1 over REST: what apps call for their users."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from baas.api.http import JSONResponse, parse_object, read_body
from baas.api.identity_render import account_json, profile_json, provider_infos, tokens_json
from baas.api.identity_request import MAX_BODY, Call, Fields, identity_error, read_scope
from baas.auth.errors import AuthError
from baas.auth.options import AuthOptions
from baas.auth.service import AuthService, ProfileChange
from baas.errors import ApiError, InternalError, InvalidArgument

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[dict[str, Any]]]
Endpoint = Callable[[Request], Awaitable[Response]]

TOOLKIT_PREFIXES = ("", "/identitytoolkit.googleapis.com")
OLD_PREFIXES = (
    "/www.googleapis.com/identitytoolkit/v3/relyingparty",
    "/identitytoolkit/v3/relyingparty",
)
_KEYS_MAX_AGE = "public, max-age=3600"


def routes(service: AuthService) -> list[Route]:
    """Every route of this surface."""
    api = IdentityApi(service)
    options = service.options
    found: list[Route] = []
    for name, (old_name, handler) in api.methods().items():
        endpoint = call_endpoint(handler, options)
        paths = [f"{prefix}/v1/accounts:{name}" for prefix in TOOLKIT_PREFIXES]
        if old_name:
            paths += [f"{prefix}/{old_name}" for prefix in OLD_PREFIXES]
        found += [Route(path, endpoint, methods=["POST"]) for path in paths]
    for path in ("/v1/token", "/securetoken.googleapis.com/v1/token"):
        found.append(Route(path, api.token, methods=["POST"]))
    return found + _key_routes(api)


def _key_routes(api: IdentityApi) -> list[Route]:
    account = "securetoken@system.gserviceaccount.com"
    jwks = ("/.well-known/jwks.json", f"/service_accounts/v1/jwk/{account}")
    x509 = (
        f"/robot/v1/metadata/x509/{account}",
        "/identitytoolkit/v3/relyingparty/publicKeys",
        "/v1/sessionCookiePublicKeys.x509",
    )
    return [
        *(Route(path, api.jwks, methods=["GET"]) for path in jwks),
        Route("/v1/sessionCookiePublicKeys", api.jwks, methods=["GET"]),
        *(Route(path, api.x509, methods=["GET"]) for path in x509),
    ]


def call_endpoint(handler: Handler, options: AuthOptions, *, limit: int = MAX_BODY) -> Endpoint:
    """An endpoint that parses a call, runs it, and renders what comes of it."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request.receive, limit)
            fields = Fields(parse_object(body))
            call = Call(
                fields,
                read_scope(request, fields, options),
                request.client.host if request.client else "",
                request.headers.get("authorization"),
                {**request.query_params, **request.path_params},
                request.headers.get("x-firebase-locale", ""),
            )
            return JSONResponse(await handler(call))
        except ApiError as error:
            return identity_error(error)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return identity_error(InternalError("The server failed; its log says why."))

    return endpoint


class IdentityApi:
    """The handlers."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    def methods(self) -> dict[str, tuple[str, Handler]]:
        """Method name -> its name in the old API ("" if it had none), and what handles it."""
        return {
            "signUp": ("signupNewUser", self.sign_up),
            "signInWithPassword": ("verifyPassword", self.sign_in_with_password),
            "lookup": ("getAccountInfo", self.lookup),
            "update": ("setAccountInfo", self.update),
            "delete": ("deleteAccount", self.delete),
        }

    async def sign_up(self, call: Call) -> dict[str, Any]:
        """``accounts:signUp``: with email and password, or anonymous without either."""
        fields = call.fields
        kind = {"kind": "identitytoolkit#SignupNewUserResponse"}
        if "idToken" in fields:
            _, signed_in = await self._service.update(
                call.scope, fields.text("idToken"), _profile_change(fields)
            )
            if signed_in is None:
                raise AuthError("MISSING_PASSWORD")
        elif "email" in fields or "password" in fields:
            if "email" not in fields:
                raise AuthError("MISSING_EMAIL")
            if "password" not in fields:
                raise AuthError("MISSING_PASSWORD")
            signed_in = await self._service.sign_up(
                call.scope,
                email=fields.text("email"),
                password=fields.text("password"),
                display_name=fields.text("displayName"),
                photo_url=fields.text("photoUrl"),
                address=call.address,
            )
        else:
            signed_in = await self._service.sign_up_anonymously(call.scope, address=call.address)
        return kind | tokens_json(signed_in) | profile_json(signed_in.account)

    async def sign_in_with_password(self, call: Call) -> dict[str, Any]:
        """``accounts:signInWithPassword``."""
        fields = call.fields
        if "email" not in fields:
            raise AuthError("INVALID_EMAIL")
        if not fields.text("password"):
            raise AuthError("MISSING_PASSWORD")
        signed_in = await self._service.sign_in(
            call.scope,
            email=fields.text("email"),
            password=fields.text("password"),
            address=call.address,
        )
        return {
            "kind": "identitytoolkit#VerifyPasswordResponse",
            "registered": True,
            "displayName": "",
            **profile_json(signed_in.account),
            **tokens_json(signed_in),
        }

    async def lookup(self, call: Call) -> dict[str, Any]:
        """``accounts:lookup`` of the own account."""
        account = await self._service.lookup(call.scope, _id_token(call.fields))
        return {
            "kind": "identitytoolkit#GetAccountInfoResponse",
            "users": [account_json(account)],
        }

    async def update(self, call: Call) -> dict[str, Any]:
        """``accounts:update`` of the own account."""
        account, signed_in = await self._service.update(
            call.scope, _id_token(call.fields), _profile_change(call.fields)
        )
        answer = {
            "kind": "identitytoolkit#SetAccountInfoResponse",
            "localId": account.uid,
            "emailVerified": account.email_verified,
            "providerUserInfo": provider_infos(account),
            **profile_json(account),
        }
        return answer if signed_in is None else answer | tokens_json(signed_in)

    async def delete(self, call: Call) -> dict[str, Any]:
        """``accounts:delete`` of the own account."""
        await self._service.delete(call.scope, _id_token(call.fields))
        return {"kind": "identitytoolkit#DeleteAccountResponse"}

    async def token(self, request: Request) -> Response:
        """Secure Token's ``token``: a refresh token for a fresh ID token, form-encoded or JSON."""
        try:
            body = await read_body(request.receive, MAX_BODY)
            content_type = request.headers.get("content-type", "")
            json_body = content_type.split(";")[0].strip() == "application/json"
            fields = Fields(parse_object(body) if json_body else _parse_form(body))
            return JSONResponse(await self._exchange(fields))
        except ApiError as error:
            return identity_error(error)

    async def _exchange(self, fields: Fields) -> dict[str, Any]:
        grant = fields.text("grant_type") or fields.text("grantType")
        if not grant:
            raise AuthError("MISSING_GRANT_TYPE")
        if grant != "refresh_token":
            raise AuthError("INVALID_GRANT_TYPE")
        refresh_token = fields.text("refresh_token") or fields.text("refreshToken")
        if not refresh_token:
            raise AuthError("MISSING_REFRESH_TOKEN")
        signed_in, scope = await self._service.refresh(refresh_token)
        return {
            "access_token": signed_in.id_token,
            "expires_in": str(signed_in.expires_in),
            "token_type": "Bearer",
            "refresh_token": signed_in.refresh_token,
            "id_token": signed_in.id_token,
            "user_id": signed_in.account.uid,
            "project_id": scope.project,
        }

    async def jwks(self, request: Request) -> Response:
        """The public keys as JSON Web Keys."""
        keys = [key.public_jwk() for key in await self._service.context.keys.public_keys()]
        return JSONResponse({"keys": keys}, headers={"cache-control": _KEYS_MAX_AGE})

    async def x509(self, request: Request) -> Response:
        """The public keys as certificates by key id."""
        keys = await self._service.context.keys.public_keys()
        return JSONResponse(
            {key.key_id: key.certificate for key in keys},
            headers={"cache-control": _KEYS_MAX_AGE},
        )


def _id_token(fields: Fields) -> str:
    token = fields.text("idToken")
    if not token:
        raise AuthError("MISSING_ID_TOKEN")
    return token


def _profile_change(fields: Fields) -> ProfileChange:
    removed = set(fields.texts("deleteAttribute"))
    return ProfileChange(
        display_name="" if "DISPLAY_NAME" in removed else fields.optional_text("displayName"),
        photo_url="" if "PHOTO_URL" in removed else fields.optional_text("photoUrl"),
        email=fields.optional_text("email"),
        password=fields.optional_text("password"),
        unlink=tuple(fields.texts("deleteProvider")),
    )


def _parse_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise InvalidArgument("The body must be form-encoded.") from error
    return {name: values[-1] for name, values in pairs.items()}
