"""Identity Toolkit v2 over REST: the configuration of projects and tenants."""

from __future__ import annotations

import json
from typing import Any

from starlette.routing import Route

from baas.api.identity_admin import AdminDoor
from baas.api.identity_call import TOOLKIT_PREFIXES, Handler, call_endpoint
from baas.api.identity_request import Call, Fields
from baas.auth.authenticator import Authenticator
from baas.auth.options import Scope
from baas.auth.project_config import SPECIAL_CHARACTERS, PasswordPolicy, ProjectConfig
from baas.auth.service import AuthService

_OF_TENANTS = (
    "displayName",
    "client",
    "emailPrivacyConfig",
    "passwordPolicyConfig",
    "blockingFunctions",
    "authorizedDomains",
    "notification",
)
"""What a tenant's configuration tells beside its own fields, where it was set."""


def routes(service: AuthService, authenticator: Authenticator) -> list[Route]:
    """Every route of this surface."""
    api = ConfigApi(service)
    door = AdminDoor(authenticator)
    project, tenant = "/v2/projects/{project}", "/v2/projects/{project}/tenants/{tenant}"
    guarded: list[tuple[str, str, Handler, bool]] = [
        ("GET", f"{project}/config", api.get, False),
        ("PATCH", f"{project}/config", api.update, True),
        ("GET", f"{project}/tenants", api.tenants, False),
        ("POST", f"{project}/tenants", api.create_tenant, True),
        ("GET", tenant, api.get, False),
        ("PATCH", tenant, api.update, True),
        ("DELETE", tenant, api.delete_tenant, True),
    ]
    open_to_all: list[tuple[str, Handler]] = [
        ("/v2/passwordPolicy", api.password_policy),
        ("/v2/recaptchaConfig", api.recaptcha),
        ("/v1/recaptchaParams", api.recaptcha_params),
        ("/v1/projects", api.public),
    ]
    found = []
    for prefix in TOOLKIT_PREFIXES:
        for verb, path, handler, write in guarded:
            endpoint = call_endpoint(door.guard(handler, write=write), service.options)
            found.append(Route(prefix + path, endpoint, methods=[verb]))
        for path, handler in open_to_all:
            endpoint = call_endpoint(handler, service.options)
            found.append(Route(prefix + path, endpoint, methods=["GET"]))
    return found


class ConfigApi:
    """The handlers."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def get(self, call: Call) -> dict[str, Any]:
        """The configuration of a project or a tenant."""
        if call.scope.tenant and self._service.options.dev:
            await self._service.configs.ensure_tenant(call.scope)
        return _render(call.scope, await self._service.configs.get(call.scope))

    async def update(self, call: Call) -> dict[str, Any]:
        """Change it, by ``updateMask``."""
        mask = [path for path in call.query.get("updateMask", "").split(",") if path]
        config = await self._service.configs.update(call.scope, call.fields.raw, mask)
        return _render(call.scope, config)

    async def tenants(self, call: Call) -> dict[str, Any]:
        """A page of the tenants of a project."""
        query = Fields(call.query)
        scopes, following = await self._service.configs.tenants(
            call.scope.project, size=query.integer("pageSize"), token=query.text("pageToken")
        )
        found = [_render(scope, await self._service.configs.get(scope)) for scope in scopes]
        return {"tenants": found} | ({"nextPageToken": following} if following else {})

    async def create_tenant(self, call: Call) -> dict[str, Any]:
        """Make a tenant."""
        scope = await self._service.configs.create_tenant(call.scope.project, call.fields.raw)
        return _render(scope, await self._service.configs.get(scope))

    async def delete_tenant(self, call: Call) -> dict[str, Any]:
        """Delete a tenant with its accounts."""
        await self._service.configs.delete_tenant(call.scope)
        return {}

    async def password_policy(self, call: Call) -> dict[str, Any]:
        """What clients check a password by before they send it."""
        scope = Scope(call.scope.project, call.query.get("tenantId", ""))
        policy = (await self._service.configs.get(scope)).password_policy
        return {
            "customStrengthOptions": _strength(policy),
            "allowedNonAlphanumericCharacters": list(SPECIAL_CHARACTERS),
            "enforcementState": "ENFORCE" if policy.enforced else "OFF",
            "forceUpgradeOnSignin": policy.force_upgrade,
            "schemaVersion": 1,
        }

    async def recaptcha(self, call: Call) -> dict[str, Any]:
        """No reCAPTCHA here: limits on guessing are the server's own."""
        providers = ("EMAIL_PASSWORD_PROVIDER", "PHONE_PROVIDER")
        return {
            "recaptchaKey": f"projects/{call.scope.project}/keys/none",
            "recaptchaEnforcementState": [
                {"provider": provider, "enforcementState": "OFF"} for provider in providers
            ],
        }

    async def recaptcha_params(self, call: Call) -> dict[str, Any]:
        """The same for older clients, which must be told some key."""
        return {
            "kind": "identitytoolkit#GetRecaptchaParamResponse",
            "recaptchaStoken": "none",
            "recaptchaSiteKey": "none",
        }

    async def public(self, call: Call) -> dict[str, Any]:
        """What anybody may know of a project: its id, and where its users may be sent."""
        config = await self._service.configs.get(call.scope)
        return {
            "projectId": call.scope.project,
            "authorizedDomains": config.get("authorizedDomains"),
        }


def _strength(policy: PasswordPolicy) -> dict[str, Any]:
    asked = {
        "containsLowercaseCharacter": policy.lower,
        "containsUppercaseCharacter": policy.upper,
        "containsNumericCharacter": policy.digit,
        "containsNonAlphanumericCharacter": policy.special,
    }
    lengths = {"minPasswordLength": policy.min_length, "maxPasswordLength": policy.max_length}
    return lengths | {name: True for name, wanted in asked.items() if wanted}


def _render(scope: Scope, config: ProjectConfig) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(config.values))
    if not scope.tenant:
        return {"name": f"projects/{scope.project}/config", **values}
    mfa = values.get("mfa", {})
    if not mfa.get("providerConfigs"):
        mfa.pop("providerConfigs", None)
    test_numbers = config.get("signIn.phoneNumber.testPhoneNumbers")
    return {
        **{name: values[name] for name in _OF_TENANTS if name in config.changed},
        **({"testPhoneNumbers": test_numbers} if test_numbers else {}),
        "name": f"projects/{scope.project}/tenants/{scope.tenant}",
        "tenantId": scope.tenant,
        "allowPasswordSignup": bool(config.get("signIn.email.enabled")),
        "enableAnonymousUser": bool(config.get("signIn.anonymous.enabled")),
        "enableEmailLinkSignin": bool(config.get("enableEmailLinkSignin")),
        "disableAuth": bool(config.get("disableAuth")),
        "mfaConfig": mfa,
    }
