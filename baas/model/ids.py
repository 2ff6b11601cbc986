"""Ids that the server chooses."""

from __future__ import annotations

import secrets

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def new_document_id() -> str:
    """A random document id as the clients make them: 20 letters and digits, about 119 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))
