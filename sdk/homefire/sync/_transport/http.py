"""The transport over HTTP, with a pool of connections."""

from __future__ import annotations

import threading

import httpx2

from homefire._transport.messages import HttpRequest, HttpResponse, TransportError
from homefire._transport.net import is_loopback

# Shorter than servers commonly keep an idle connection, so that a request rarely meets one that is closing.
KEEPALIVE_SECONDS = 3.0


class HttpTransport:
    """Carries requests by ``httpx2``; opens connections when first used."""

    def __init__(self) -> None:
        self._clients: dict[bool, httpx2.Client] = {}
        self._making = threading.Lock()

    def send(self, request: HttpRequest) -> HttpResponse:
        """Carry out one request; raises :class:`TransportError` when there is no answer."""
        try:
            response = self._client(request.url).request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.content or None,
                timeout=request.timeout,
                follow_redirects=request.method == "GET",
            )
        except (
            httpx2.ConnectError,
            httpx2.ConnectTimeout,
            httpx2.PoolTimeout,
        ) as error:
            raise TransportError(
                f"Could not reach {_origin(request.url)}: {error}", sent=False
            ) from error
        except httpx2.TransportError as error:
            what = str(error) or type(error).__name__
            raise TransportError(
                f"No answer from {_origin(request.url)}: {what}", sent=True
            ) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpResponse(response.status_code, headers, response.content)

    def close(self) -> None:
        """Close all connections."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, url: str) -> httpx2.Client:
        # A proxy from the environment is meant for the world outside, not for this machine.
        trust_env = not is_loopback(url)
        with self._making:
            if trust_env not in self._clients:
                self._clients[trust_env] = httpx2.Client(
                    trust_env=trust_env,
                    limits=httpx2.Limits(
                        max_connections=100, keepalive_expiry=KEEPALIVE_SECONDS
                    ),
                )
            return self._clients[trust_env]


def _origin(url: str) -> str:
    parsed = httpx2.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
