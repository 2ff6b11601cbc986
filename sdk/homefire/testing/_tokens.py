"""Tokens that a server in development mode believes: nobody has signed them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

OWNER = "owner"
"""In development mode, the token that rules do not apply to."""


def unsigned_token(project_id: str, uid: str, claims: Mapping[str, Any] | None) -> str:
    """An ID token for a user of any name, with more claims or other values of the usual ones."""
    payload = {
        "iss": f"https://securetoken.google.com/{project_id}",
        "aud": project_id,
        "sub": uid,
        "user_id": uid,
        "iat": 0,
        "exp": 3600,
        "auth_time": 0,
        "firebase": {"sign_in_provider": "custom", "identities": {}},
        **(claims or {}),
    }
    return f"{_part({'alg': 'none', 'type': 'JWT'})}.{_part(payload)}."


def _part(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")
