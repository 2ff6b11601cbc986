"""Reading Identity Toolkit requests, and rendering its errors. Every field's type is checked by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from baas.api.http import JSONResponse
from baas.auth.context import tenant_of
from baas.auth.errors import AuthError
from baas.auth.hooks import Client
from baas.auth.options import AuthOptions, Scope
from baas.auth.tokens import take_apart
from baas.errors import ApiError, InvalidArgument, Unauthenticated

MAX_BODY = 256 * 1_024
MAX_IMPORT_BODY = 16 * 1_024 * 1_024
_INT64 = 1 << 63


class Fields:
    """The fields of a request, each read with its type; ``null`` is as good as absent."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    @property
    def raw(self) -> Mapping[str, Any]:
        """The fields as they came."""
        return self._values

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self._get(name, str, "a string")
        return default if value is None else str(value)

    def enum(self, name: str, numbers: Mapping[int, str]) -> str:
        """A name of an enumeration, which proto3-JSON may write as its number; "" for the unspecified."""
        value = self._values.get(name)
        if type(value) is int:
            if value and value not in numbers:
                raise self._invalid(name, "a number of the enumeration")
            return numbers.get(value, "")
        found = self.text(name)
        return "" if found.endswith("_UNSPECIFIED") else found

    def optional_text(self, name: str) -> str | None:
        """A string, or ``None`` if it is not given."""
        return self.text(name) if name in self else None

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        value = self._get(name, bool, "a boolean")
        return default if value is None else bool(value)

    def optional_flag(self, name: str) -> bool | None:
        """A boolean, or ``None`` if it is not given."""
        return self.flag(name) if name in self else None

    def integer(self, name: str, default: int = 0) -> int:
        """An integer, which proto3-JSON may write as a string."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, str) and len(value) < 21:
            try:
                value = int(value)
            except ValueError:
                value = None
        if type(value) is not int or not -_INT64 <= value < _INT64:
            raise self._invalid(name, "an integer")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        value = self._get(name, list, "a list of strings") or []
        if not all(isinstance(item, str) for item in value):
            raise self._invalid(name, "a list of strings")
        return list(value)

    def child(self, name: str) -> Fields:
        """An object; empty if it is not given."""
        value = self._get(name, dict, "an object")
        return Fields(value or {}, f"{self._path}{name}.")

    def children(self, name: str) -> list[Fields]:
        """A list of objects."""
        value = self._get(name, list, "a list of objects") or []
        if not all(isinstance(item, dict) for item in value):
            raise self._invalid(name, "a list of objects")
        return [Fields(item, f"{self._path}{name}[{i}].") for i, item in enumerate(value)]

    def _get(self, name: str, kind: type, what: str) -> Any:
        value = self._values.get(name)
        if value is not None and not isinstance(value, kind):
            raise self._invalid(name, what)
        return value

    def _invalid(self, name: str, what: str) -> InvalidArgument:
        return InvalidArgument(
            f"Invalid value at '{self._path}{name}': it must be {what}.",
            details=(
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [
                        {"field": f"{self._path}{name}", "description": f"It must be {what}."}
                    ],
                },
            ),
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its fields, whose accounts it is about, and from where it came."""

    fields: Fields
    scope: Scope
    client: Client
    authorization: str | None
    query: Mapping[str, str]
    """The parameters of the query and of the path."""
    path: str = ""


def read_scope(request: Request, fields: Fields, options: AuthOptions) -> Scope:
    """The project and tenant of a call: by its path, else by its fields, else by its API key.

    Raises:
        InvalidArgument: the API key is unknown, or a name is no name.
        AuthError: CONFIGURATION_NOT_FOUND (the project is not served here), INSUFFICIENT_PERMISSION
            (only credentials may name a project in the fields), TENANT_ID_MISMATCH (path and
            fields name different tenants).
    """
    project = request.path_params.get("project") or fields.text("targetProjectId")
    named = "project" in request.path_params or "authorization" in request.headers
    if project and not named:
        raise AuthError(
            "INSUFFICIENT_PERMISSION",
            "Only authenticated requests can specify target_project_id.",
        )
    if not project:
        key = request.query_params.get("key") or request.headers.get("x-goog-api-key") or ""
        project = project_of_key(key, options)
    tenant = request.path_params.get("tenant") or fields.text("tenantId")
    tenant = tenant or _tenant_told_by(fields.text("idToken"))
    if fields.text("tenantId") not in ("", tenant):
        raise AuthError("TENANT_ID_MISMATCH")
    scope = Scope(project, tenant)
    if not scope.valid:
        raise InvalidArgument("The project id or the tenant id has characters that none may have.")
    if options.projects is not None and project not in options.projects:
        raise AuthError("CONFIGURATION_NOT_FOUND", "The project is not served here.")
    return scope


def _tenant_told_by(id_token: str) -> str:
    """The tenant that an ID token names. Believed only as to where its account is; it is verified later."""
    if not id_token:
        return ""
    try:
        return tenant_of(take_apart(id_token, "The ID token").claims)
    except Unauthenticated:
        return ""


def project_of_key(key: str, options: AuthOptions) -> str:
    """The project that an API key stands for.

    Raises:
        InvalidArgument: it is unknown, in production.
    """
    if not options.api_keys:
        return options.default_project
    project = options.api_keys.get(key)
    if project is None and not options.dev:
        raise InvalidArgument("API key not valid. Please pass a valid API key.")
    return project or options.default_project


def identity_error(error: ApiError) -> Response:
    """Identity Toolkit's error envelope, with the list of errors that old clients read."""
    entry = {"message": error.message, "domain": "global", "reason": "invalid"}
    envelope = error.envelope()
    envelope["error"]["errors"] = [entry]
    if type(error) is AuthError:
        del envelope["error"]["status"]  # named by the message, as Identity Toolkit does
    return JSONResponse(envelope, status_code=error.http_status)
