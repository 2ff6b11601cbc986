"""Errors that only object storage knows, beside the canonical ones; each with the HTTP status clients map.

The official clients map 402 to ``storage/quota-exceeded``, 403 to ``storage/unauthorized``, 404 to
``storage/object-not-found``, and retry 5xx, 408 and 429 until ``storage/retry-limit-exceeded``.
"""

from __future__ import annotations

from baas.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
)


class QuotaExceeded(ResourceExhausted):
    """A bucket's or a user's quota is used up."""

    http_status = 402


class PreconditionFailed(FailedPrecondition):
    """A generation, metageneration or entity-tag condition does not hold."""

    http_status = 412


class NotModified(PreconditionFailed):
    """A reader has the very state that it asks about: its condition was that there be another."""

    http_status = 304


class TooLarge(InvalidArgument):
    """More bytes than an object may have."""

    http_status = 413


class RangeNotSatisfiable(OutOfRange):
    """A byte range that begins after the object's end."""

    http_status = 416

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class UploadGone(NotFound):
    """A resumable upload that has expired: start a new one."""

    http_status = 410


class UploadCancelled(FailedPrecondition):
    """A resumable upload that its client gave up."""


class TooSlow(DeadlineExceeded):
    """The client sent nothing, or next to nothing, for too long."""

    http_status = 408


class OffsetMismatch(FailedPrecondition):
    """A chunk of a resumable upload that does not begin where the last one ended."""

    http_status = 409

    def __init__(self, message: str, received: int) -> None:
        super().__init__(message)
        self.received = received


class ClientGone(Exception):
    """The client went away in the middle of its request; there is nobody to answer."""
