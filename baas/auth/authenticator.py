"""From an Authorization header to a principal: the one door for every surface."""

from __future__ import annotations

from baas.access.principal import ANONYMOUS, OWNER, Principal
from baas.auth.service import AuthService
from baas.errors import Unauthenticated

_SCHEMES = ("bearer", "firebase")
_EMULATOR_OWNER = "owner"


class Authenticator:
    """Tells who sends a request."""

    def __init__(self, service: AuthService) -> None:
        self._service = service

    async def principal(self, authorization: str | None, project: str) -> Principal:
        """The caller of a request to this project.

        Raises:
            Unauthenticated: there are credentials, and they are no good.
        """
        if authorization is None or not authorization.strip():
            return ANONYMOUS
        scheme, _, token = authorization.strip().partition(" ")
        token = token.strip()
        if scheme.lower() not in _SCHEMES or not token:
            raise Unauthenticated("The Authorization header must be 'Bearer' and a token.")
        return await self.principal_of_token(token, project)

    async def principal_of_token(self, token: str, project: str) -> Principal:
        """The caller who shows this token, without a scheme before it.

        Raises:
            Unauthenticated: it is no good.
        """
        if token.lower() == _EMULATOR_OWNER:
            if self._service.options.dev:
                return OWNER
            raise Unauthenticated("The token 'owner' is for development mode (--dev) only.")
        if self._service.service_accounts.is_access_token(token):
            return await self._service.service_accounts.principal(token, project)
        try:
            return await self._service.verify_id_token(token, project)
        except Unauthenticated:
            if not self._service.service_accounts.is_self_signed(token):
                raise
            return await self._service.service_accounts.self_signed(token, project)
