"""The canonical errors of Homefire: one class per canonical status code.

::

    ApiError
    ├── InvalidArgument      400   ├── ResourceExhausted   429
    ├── FailedPrecondition   400   ├── Cancelled           499
    ├── OutOfRange           400   ├── UnknownError        500
    ├── Unauthenticated      401   ├── InternalError       500
    ├── PermissionDenied     403   ├── DataLoss            500
    ├── NotFound             404   ├── Unimplemented       501
    ├── AlreadyExists        409   ├── Unavailable         503
    └── Aborted              409   └── DeadlineExceeded    504

A service raises them; a surface renders them (REST: Google's error envelope, gRPC: a status, WebSocket and
WebChannel: an error frame). The numbers are those of ``google.rpc.Code`` and its published HTTP mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class ApiError(Exception):
    """An error that a client is told of: a canonical status, and a message that says what to do."""

    status: ClassVar[str] = "UNKNOWN"
    grpc_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, details: tuple[Mapping[str, Any], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def envelope(self) -> dict[str, Any]:
        """Google's JSON error envelope: ``{"error": {"code", "message", "status"[, "details"]}}``."""
        error: dict[str, Any] = {
            "code": self.http_status,
            "message": self.message,
            "status": self.status,
        }
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


class Cancelled(ApiError):
    """The caller went away."""

    status, grpc_code, http_status = "CANCELLED", 1, 499


class UnknownError(ApiError):
    """An error of unknown kind."""

    status, grpc_code, http_status = "UNKNOWN", 2, 500


class InvalidArgument(ApiError):
    """The request is malformed, whatever the state of the system."""

    status, grpc_code, http_status = "INVALID_ARGUMENT", 3, 400


class DeadlineExceeded(ApiError):
    """The deadline expired before the operation could complete."""

    status, grpc_code, http_status = "DEADLINE_EXCEEDED", 4, 504


class NotFound(ApiError):
    """What was asked for does not exist."""

    status, grpc_code, http_status = "NOT_FOUND", 5, 404


class AlreadyExists(ApiError):
    """What was to be created exists."""

    status, grpc_code, http_status = "ALREADY_EXISTS", 6, 409


class PermissionDenied(ApiError):
    """The caller is known, and may not."""

    status, grpc_code, http_status = "PERMISSION_DENIED", 7, 403


class ResourceExhausted(ApiError):
    """A quota or a rate limit is used up."""

    status, grpc_code, http_status = "RESOURCE_EXHAUSTED", 8, 429


class FailedPrecondition(ApiError):
    """The system is not in the state that the operation needs."""

    status, grpc_code, http_status = "FAILED_PRECONDITION", 9, 400


class Aborted(ApiError):
    """A conflict with a concurrent operation; the client should retry as a whole."""

    status, grpc_code, http_status = "ABORTED", 10, 409


class OutOfRange(ApiError):
    """The operation went past a valid range."""

    status, grpc_code, http_status = "OUT_OF_RANGE", 11, 400


class Unimplemented(ApiError):
    """Not offered by this server."""

    status, grpc_code, http_status = "UNIMPLEMENTED", 12, 501


class InternalError(ApiError):
    """An invariant of the server broke."""

    status, grpc_code, http_status = "INTERNAL", 13, 500


class Unavailable(ApiError):
    """The server cannot answer now; a retry may succeed."""

    status, grpc_code, http_status = "UNAVAILABLE", 14, 503


class DataLoss(ApiError):
    """Data is lost or corrupt beyond recovery."""

    status, grpc_code, http_status = "DATA_LOSS", 15, 500


class Unauthenticated(ApiError):
    """The request has no valid credentials."""

    status, grpc_code, http_status = "UNAUTHENTICATED", 16, 401
