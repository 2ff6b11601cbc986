"""The server's errors in the codes of Firebase's clients."""

from __future__ import annotations

from typing import Any

from homefire._transport.messages import HttpResponse, TransportError
from homefire.errors import FirestoreError

CODES = (
    "ok",
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
)
"""The canonical codes by their numbers."""

_BY_HTTP = {
    400: "invalid-argument",
    401: "unauthenticated",
    403: "permission-denied",
    404: "not-found",
    409: "aborted",
    413: "invalid-argument",
    429: "resource-exhausted",
    499: "cancelled",
    501: "unimplemented",
    502: "unavailable",
    503: "unavailable",
    504: "deadline-exceeded",
}


def code_of_number(number: int) -> str:
    """The client's code for a number of ``google.rpc.Code``."""
    return CODES[number] if 0 < number < len(CODES) else "unknown"


def code_of_status(status: object, http: int) -> str:
    """The client's code for a canonical status such as ``PERMISSION_DENIED``, else for an HTTP status."""
    code = status.lower().replace("_", "-") if isinstance(status, str) else ""
    return code if code in CODES[1:] else _BY_HTTP.get(http, "unknown")


def error_of(response: HttpResponse) -> FirestoreError:
    """The error of a refusal: Google's envelope, which streaming methods put into an array."""
    try:
        body: Any = response.json()
    except TransportError:
        body = None
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        code = code_of_status(None, response.status)
        return FirestoreError(code, f"The server answered HTTP {response.status}.")
    message = error.get("message") or f"The server answered HTTP {response.status}."
    return FirestoreError(code_of_status(error.get("status"), response.status), str(message))


def network_error(error: TransportError) -> FirestoreError:
    """The error for no answer at all."""
    return FirestoreError("unavailable", error.message)
