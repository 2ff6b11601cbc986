"""An HTTP request and its response as plain data, and what can go wrong between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, complete: the body is bytes, the URL is absolute. ``timeout`` is in seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response, complete. ``headers`` has lower-case names."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; raises :class:`TransportError` where it is not JSON."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise TransportError(
                f"The server's answer (HTTP {self.status}) is not JSON; is this a Homefire server?",
                sent=True,
            ) from error


class TransportError(Exception):
    """No answer was had. ``sent`` is False where the request surely never reached the server."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent


def json_request(
    method: str, url: str, body: object, headers: Mapping[str, str] | None = None
) -> HttpRequest:
    """A request with a JSON body."""
    content = json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return HttpRequest(
        method,
        url,
        {"Content-Type": "application/json", **(headers or {})},
        content.encode("utf-8"),
    )
