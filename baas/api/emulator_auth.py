"""The emulators' control surface for auth, in development mode only.

Whoever reaches the port may call it, as with Google's emulator. ``DELETE .../accounts`` keeps codes and
tenants, as there; ``DELETE /emulator/v1/projects/{project}/auth`` is ours and resets a project's auth wholly.
"""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from baas.api.identity_call import Handler, call_endpoint
from baas.api.identity_request import Call
from baas.auth.action_codes import CHANGE_EMAIL
from baas.auth.service import AuthService

_TEST_SETTINGS = (
    ("signIn", "allowDuplicateEmails"),
    ("emailPrivacyConfig", "enableImprovedEmailPrivacy"),
)


def routes(service: AuthService) -> list[Route]:
    """Every route of this surface; none in production."""
    if not service.options.dev:
        return []
    api = EmulatorAuthApi(service)
    project = "/emulator/v1/projects/{project}"
    methods: list[tuple[str, str, Handler]] = [
        ("DELETE", "/accounts", api.delete_accounts),
        ("DELETE", "/tenants/{tenant}/accounts", api.delete_accounts),
        ("GET", "/oobCodes", api.oob_codes),
        ("GET", "/tenants/{tenant}/oobCodes", api.oob_codes),
        ("GET", "/verificationCodes", api.verification_codes),
        ("GET", "/tenants/{tenant}/verificationCodes", api.verification_codes),
        ("GET", "/config", api.config),
        ("PATCH", "/config", api.update_config),
        ("DELETE", "/auth", api.reset),
    ]
    return [
        Route(project + path, call_endpoint(handler, service.options), methods=[verb])
        for verb, path, handler in methods
    ]


class EmulatorAuthApi:
    """The handlers."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def delete_accounts(self, call: Call) -> dict[str, Any]:
        """Delete every account."""
        await self._service.admin.delete_all(call.scope)
        return {}

    async def oob_codes(self, call: Call) -> dict[str, Any]:
        """The codes that mails would have carried."""
        messages = await self._service.unspent_messages(call.scope, sms=False)
        return {
            "oobCodes": [
                {
                    "email": message.account_email or message.recipient,
                    "requestType": message.purpose,
                    "oobCode": message.code,
                    "oobLink": message.link,
                    **({"newEmail": message.recipient} if message.purpose == CHANGE_EMAIL else {}),
                }
                for message in messages
            ]
        }

    async def verification_codes(self, call: Call) -> dict[str, Any]:
        """The codes that short messages would have carried."""
        messages = await self._service.unspent_messages(call.scope, sms=True)
        return {
            "verificationCodes": [
                {
                    "phoneNumber": message.recipient,
                    "sessionInfo": message.session,
                    "code": message.code,
                }
                for message in messages
            ]
        }

    async def config(self, call: Call) -> dict[str, Any]:
        """What test tools may change."""
        config = await self._service.configs.get(call.scope)
        return {
            "signIn": {"allowDuplicateEmails": bool(config.get("signIn.allowDuplicateEmails"))},
            "emailPrivacyConfig": {"enableImprovedEmailPrivacy": config.protects_emails},
        }

    async def update_config(self, call: Call) -> dict[str, Any]:
        """Change it."""
        changes: dict[str, dict[str, bool]] = {}
        for part, name in _TEST_SETTINGS:
            given = call.fields.child(part)
            if name in given:
                changes[part] = {name: given.flag(name)}
        await self._service.configs.update(call.scope, changes, [])
        return await self.config(call)

    async def reset(self, call: Call) -> dict[str, Any]:
        """Forget a project's accounts, tenants, codes, messages and configuration."""
        await self._service.configs.reset(call.scope.project)
        self._service.outbox.forget(call.scope.project)
        return {}
