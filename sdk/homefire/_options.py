"""The configuration of an app: what it may hold, and its normal form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from homefire._transport.net import normal_host
from homefire.errors import AppError

DEFAULT_HOST = "http://127.0.0.1:8080"
HOST_VARIABLE = "HOMEFIRE_URL"


class FirebaseOptions(TypedDict, total=False):
    """The keys of ``initialize_app``'s configuration. Firebase's camelCase spelling is taken as well.

    ``host`` is the server's address; without it the environment's ``HOMEFIRE_URL`` counts, then
    ``http://127.0.0.1:8080``. The keys from ``auth_domain`` on are kept but not used.
    """

    project_id: str
    api_key: str
    storage_bucket: str
    host: str
    auth_domain: str
    database_url: str
    messaging_sender_id: str
    app_id: str
    measurement_id: str


_CAMEL = {
    "projectId": "project_id",
    "apiKey": "api_key",
    "storageBucket": "storage_bucket",
    "authDomain": "auth_domain",
    "databaseURL": "database_url",
    "messagingSenderId": "messaging_sender_id",
    "appId": "app_id",
    "measurementId": "measurement_id",
}


@dataclass(frozen=True, slots=True)
class AppOptions:
    """A checked configuration. ``storage_bucket`` is a bare bucket name or ``None``."""

    project_id: str
    api_key: str
    host: str
    storage_bucket: str | None
    given: Mapping[str, str]


def read_options(config: FirebaseOptions | Mapping[str, str]) -> AppOptions:
    """Check a configuration and give its normal form; raises ``app/invalid-options``."""
    given: dict[str, str] = {}
    for key, value in config.items():
        name = _CAMEL.get(key, key)
        if name not in FirebaseOptions.__annotations__:
            raise AppError("app/invalid-options", f"Unknown key in the configuration: {key!r}.")
        if not isinstance(value, str):
            raise AppError("app/invalid-options", f"{key!r} in the configuration must be a string.")
        given[name] = value
    project_id = given.get("project_id", "")
    if not project_id or "/" in project_id:
        raise AppError("app/invalid-options", "The configuration needs a 'project_id'.")
    return AppOptions(
        project_id=project_id,
        api_key=given.get("api_key") or "homefire",
        host=_host(given.get("host") or os.environ.get(HOST_VARIABLE) or DEFAULT_HOST),
        storage_bucket=_bucket(given.get("storage_bucket")),
        given=given,
    )


def _host(text: str) -> str:
    try:
        return normal_host(text)
    except ValueError as error:
        raise AppError(
            "app/invalid-options", f"'host' must be an http(s) address: {error}"
        ) from error


def _bucket(text: str | None) -> str | None:
    if not text:
        return None
    return text.removeprefix("gs://").strip("/") or None
