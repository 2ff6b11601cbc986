"""Identity Toolkit over REST: signing in with identity providers, and configuring them (v2)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from starlette.routing import Route

from baas.api.identity_admin import AdminDoor
from baas.api.identity_call import TOOLKIT_PREFIXES, Handler, call_endpoint, while_enabled
from baas.api.identity_render import sign_in_json
from baas.api.identity_request import Call, Fields
from baas.auth.authenticator import Authenticator
from baas.auth.context import SignedIn
from baas.auth.errors import AuthError
from baas.auth.federated import IdpOutcome, IdpRequest
from baas.auth.options import Provider
from baas.auth.providers import KNOWN, Profile
from baas.auth.service import AuthService
from baas.errors import AlreadyExists, InvalidArgument, NotFound

_TOKEN_TYPES = {"REFRESH_TOKEN": "refresh_token", "ACCESS_TOKEN": "access_token", "CODE": ""}
"""``tokenType`` -> RFC 7009's ``token_type_hint``."""
_FEDERATED_IDS = {"google.com": "https://accounts.google.com/"}
"""What stands before a user's id at the provider."""
_CONFLICTS = ("FEDERATED_USER_ID_ALREADY_LINKED", "EMAIL_EXISTS")


def routes(service: AuthService, authenticator: Authenticator) -> list[Route]:
    """Every route of this surface."""
    api = ProvidersApi(service)
    door = AdminDoor(authenticator)
    options = service.options
    found = []
    for prefix in TOOLKIT_PREFIXES:
        path = f"{prefix}/v1/accounts:signInWithIdp"
        sign_in = while_enabled(api.sign_in, service.configs.get)
        found.append(Route(path, call_endpoint(sign_in, options), methods=["POST"]))
        path = f"{prefix}/v2/accounts:revokeToken"
        found.append(Route(path, call_endpoint(api.revoke, options), methods=["POST"]))
        for place in ("/projects/{project}", "/projects/{project}/tenants/{tenant}"):
            for kind in ("oauthIdpConfigs", "defaultSupportedIdpConfigs"):
                base = f"{prefix}/v2{place}/{kind}"
                guarded: list[tuple[str, str, Handler, bool]] = [
                    ("POST", base, api.create, True),
                    ("GET", base, api.page, False),
                    ("GET", base + "/{provider}", api.get, False),
                    ("PATCH", base + "/{provider}", api.update, True),
                    ("DELETE", base + "/{provider}", api.delete, True),
                ]
                for verb, address, handler, write in guarded:
                    endpoint = call_endpoint(door.guard(handler, write=write), options)
                    found.append(Route(address, endpoint, methods=[verb]))
    return found


class ProvidersApi:
    """The handlers."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def sign_in(self, call: Call) -> dict[str, Any]:
        """``accounts:signInWithIdp``; links, with an ID token."""
        fields = call.fields
        pairs = {k: v[-1] for k, v in parse_qs(fields.text("postBody"), max_num_fields=50).items()}
        request = IdpRequest(
            pairs,
            fields.text("requestUri"),
            fields.text("sessionId"),
            fields.text("idToken"),
            fields.flag("autoCreate", True),
        )
        try:
            outcome = await self._service.federated.sign_in(call.scope, request, client=call.client)
        except AuthError as error:
            if error.code in _CONFLICTS and fields.flag("returnIdpCredential"):
                return {"errorMessage": error.code, **_credential(pairs)}
            raise
        return _outcome_json(outcome, fields.flag("returnIdpCredential"), call.scope.tenant)

    async def revoke(self, call: Call) -> dict[str, Any]:
        """``accounts:revokeToken``: give a provider's token back."""
        fields = call.fields
        kind = fields.text("tokenType")
        if kind not in _TOKEN_TYPES:
            raise InvalidArgument(f"'tokenType' must be one of {', '.join(_TOKEN_TYPES)}.")
        for name, code in (("idToken", "MISSING_ID_TOKEN"), ("token", "INVALID_REQUEST")):
            if not fields.text(name):
                raise AuthError(code, f"{name!r} is missing.")
        await self._service.federated.revoke(
            call.scope,
            fields.text("idToken"),
            fields.text("providerId"),
            fields.text("token"),
            _TOKEN_TYPES[kind],
        )
        return {}

    async def create(self, call: Call) -> dict[str, Any]:
        """Configure a provider."""
        provider_id = call.query.get("oauthIdpConfigId") or call.query.get("idpId") or ""
        if provider_id not in KNOWN and not provider_id.startswith("oidc."):
            known = ", ".join(KNOWN)
            raise InvalidArgument(f"The provider must be one of {known}, or begin with 'oidc.'.")
        if await self._service.federated.provider(call.scope, provider_id) is not None:
            raise AlreadyExists(f"The provider {provider_id!r} is configured already.")
        return await self._save(call, Provider(provider_id, ""))

    async def update(self, call: Call) -> dict[str, Any]:
        """Change a provider's configuration; what is not given stays."""
        return await self._save(call, await self._existing(call))

    async def get(self, call: Call) -> dict[str, Any]:
        """A provider's configuration."""
        return _provider_json(call, await self._existing(call))

    async def page(self, call: Call) -> dict[str, Any]:
        """The configurations of one kind, all on one page."""
        found = await self._service.federated.providers(call.scope)
        own = "oauthIdpConfigs" in call.path
        rendered = [
            _provider_json(call, provider)
            for provider in found
            if provider.provider_id.startswith("oidc.") == own
        ]
        return {"oauthIdpConfigs" if own else "defaultSupportedIdpConfigs": rendered}

    async def delete(self, call: Call) -> dict[str, Any]:
        """Forget a provider's configuration."""
        provider = await self._existing(call)
        await self._service.federated.drop_provider(call.scope, provider.provider_id)
        return {}

    async def _existing(self, call: Call) -> Provider:
        provider_id = call.query.get("provider", "")
        found = await self._service.federated.provider(call.scope, provider_id)
        if found is None:
            raise NotFound(f"CONFIGURATION_NOT_FOUND : {provider_id!r} is not configured.")
        return found

    async def _save(self, call: Call, before: Provider) -> dict[str, Any]:
        fields = call.fields
        provider = Provider(
            before.provider_id,
            fields.text("clientId", before.client_id),
            fields.text("clientSecret", before.client_secret),
            fields.text("issuer", before.issuer),
            fields.text("displayName", before.display_name),
            fields.flag("enabled", before.enabled),
            _response_types(fields, before.response_types),
        )
        if not provider.client_id:
            raise InvalidArgument("'clientId' is missing.")
        if provider.provider_id.startswith("oidc.") and not provider.issuer.startswith(
            ("https://", "http://")
        ):
            raise InvalidArgument("'issuer' must be an http(s) address.")
        await self._service.federated.save_provider(call.scope, provider)
        return _provider_json(call, provider)


def _response_types(fields: Fields, before: tuple[str, ...]) -> tuple[str, ...]:
    if "responseType" not in fields:
        return before
    given = fields.child("responseType")
    return tuple(name for name in ("idToken", "code", "token") if given.flag(name))


def _provider_json(call: Call, provider: Provider) -> dict[str, Any]:
    """A configuration; the secret is never told."""
    kind = (
        "oauthIdpConfigs"
        if provider.provider_id.startswith("oidc.")
        else "defaultSupportedIdpConfigs"
    )
    scope = call.scope
    place = f"projects/{scope.project}" + (f"/tenants/{scope.tenant}" if scope.tenant else "")
    found = {
        "name": f"{place}/{kind}/{provider.provider_id}",
        "clientId": provider.client_id,
        "issuer": provider.issuer or None,
        "displayName": provider.display_name or None,
        "enabled": provider.enabled,
        "responseType": dict.fromkeys(provider.response_types, True)
        if kind == "oauthIdpConfigs"
        else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _raw_user_info(profile: Profile) -> dict[str, Any]:
    """What the provider tells of its user, in its own words; Google's have other names than its tokens'."""
    if profile.provider_id != "google.com":
        return dict(profile.raw)
    claims = profile.raw
    scopes = ["openid", "https://www.googleapis.com/auth/userinfo.profile"]
    if profile.email:
        scopes.append("https://www.googleapis.com/auth/userinfo.email")
    found = {
        "granted_scopes": " ".join(scopes),
        "id": profile.raw_id,
        "name": profile.display_name,
        "given_name": claims.get("given_name"),
        "family_name": claims.get("family_name"),
        "verified_email": profile.email_verified,
        "locale": claims.get("locale", "en"),
        "hd": claims.get("hd"),
        "email": profile.email,
        "picture": profile.photo_url,
    }
    return {name: value for name, value in found.items() if value is not None}


def _outcome_json(outcome: IdpOutcome, with_credential: bool, tenant: str) -> dict[str, Any]:
    profile = outcome.profile
    answer: dict[str, Any] = {
        "kind": "identitytoolkit#VerifyAssertionResponse",
        "providerId": profile.provider_id,
        "federatedId": _FEDERATED_IDS.get(profile.provider_id, "") + profile.raw_id,
        "email": profile.email,
        "emailVerified": profile.email_verified,
        "displayName": profile.display_name,
        "fullName": profile.display_name,
        "firstName": profile.raw.get("given_name"),
        "lastName": profile.raw.get("family_name"),
        "photoUrl": profile.photo_url,
        "screenName": profile.screen_name,
        "rawUserInfo": json.dumps(_raw_user_info(profile)),
        "tenantId": tenant or None,
    }
    if with_credential:
        answer |= _credential(outcome.tokens)
    if outcome.signed_in is None:
        answer |= {
            "needConfirmation": True,
            "localId": outcome.conflict,
            "verifiedProvider": list(outcome.other_methods),
        }
    else:
        answer |= sign_in_json(outcome.signed_in)
        answer["isNewUser"] = isinstance(outcome.signed_in, SignedIn) and outcome.signed_in.is_new
    return {name: value for name, value in answer.items() if value is not None}


def _credential(tokens: Any) -> dict[str, Any]:
    names = {"id_token": "oauthIdToken", "access_token": "oauthAccessToken"}
    return {shown: tokens[name] for name, shown in names.items() if tokens.get(name)}


def start_json(call: Call, url: str, session: str) -> dict[str, Any]:
    """The answer of ``createAuthUri`` with a provider."""
    return {
        "kind": "identitytoolkit#CreateAuthUriResponse",
        "authUri": url,
        "providerId": call.fields.text("providerId"),
        "sessionId": session,
    }
