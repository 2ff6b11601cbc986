"""Calls of the command line to a running server, as an administrator.

Who calls is told by a service-account key (``--key`` or ``HOMEFIRE_KEY``, a file that ``homefire keys
create`` made); against a development server no key is needed.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from jose import jwt

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE = "https://oauth2.googleapis.com/token"
"""Taken by every server, as official clients sign so; a key's own ``token_uri`` may be older than the address
of its server."""
_TIMEOUT_SECONDS = 30

Url = Annotated[str, typer.Option(envvar="HOMEFIRE_URL", help="Address of the running server.")]
Key = Annotated[
    Path | None, typer.Option(envvar="HOMEFIRE_KEY", help="A service account's key file.")
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", help="The project; the key's own unless given.")
]
DEFAULT_URL = "http://127.0.0.1:8080"
_KEY_WANTED = " Name a service account's key with --key FILE: `homefire keys create` makes one."


class Remote:
    """One server, as one administrator."""

    def __init__(self, url: str, key: Path | None, project: str | None) -> None:
        """Get an access token for the key; without one, be development mode's owner."""
        self._url = url.rstrip("/")
        self._keyless = key is None
        if key is None:
            self.project = project or "homefire"
            self._token = "owner"
            return
        credential = _read_key(key)
        self.project = project or str(credential["project_id"])
        self._token = self._access_token(credential)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One JSON call; a refusal ends the command with its message."""
        request = urllib.request.Request(
            f"{self._url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": f"Bearer {self._token}",
                "content-type": "application/json",
            },
        )
        return self._send(request)

    def _access_token(self, credential: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {
            "iss": credential["client_email"],
            "aud": _AUDIENCE,
            "iat": now,
            "exp": now + 600,
        }
        assertion = jwt.encode(
            claims,
            credential["private_key"],
            algorithm="RS256",
            headers={"kid": credential["private_key_id"]},
        )
        form = urllib.parse.urlencode({"grant_type": _GRANT, "assertion": assertion})
        request = urllib.request.Request(f"{self._url}/token", data=form.encode())
        return str(self._send(request)["access_token"])

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            fail(_message(error) + (_KEY_WANTED if error.code == 401 and self._keyless else ""))
        except (urllib.error.URLError, OSError, ValueError) as error:
            fail(f"{self._url} does not answer: {error}")


def fail(message: str) -> NoReturn:
    """End the command with a message on standard error."""
    typer.echo(f"homefire: {message}", err=True)
    raise typer.Exit(1)


def _read_key(path: Path) -> dict[str, Any]:
    try:
        credential = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(f"cannot read the key {path}: {error}")
    wanted = ("project_id", "client_email", "private_key", "private_key_id")
    if not isinstance(credential, dict) or any(name not in credential for name in wanted):
        fail(f"{path} is not a service account's key: `homefire keys create` makes one")
    return credential


def _message(error: urllib.error.HTTPError) -> str:
    """What the server says: a Google API's error, or OAuth's (RFC 6749, section 5.2)."""
    try:
        told = json.load(error)
        return str(
            told["error_description"] if "error_description" in told else told["error"]["message"]
        )
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {error.code}"
