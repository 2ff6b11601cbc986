"""Apps: a project, a server and the connections to it.

>>> app = initialize_app({"project_id": "demo", "api_key": "any", "host": "http://127.0.0.1:8080"})
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, TypeVar, cast

from homefire._options import AppOptions, FirebaseOptions, read_options
from homefire.errors import AppError, FirebaseError
from homefire.sync._transport.base import Transport
from homefire.sync._transport.http import HttpTransport

DEFAULT_NAME = "[DEFAULT]"

S = TypeVar("S", bound="Service")


class Service(Protocol):
    """What an app keeps of a service made for it: how to close it."""

    def _close(self) -> None: ...


class TokenSource(Protocol):
    """Where the app's services get the signed-in user's ID token from."""

    def get_token(self, force_refresh: bool = False) -> str | None:
        """A token that is good for minutes yet, or ``None`` when nobody is signed in."""


class FixedToken:
    """Somebody whom a test pretends to be: a token source that always gives the same."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, force_refresh: bool = False) -> str | None:
        """The token as given."""
        return self._token


class FirebaseApp:
    """One project on one server. Made by :func:`initialize_app`; closed by :func:`delete_app`.

    It may also be used in ``with``, which deletes it at the end.
    """

    def __init__(
        self, name: str, options: AppOptions, transport: Transport | None = None
    ) -> None:
        self.name = name
        self._options = options
        self._own_transport: HttpTransport | None = None
        if transport is None:
            transport = self._own_transport = HttpTransport()
        self._transport = transport
        self._services: dict[tuple[str, str], Service] = {}
        self._making = threading.Lock()
        self._token_source: TokenSource | None = None
        self._token_observers: list[Callable[[], None]] = []
        self._deleted = False

    def __repr__(self) -> str:
        return (
            f"FirebaseApp(name={self.name!r}, project_id={self._options.project_id!r})"
        )

    @property
    def options(self) -> Mapping[str, str]:
        """The configuration as given, in snake_case."""
        return dict(self._options.given)

    def __enter__(self) -> FirebaseApp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        delete_app(self)

    def _service(self, kind: str, key: str, make: Callable[[], S]) -> S:
        if self._deleted:
            raise AppError(
                "app/app-deleted", f"The app named {self.name!r} was deleted."
            )
        with self._making:
            if (kind, key) not in self._services:
                self._services[kind, key] = make()
            return cast(S, self._services[kind, key])

    def _forget(self, service: Service) -> None:
        """Let go of a service that has been closed: the next one asked for is a new one."""
        for key, value in list(self._services.items()):
            if value is service:
                del self._services[key]

    def _token_changed(self) -> None:
        for observer in list(self._token_observers):
            observer()

    def _close(self) -> None:
        self._deleted = True
        services = list(self._services.values())
        self._services.clear()
        for service in services:
            service._close()
        if self._own_transport is not None:
            self._own_transport.close()


class _Registry:
    """The apps of this process by name: the modular API finds them by name from anywhere."""

    def __init__(self) -> None:
        self.apps: dict[str, FirebaseApp] = {}
        self.lock = threading.Lock()


_registry = _Registry()


def initialize_app(
    options: FirebaseOptions | Mapping[str, str],
    name: str = DEFAULT_NAME,
    *,
    transport: Transport | None = None,
) -> FirebaseApp:
    """Make an app, or give the one of that name if its options are the same.

    ``transport`` replaces the network for HTTP. Raises ``app/duplicate-app``,
    ``app/invalid-options`` and ``app/bad-app-name``.
    """
    if not name:
        raise AppError("app/bad-app-name", "An app's name must not be empty.")
    read = read_options(options)
    with _registry.lock:
        existing = _registry.apps.get(name)
        if existing is None:
            _registry.apps[name] = FirebaseApp(name, read, transport)
            return _registry.apps[name]
    if existing._options == read:
        return existing
    raise AppError(
        "app/duplicate-app", f"An app named {name!r} already exists with other options."
    )


def get_app(name: str = DEFAULT_NAME) -> FirebaseApp:
    """The app of that name; raises ``app/no-app``."""
    app = _registry.apps.get(name)
    if app is None:
        raise AppError(
            "app/no-app",
            f"There is no app named {name!r}: call initialize_app() first.",
        )
    return app


def get_apps() -> list[FirebaseApp]:
    """All apps of this process."""
    return list(_registry.apps.values())


def delete_app(app: FirebaseApp) -> None:
    """Stop an app's listeners, close its connections and forget it."""
    if _registry.apps.get(app.name) is app:
        del _registry.apps[app.name]
    app._close()


__all__ = [
    "FirebaseApp",
    "FirebaseError",
    "FirebaseOptions",
    "delete_app",
    "get_app",
    "get_apps",
    "initialize_app",
]
