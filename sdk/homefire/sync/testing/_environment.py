"""An environment for tests of security rules: a project on a server in development mode."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

from homefire._options import DEFAULT_HOST, HOST_VARIABLE
from homefire._runtime_sync import Callback, Operation, invoke, settle
from homefire._transport.messages import (
    HttpRequest,
    HttpResponse,
    TransportError,
    json_request,
)
from homefire._transport.net import normal_host
from homefire.errors import FirebaseError
from homefire.sync._transport.http import HttpTransport
from homefire.sync.app import FirebaseApp, FixedToken, delete_app, initialize_app
from homefire.sync.firestore import Firestore, get_firestore
from homefire.sync.storage import (
    FirebaseStorage,
    StorageReference,
    delete_object,
    get_storage,
)
from homefire.sync.storage import list_all as list_all_objects
from homefire.sync.storage import ref as storage_ref
from homefire.testing._tokens import OWNER, unsigned_token

T = TypeVar("T")

DENIALS = ("permission-denied", "storage/unauthorized")


class RulesTestContext:
    """Somebody who uses the project: a user, nobody, or one whom no rules bind."""

    def __init__(self, app: FirebaseApp) -> None:
        self._app = app

    def firestore(self, database_id: str = "(default)") -> Firestore:
        """Documents, as seen by this somebody."""
        return get_firestore(self._app, database_id)

    def storage(self, bucket_url: str | None = None) -> FirebaseStorage:
        """Objects, as seen by this somebody."""
        return get_storage(self._app, bucket_url)


class RulesTestEnvironment:
    """A project for tests; had by :func:`initialize_test_environment`, ended by ``cleanup()``."""

    def __init__(self, project_id: str, host: str) -> None:
        self.project_id = project_id
        self.host = host
        self._transport = HttpTransport()
        self._apps: list[FirebaseApp] = []

    def __enter__(self) -> RulesTestEnvironment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cleanup()

    def authenticated_context(
        self, user_id: str, token_options: Mapping[str, Any] | None = None
    ) -> RulesTestContext:
        """A user of any id who is signed in, with more claims in the token if given."""
        return self._context(unsigned_token(self.project_id, user_id, token_options))

    def unauthenticated_context(self) -> RulesTestContext:
        """Nobody: not signed in."""
        return self._context(None)

    def with_security_rules_disabled(
        self, callback: Callback[RulesTestContext]
    ) -> None:
        """Call back with a context that no rules apply to, to lay out what a test needs."""
        invoke(callback, self._context(OWNER))

    def load_firestore_rules(self, rules: str) -> None:
        """Make these the project's rules for documents; raises ``invalid-argument`` with the places."""
        path = f"/emulator/v1/projects/{quote(self.project_id, safe='')}:securityRules"
        self._control("PUT", path, {"rules": {"files": [{"content": rules}]}})

    def load_storage_rules(self, rules: str) -> None:
        """Make these the server's rules for objects; raises ``invalid-argument``."""
        files = [{"name": "storage.rules", "content": rules}]
        self._control("PUT", "/internal/setRules", {"rules": {"files": files}})

    def clear_firestore(self, database_id: str = "(default)") -> None:
        """Delete all documents."""
        project = quote(self.project_id, safe="")
        database = quote(database_id, safe="()")
        path = f"/emulator/v1/projects/{project}/databases/{database}/documents"
        self._control("DELETE", path, None)

    def clear_storage(self) -> None:
        """Delete all objects of the project's bucket."""
        storage = self._context(OWNER).storage()
        _delete_below(storage_ref(storage))

    def cleanup(self) -> None:
        """End all contexts and what they have begun."""
        apps, self._apps = self._apps, []
        for app in apps:
            delete_app(app)
        self._transport.close()

    def _context(self, token: str | None) -> RulesTestContext:
        options = {
            "project_id": self.project_id,
            "storage_bucket": self.project_id,
            "host": self.host,
        }
        app = initialize_app(options, f"rules-test-{uuid4()}")
        app._token_source = None if token is None else FixedToken(token)
        self._apps.append(app)
        return RulesTestContext(app)

    def _control(self, method: str, path: str, body: object) -> HttpResponse:
        url = f"{self.host}{path}"
        request = (
            HttpRequest(method, url)
            if body is None
            else json_request(method, url, body)
        )
        try:
            response = self._transport.send(request)
        except TransportError as error:
            raise FirebaseError("unavailable", error.message) from error
        if response.ok:
            return response
        text = response.content.decode("utf-8", "replace")
        if response.status == 404:
            text = f"Is the server in development mode (--dev)? It answered 404: {text}"
        code = "invalid-argument" if response.status == 400 else "unknown"
        raise FirebaseError(code, text)


def initialize_test_environment(
    project_id: str,
    *,
    firestore_rules: str | None = None,
    storage_rules: str | None = None,
    host: str | None = None,
) -> RulesTestEnvironment:
    """Load rules into a project of a server in development mode.

    ``host`` is the server's address; by default the environment's ``HOMEFIRE_URL``, then
    ``http://127.0.0.1:8080``. Raises ``invalid-argument`` with line and column for rules that do not compile.
    """
    address = normal_host(host or os.environ.get(HOST_VARIABLE) or DEFAULT_HOST)
    environment = RulesTestEnvironment(project_id, address)
    try:
        if firestore_rules is not None:
            environment.load_firestore_rules(firestore_rules)
        if storage_rules is not None:
            environment.load_storage_rules(storage_rules)
    except BaseException:
        environment.cleanup()
        raise
    return environment


def assert_fails(operation: Operation[Any]) -> FirebaseError:
    """Wait for a denial by the rules, and give it; success or another failure is an ``AssertionError``."""
    try:
        settle(operation)
    except FirebaseError as error:
        if error.code in DENIALS:
            return error
        raise AssertionError(
            f"Expected a denial by the rules, but it failed otherwise: {error}"
        ) from error
    raise AssertionError("Expected a denial by the rules, but it succeeded.")


def assert_succeeds(operation: Operation[T]) -> T:
    """Wait for success, and give the outcome; a denial by the rules is an ``AssertionError``."""
    try:
        return settle(operation)
    except FirebaseError as error:
        if error.code in DENIALS:
            raise AssertionError(
                f"Expected success, but the rules deny it: {error}"
            ) from error
        raise


def _delete_below(place: StorageReference) -> None:
    found = list_all_objects(place)
    for item in found.items:
        delete_object(item)
    for prefix in found.prefixes:
        _delete_below(prefix)
