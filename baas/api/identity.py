"""Identity Toolkit v1 and Secure Token v1 over REST: what apps call for their users."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from baas.api import (
    auth_handler,
    auth_pages,
    emulator_auth,
    identity_admin,
    identity_config,
    identity_factors,
    identity_providers,
)
from baas.api.assembly import Assembly
from baas.api.http import JSONResponse, parse_object, read_body
from baas.api.identity_admin import (
    AdminDoor,
    IdentityAdminApi,
    code_request,
    second_factors_of,
)
from baas.api.identity_call import (
    OLD_PREFIXES,
    TOOLKIT_PREFIXES,
    Handler,
    call_endpoint,
    while_enabled,
)
from baas.api.identity_render import (
    account_json,
    profile_json,
    provider_infos,
    sign_in_json,
    tokens_json,
)
from baas.api.identity_request import MAX_BODY, Call, Fields, identity_error, project_of_key
from baas.auth.action_codes import CHANGE_EMAIL, EMAIL_SIGNIN, RECOVER_EMAIL
from baas.auth.authenticator import Authenticator
from baas.auth.context import SignedIn
from baas.auth.errors import AuthError
from baas.auth.service import AuthService, ProfileChange
from baas.auth.service_accounts import GRANT
from baas.errors import ApiError, InvalidArgument, Unauthenticated

_KEYS_MAX_AGE = "public, max-age=3600"


def routes(
    service: AuthService,
    authenticator: Authenticator | None = None,
    assembly: Assembly | None = None,
) -> list[Route]:
    """Every route of the auth room: users', administrators', and in development the emulators' control.

    ``assembly`` counts requests that are arriving, of all surfaces together.
    """
    authenticator = authenticator or Authenticator(service)
    return [
        *_user_routes(service, authenticator),
        *identity_admin.routes(service, authenticator, assembly),
        *identity_config.routes(service, authenticator),
        *identity_factors.routes(service),
        *identity_providers.routes(service, authenticator),
        *auth_pages.routes(service),
        *auth_handler.routes(service),
        *emulator_auth.routes(service),
    ]


def _user_routes(service: AuthService, authenticator: Authenticator) -> list[Route]:
    api = IdentityApi(service, authenticator)
    options = service.options
    found: list[Route] = []
    for name, (old_name, handler) in api.methods().items():
        endpoint = call_endpoint(while_enabled(handler, service.configs.get), options)
        paths = [f"{prefix}/v1/accounts:{name}" for prefix in TOOLKIT_PREFIXES]
        if old_name:
            paths += [f"{prefix}/{old_name}" for prefix in OLD_PREFIXES]
        found += [Route(path, endpoint, methods=["POST"]) for path in paths]
    for path in ("/v1/token", "/securetoken.googleapis.com/v1/token"):
        found.append(Route(path, api.token, methods=["POST"]))
    for path in ("/token", "/oauth2.googleapis.com/token"):
        found.append(Route(path, api.access_token, methods=["POST"]))
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


class IdentityApi:
    """The handlers."""

    def __init__(self, service: AuthService, authenticator: Authenticator) -> None:
        self._service = service
        self._door = AdminDoor(authenticator)
        self._admin = IdentityAdminApi(service)

    def methods(self) -> dict[str, tuple[str, Handler]]:
        """Method name -> its name in the old API ("" if it had none), and what handles it."""
        return {
            "signUp": ("signupNewUser", self.sign_up),
            "signInWithPassword": ("verifyPassword", self.sign_in_with_password),
            "lookup": ("getAccountInfo", self.lookup),
            "update": ("setAccountInfo", self.update),
            "delete": ("deleteAccount", self.delete),
            "createAuthUri": ("createAuthUri", self.create_auth_uri),
            "sendOobCode": ("getOobConfirmationCode", self.send_code),
            "resetPassword": ("resetPassword", self.reset_password),
            "signInWithEmailLink": ("emailLinkSignin", self.sign_in_with_email_link),
            "signInWithCustomToken": ("verifyCustomToken", self.sign_in_with_custom_token),
        }

    async def sign_up(self, call: Call) -> dict[str, Any]:
        """``accounts:signUp``: with email and password, or anonymous without either."""
        fields = call.fields
        kind = {"kind": "identitytoolkit#SignupNewUserResponse"}
        if "localId" in fields and (call.authorization is None or "idToken" in fields):
            raise AuthError("UNEXPECTED_PARAMETER", "User ID")
        if call.authorization is not None and "idToken" not in fields:
            await self._door.check(call, write=True)
            return await self._admin.create(call)
        if "idToken" in fields or "email" in fields or "password" in fields:
            for name, code in (("email", "MISSING_EMAIL"), ("password", "MISSING_PASSWORD")):
                if name not in fields:
                    raise AuthError(code)
        if "idToken" in fields:
            _, changed = await self._service.update(
                call.scope, fields.text("idToken"), _profile_change(fields)
            )
            assert changed is not None  # a password was set
            signed_in = changed
        elif "email" in fields:
            signed_in = await self._service.sign_up(
                call.scope,
                email=fields.text("email"),
                password=fields.text("password"),
                display_name=fields.text("displayName"),
                second_factors=second_factors_of(fields) if self._service.options.dev else None,
                client=call.client,
            )
        else:
            signed_in = await self._service.sign_up_anonymously(call.scope, client=call.client)
        return kind | tokens_json(signed_in) | profile_json(signed_in.account)

    async def sign_in_with_password(self, call: Call) -> dict[str, Any]:
        """``accounts:signInWithPassword``."""
        fields = call.fields
        outcome = await self._service.sign_in(
            call.scope,
            email=fields.optional_text("email"),
            password=fields.text("password"),
            client=call.client,
        )
        return {
            "kind": "identitytoolkit#VerifyPasswordResponse",
            "registered": True,
            "displayName": "",
            **profile_json(outcome.account),
            **({"profilePicture": outcome.account.photo_url} if outcome.account.photo_url else {}),
            **sign_in_json(outcome),
        }

    async def sign_in_with_email_link(self, call: Call) -> dict[str, Any]:
        """``accounts:signInWithEmailLink``."""
        fields = call.fields
        outcome = await self._service.codes.sign_in_with_link(
            call.scope,
            email=fields.text("email"),
            code=fields.text("oobCode"),
            id_token=fields.text("idToken"),
            client=call.client,
        )
        return {
            "kind": "identitytoolkit#EmailLinkSigninResponse",
            "email": outcome.account.email,
            "isNewUser": isinstance(outcome, SignedIn) and outcome.is_new,
            **sign_in_json(outcome),
        }

    async def sign_in_with_custom_token(self, call: Call) -> dict[str, Any]:
        """``accounts:signInWithCustomToken``."""
        token = call.fields.text("token")
        if not token:
            raise AuthError("MISSING_CUSTOM_TOKEN")
        signed_in = await self._service.service_accounts.sign_in(
            call.scope, token, client=call.client
        )
        return {
            "kind": "identitytoolkit#VerifyCustomTokenResponse",
            "isNewUser": signed_in.is_new,
            **tokens_json(signed_in),
        }

    async def create_auth_uri(self, call: Call) -> dict[str, Any]:
        """``accounts:createAuthUri``: the ways into an account; nothing, where addresses are protected."""
        if "providerId" in call.fields:
            return await self._start_provider(call)
        identifier = call.fields.text("identifier")
        if not identifier:
            raise AuthError("MISSING_IDENTIFIER")
        if not call.fields.text("continueUri"):
            raise AuthError("MISSING_CONTINUE_URI")
        session = call.fields.text("sessionId") or secrets.token_urlsafe(18)
        answer = {"kind": "identitytoolkit#CreateAuthUriResponse", "sessionId": session}
        methods = await self._service.sign_in_methods(
            call.scope, identifier, call.fields.text("continueUri")
        )
        if methods is None:
            return answer
        found = {"registered": methods.registered, "signinMethods": list(methods.methods)}
        providers = {"allProviders": list(methods.providers)} if methods.registered else {}
        return {**answer, **found, **providers}

    async def _start_provider(self, call: Call) -> dict[str, Any]:
        target = call.fields.text("continueUri")
        if not target:
            raise AuthError("MISSING_CONTINUE_URI")
        url, session = await self._service.federated.start(
            call.scope,
            call.fields.text("providerId"),
            target,
            oauth_scope=call.fields.text("oauthScope"),
        )
        return identity_providers.start_json(call, url, session)

    async def send_code(self, call: Call) -> dict[str, Any]:
        """``accounts:sendOobCode``: a mail with a link. Only administrators may be told the link."""
        return_link = call.fields.flag("returnOobLink")
        if return_link or call.authorization is not None:
            await self._door.check(call, write=True)
        request = code_request(call, return_link=return_link)
        sent = await self._service.codes.send(call.scope, request)
        kind = {"kind": "identitytoolkit#GetOobConfirmationCodeResponse", "email": sent.email}
        return kind | {"oobCode": sent.code, "oobLink": sent.link} if return_link else kind

    async def reset_password(self, call: Call) -> dict[str, Any]:
        """``accounts:resetPassword``: tells what a code is for, or sets the new password."""
        code, password = call.fields.text("oobCode"), call.fields.optional_text("newPassword")
        config = await self._service.configs.get(call.scope)
        config.require("signIn.email.enabled", "PASSWORD_LOGIN_DISABLED")
        if not code:
            raise AuthError("MISSING_OOB_CODE")
        found = await self._service.codes.check(call.scope, code)
        if password is not None:
            await self._service.codes.reset_password(call.scope, code, password)
        answer = {
            "kind": "identitytoolkit#ResetPasswordResponse",
            "requestType": found.purpose,
        }
        if found.purpose != EMAIL_SIGNIN:  # whose link it is, its reader must know
            answer["email"] = found.payload["email"]
        new_email = found.payload.get("new_email")
        return {**answer, "newEmail": new_email} if new_email else answer

    async def lookup(self, call: Call) -> dict[str, Any]:
        """``accounts:lookup`` of the own account; of any, for administrators."""
        if call.authorization is not None:
            await self._door.check(call, write=False)
            return await self._admin.lookup(call)
        account = await self._service.lookup(call.scope, _id_token(call.fields))
        return {
            "kind": "identitytoolkit#GetAccountInfoResponse",
            "users": [account_json(account)],
        }

    async def update(self, call: Call) -> dict[str, Any]:
        """``accounts:update`` of the own account, by ID token or code; of any, for administrators."""
        if call.authorization is not None:
            await self._door.check(call, write=True)
            return await self._admin.update(call)
        if "oobCode" in call.fields:
            return await self._apply_code(call)
        account, signed_in = await self._service.update(
            call.scope, _id_token(call.fields), _profile_change(call.fields, call.client.language)
        )
        answer = {
            "kind": "identitytoolkit#SetAccountInfoResponse",
            "localId": account.uid,
            "emailVerified": account.email_verified,
            "providerUserInfo": provider_infos(account),
            **profile_json(account),
        }
        return answer if signed_in is None else answer | tokens_json(signed_in)

    async def _apply_code(self, call: Call) -> dict[str, Any]:
        account, purpose = await self._service.codes.apply(
            call.scope, call.fields.text("oobCode"), language=call.client.language
        )
        return {
            "kind": "identitytoolkit#SetAccountInfoResponse",
            "localId": account.uid,
            "emailVerified": account.email_verified,
            "providerUserInfo": provider_infos(account),
            **profile_json(account),
            **({"newEmail": account.email} if purpose in (CHANGE_EMAIL, RECOVER_EMAIL) else {}),
        }

    async def delete(self, call: Call) -> dict[str, Any]:
        """``accounts:delete`` of the own account; of any, for administrators."""
        if call.authorization is not None:
            await self._door.check(call, write=True)
            return await self._admin.delete(call)
        await self._service.delete(call.scope, _id_token(call.fields))
        return {"kind": "identitytoolkit#DeleteAccountResponse"}

    async def token(self, request: Request) -> Response:
        """Secure Token's ``token``: a refresh token for a fresh ID token, form-encoded or JSON."""
        try:
            body = await read_body(request.receive, MAX_BODY)
            content_type = request.headers.get("content-type", "")
            json_body = content_type.split(";")[0].strip() == "application/json"
            fields = Fields(parse_object(body) if json_body else _parse_form(body))
            project = self._project_of_key(request)
            return JSONResponse(await self._exchange(fields, project))
        except ApiError as error:
            return identity_error(error)

    async def access_token(self, request: Request) -> Response:
        """OAuth's token address: a service account's signed JWT for an access token (RFC 7523)."""
        try:
            fields = Fields(_parse_form(await read_body(request.receive, MAX_BODY)))
            if fields.text("grant_type") != GRANT:
                return _oauth_error("unsupported_grant_type", f"grant_type must be {GRANT}.")
            token, lifetime = await self._service.service_accounts.exchange(
                fields.text("assertion")
            )
        except (Unauthenticated, InvalidArgument) as error:
            return _oauth_error("invalid_grant", error.message)
        except ApiError as error:
            return identity_error(error)
        return JSONResponse(
            {"access_token": token, "expires_in": lifetime, "token_type": "Bearer"},
            headers={"cache-control": "no-store"},
        )

    def _project_of_key(self, request: Request) -> str | None:
        """The project that the call's API key names; ``None`` where keys name none."""
        options = self._service.options
        if not options.api_keys or options.dev:
            return None
        return project_of_key(request.query_params.get("key") or "", options)

    async def _exchange(self, fields: Fields, project: str | None) -> dict[str, Any]:
        grant = fields.text("grant_type") or fields.text("grantType")
        if not grant:
            raise AuthError("MISSING_GRANT_TYPE")
        if grant != "refresh_token":
            raise AuthError("INVALID_GRANT_TYPE")
        refresh_token = fields.text("refresh_token") or fields.text("refreshToken")
        if not refresh_token:
            raise AuthError("MISSING_REFRESH_TOKEN")
        signed_in, scope = await self._service.refresh(refresh_token, project=project)
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


def _profile_change(fields: Fields, language: str = "") -> ProfileChange:
    removed = set(fields.texts("deleteAttribute"))
    return ProfileChange(
        display_name="" if "DISPLAY_NAME" in removed else fields.optional_text("displayName"),
        photo_url="" if "PHOTO_URL" in removed else fields.optional_text("photoUrl"),
        email=fields.optional_text("email"),
        password=fields.optional_text("password"),
        unlink=tuple(fields.texts("deleteProvider")),
        revoke="validSince" in fields,
        language=language,
    )


def _parse_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise InvalidArgument("The body must be form-encoded.") from error
    return {name: values[-1] for name, values in pairs.items()}


def _oauth_error(code: str, words: str) -> Response:
    return JSONResponse({"error": code, "error_description": words}, status_code=400)
