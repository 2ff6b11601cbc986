"""A small OpenID provider: real keys, real signatures, answered in process."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt

from baas.auth.outgoing import Answer

ISSUER, CLIENT = "https://id.example.com", "our-app"
_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
PEM = _KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


class OpenIdProvider:
    """Stands where the network would be: answers discovery, keys and code exchange."""

    def __init__(self) -> None:
        self.now = time.time()
        self.codes: dict[str, dict[str, Any]] = {}
        self.forms: list[dict[str, str]] = []

    def id_token(self, **claims: Any) -> str:
        """An ID token for our app."""
        usual = {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": "subject-1",
            "iat": int(self.now),
            "exp": int(self.now) + 600,
            "email": "ada@example.com",
            "email_verified": True,
            "name": "Ada",
        }
        return str(jwt.encode(usual | claims, PEM, "RS256", {"kid": "k1"}))

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 7.0,
    ) -> Answer:
        """See :class:`baas.auth.outgoing.Outgoing`."""
        if url.endswith("/.well-known/openid-configuration"):
            issuer = url.removesuffix("/.well-known/openid-configuration")
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint")
            paths = ("authorize", "token", "keys", "revoke")
            found = {n: f"{issuer}/{p}" for n, p in zip(names, paths, strict=True)}
            return _json({"issuer": issuer, **found})
        if url.endswith("/keys"):
            public = {
                name: value.decode() if isinstance(value, bytes) else value
                for name, value in jwk.construct(PEM, "RS256").public_key().to_dict().items()
            }
            return _json({"keys": [{**public, "kid": "k1", "use": "sig"}]})
        if url.endswith("/token"):
            form = {k: v[0] for k, v in parse_qs((body or b"").decode()).items()}
            self.forms.append(form)
            claims = self.codes.pop(form["code"], None)
            if claims is None:
                return Answer(400, b'{"error": "invalid_grant"}', {})
            return _json({"id_token": self.id_token(**claims), "access_token": "at"})
        if url.endswith("/revoke"):
            form = {k: v[0] for k, v in parse_qs((body or b"").decode()).items()}
            self.forms.append(form)
            return Answer(200 if form["token"] == "at" else 400, b"", {})
        return Answer(404, b"{}", {})


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), {})
