"""The calls of Identity Toolkit and Secure Token that the SDK makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from homefire._transport.base import Transport
from homefire._transport.messages import HttpRequest, TransportError, json_request
from homefire.auth._errors import error_of, network_error
from homefire.auth._factors import MultiFactorError
from homefire.errors import AuthError

ACCOUNTS = "/identitytoolkit.googleapis.com/v1/accounts"
ACCOUNTS_V2 = "/identitytoolkit.googleapis.com/v2/accounts"
TOKEN = "/securetoken.googleapis.com/v1/token"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What proves who a user is. ``expires_at`` is in seconds on the client's own monotonic clock."""

    id_token: str
    refresh_token: str
    expires_at: float


class AuthApi:
    """Identity Toolkit for one project, by its API key."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        api_key: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.clock = clock
        self._transport = transport
        self._api_key = api_key

    async def accounts(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call ``accounts:<method>``, or v2 ``accounts/<group>:<method>``; raises :class:`AuthError`."""
        path = f"{ACCOUNTS_V2}/{method}" if ":" in method else f"{ACCOUNTS}:{method}"
        url = f"{self.host}{path}?key={quote(self._api_key, safe='')}"
        return await self._send(json_request("POST", url, dict(body)))

    async def refresh(self, refresh_token: str) -> Tokens:
        """Fresh tokens for a refresh token; raises :class:`AuthError`."""
        url = f"{self.host}{TOKEN}?key={quote(self._api_key, safe='')}"
        form = urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        asked_at = self.clock()
        answer = await self._send(HttpRequest("POST", url, headers, form.encode("ascii")))
        return self._tokens(answer, "id_token", "refresh_token", "expires_in", asked_at)

    def tokens_of(self, answer: Mapping[str, Any]) -> Tokens:
        """The tokens in the answer of an ``accounts`` call; raises
        ``auth/multi-factor-auth-required``, ``auth/account-exists-with-different-credential``."""
        if answer.get("mfaPendingCredential"):
            raise MultiFactorError(answer)
        if answer.get("needConfirmation"):
            raise AuthError(
                "auth/account-exists-with-different-credential",
                "There is an account of this address with another way of signing in.",
            )
        return self._tokens(answer, "idToken", "refreshToken", "expiresIn", self.clock())

    async def _send(self, request: HttpRequest) -> dict[str, Any]:
        try:
            response = await self._transport.send(request)
            if not response.ok:
                raise error_of(response)
            answer = response.json()
        except TransportError as error:
            raise network_error(error) from error
        if not isinstance(answer, dict):
            raise AuthError("auth/internal-error", "The server's answer is not a JSON object.")
        return answer

    def _tokens(
        self, answer: Mapping[str, Any], id_key: str, refresh_key: str, life_key: str, since: float
    ) -> Tokens:
        try:
            return Tokens(
                str(answer[id_key]), str(answer[refresh_key]), since + float(answer[life_key])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AuthError(
                "auth/internal-error", "The server's answer lacks the user's tokens."
            ) from error
