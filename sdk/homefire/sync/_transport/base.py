"""The one interface between the SDK and the network."""

from __future__ import annotations

from typing import Protocol

from homefire._transport.messages import HttpRequest, HttpResponse


class Transport(Protocol):
    """Carries requests. Pass your own to ``initialize_app`` to test without a network."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Carry out one request; raises :class:`TransportError` when there is no answer."""
