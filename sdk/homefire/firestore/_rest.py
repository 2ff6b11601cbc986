"""Firestore v1 over REST: the calls that the SDK makes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from homefire._runtime import sleep
from homefire._transport.messages import TransportError, json_request
from homefire.app import FirebaseApp, TokenSource
from homefire.errors import FirestoreError
from homefire.firestore._status import error_of, network_error

READ_ATTEMPTS = 4
READ_BACKOFF = 0.1
"""Seconds before the second attempt of a read at the most; doubles from one to the next."""


class RestClient:
    """Calls the server as the app's signed-in user."""

    def __init__(self, app: FirebaseApp, database: str) -> None:
        self.host = app._options.host
        self.token_source: TokenSource | None = None
        self.closed = False
        self._app = app
        self._database = database

    async def read(self, parent: str, verb: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A streaming read; tried again where the server was out of reach. Raises FirestoreError."""
        attempt = 1
        while True:
            try:
                answer = await self._call(parent, verb, body)
                break
            except FirestoreError as error:
                if error.code != "unavailable" or attempt >= READ_ATTEMPTS:
                    raise
            await sleep(random.uniform(0, READ_BACKOFF * 2**attempt))
            attempt += 1
        if not isinstance(answer, list):
            raise FirestoreError("internal", "The server's answer is not an array.")
        return answer

    async def commit(self, writes: list[dict[str, Any]]) -> dict[str, Any]:
        """One atomic commit. It is sent once: whether a lost answer meant success is not known."""
        answer = await self._call(f"{self._database}/documents", "commit", {"writes": writes})
        if not isinstance(answer, dict):
            raise FirestoreError("internal", "The server's answer is not an object.")
        return answer

    async def token(self, force_refresh: bool = False) -> str | None:
        """The ID token to show, ``None`` when signed out."""
        source = self.token_source or self._app._token_source
        return None if source is None else await source.get_token(force_refresh)

    def check_open(self) -> None:
        """Raise ``failed-precondition`` once the database was terminated or its app deleted."""
        if self.closed:
            raise FirestoreError(
                "failed-precondition", "The database was terminated: call get_firestore() anew."
            )

    async def _call(self, parent: str, verb: str, body: Mapping[str, Any]) -> Any:
        self.check_open()
        token = await self.token()
        try:
            return await self._send(parent, verb, body, token)
        except FirestoreError as error:
            if error.code != "unauthenticated" or token is None:
                raise
        # The server knows better than this clock when a token is over; nothing was done with it.
        return await self._send(parent, verb, body, await self.token(force_refresh=True))

    async def _send(
        self, parent: str, verb: str, body: Mapping[str, Any], token: str | None
    ) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"{self.host}/v1/{quote(parent, safe='/()')}:{verb}"
        try:
            response = await self._app._transport.send(json_request("POST", url, body, headers))
            if not response.ok:
                raise error_of(response)
            return response.json()
        except TransportError as error:
            raise network_error(error) from error
