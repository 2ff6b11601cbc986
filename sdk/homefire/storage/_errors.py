"""The server's storage errors in Firebase's client codes."""

from __future__ import annotations

from homefire._transport.messages import HttpResponse, TransportError
from homefire.errors import StorageError

_BY_STATUS = {
    401: ("storage/unauthenticated", "Sign in, or renew the token, to use {what}."),
    402: ("storage/quota-exceeded", "The bucket's quota is used up: {what}."),
    403: ("storage/unauthorized", "The signed-in user has no permission for {what}."),
    404: ("storage/object-not-found", "There is no object {what}."),
    412: ("storage/precondition-failed", "{what} has changed since it was looked at."),
}


def error_of(response: HttpResponse, what: str) -> StorageError:
    """The error of a refusal that concerns ``what``; the server's own words follow."""
    said = _message(response)
    if response.status in _BY_STATUS:
        code, text = _BY_STATUS[response.status]
        message = text.format(what=repr(what))
        return StorageError(code, f"{message} {said}".strip())
    if response.status == 400 and "checksum" in said.lower():
        return StorageError("storage/invalid-checksum", said)
    if response.status == 400:
        return StorageError("storage/invalid-argument", said or "The server refused the request.")
    if response.status in (408, 429) or response.status >= 500:
        return StorageError("storage/retry-limit-exceeded", _or_status(said, response))
    return StorageError("storage/unknown", _or_status(said, response))


def network_error(error: TransportError) -> StorageError:
    """The error for no answer at all, after trying again."""
    return StorageError("storage/retry-limit-exceeded", error.message)


def _or_status(said: str, response: HttpResponse) -> str:
    return said or f"The server answered HTTP {response.status}."


def _message(response: HttpResponse) -> str:
    try:
        body = response.json()
    except TransportError:
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else ""
