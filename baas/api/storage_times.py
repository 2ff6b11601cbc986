"""Times as the storage APIs write them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(micros: int) -> str:
    """Milliseconds, UTC, as Cloud Storage answers: ``2026-01-02T03:04:05.678Z``."""
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros // 1000 % 1000:03d}Z"
