"""The SDKs without emulator mode: production mode, TLS, service-account keys."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.auth import crypt, jwt

from tests.integration.official.conftest import HERE, start_server
from tests.unit.grpc.certificates import self_signed

STORAGE_RULES = """rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /open/{name} { allow read, write: if true; }
  }
}
"""
RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /open/{id} { allow read, write: if true; }
  }
}
"""


@dataclasses.dataclass
class Production:
    """A server in production mode and what its clients need to know."""

    host: str
    environment: dict[str, str]

    def result_of(self, *command: str) -> Any:
        finished = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=90
        )
        found = re.search(r"^RESULT (.*)$", finished.stdout, re.MULTILINE)
        assert found, finished.stdout[-2000:] + finished.stderr[-3000:]
        return json.loads(found[1])


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    certificate, key = self_signed(folder)
    (folder / "firestore.rules").write_text(RULES)
    (folder / "storage.rules").write_text(STORAGE_RULES)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = f"localhost:{port}"
    settings = {
        "HOMEFIRE_TLS_CERTIFICATE": str(certificate),
        "HOMEFIRE_TLS_KEY": str(key),
        "HOMEFIRE_PUBLIC_URL": f"https://{host}",
        "HOMEFIRE_RULES": str(folder / "firestore.rules"),
        "HOMEFIRE_STORAGE_RULES": str(folder / "storage.rules"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        account = folder / "key.json"
        command = [sys.executable, "-m", "baas.cli", "keys", "create", str(account)]
        subprocess.run([*command, "--data", str(folder / "data")], check=True, cwd=HERE.parents[2])
        running = start_server(folder / "data", port=port, dev=False)
    trust = {
        name: str(certificate)
        for name in (
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
            "NODE_EXTRA_CA_CERTS",
            "REQUESTS_CA_BUNDLE",
            "SSL_CERT_FILE",
        )
    }
    yield Production(
        host, os.environ | trust | {"HOMEFIRE_HOST": host, "HOMEFIRE_KEY": str(account)}
    )
    running.stop()


def test_production_node_web_and_admin_sdk(production: Production, node_folder: Path) -> None:
    result = production.result_of("node", str(node_folder / "production" / "node.mjs"))
    assert result == {"web": {"n": 1}, "denied": "permission-denied", "admin": {"n": 2}}


def test_production_python_client_with_a_key(production: Production) -> None:
    result = production.result_of(sys.executable, str(HERE / "production" / "python_client.py"))
    assert result == {"python": {"n": 3}}


def test_production_storage_of_the_web_sdk_and_of_an_admin_in_node(
    production: Production, node_folder: Path
) -> None:
    result = production.result_of("node", str(node_folder / "production" / "storage.mjs"))
    assert result == {
        "small": "from the web",
        "large": 600_000,
        "denied": "storage/unauthorized",
        "admin": "from an admin",
        "files": ["closed/y", "closed/z"],
        "signed": "from an admin",
        "written": 200,
        "anonymous": 401,
    }


def test_production_storage_clients_in_python(production: Production) -> None:
    result = production.result_of(sys.executable, str(HERE / "production" / "storage_client.py"))
    assert result == {
        "python": "from python",
        "signed": "from python",
        "admin": 600_000,
        "names": ["closed/admin"],
    }


CUSTOM_TOKEN_AUDIENCE = (
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 404),
        ({"aud": "https://firestore.googleapis.com/"}, 404),
        ({"aud": CUSTOM_TOKEN_AUDIENCE}, 401),
        ({"scope": "https://www.googleapis.com/auth/drive"}, 401),
        ({"exp": 1}, 401),
        ({"exp": 4_000_000_000}, 401),
        ({"iss": "other@homefire.iam.gserviceaccount.com"}, 401),
    ],
    ids=["scope", "audience", "a custom token", "other scope", "old", "too long", "other issuer"],
)
def test_production_self_signed_tokens_are_checked(
    change: dict[str, Any], status: int, production: Production
) -> None:
    """What a service account signs for users (custom tokens) must not pass for its own credential."""
    key = json.loads(Path(production.environment["HOMEFIRE_KEY"]).read_text())
    now, email = int(time.time()), key["client_email"]
    claims = {"iss": email, "sub": email, "iat": now, "exp": now + 600, **change}
    if "aud" not in claims and "scope" not in claims:
        claims["scope"] = "https://www.googleapis.com/auth/datastore"
    signer = crypt.RSASigner.from_service_account_info(key)
    token = jwt.encode(signer, claims).decode()
    trust = ssl.create_default_context(cafile=production.environment["REQUESTS_CA_BUNDLE"])
    answer = httpx2.get(
        f"https://{production.host}/v1/projects/homefire/databases/(default)/documents/closed/none",
        headers={"authorization": f"Bearer {token}"},
        verify=trust,
    )
    assert answer.status_code == status


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_production_browser(production: Production, node_folder: Path) -> None:
    result = production.result_of("node", str(node_folder / "production" / "browser.mjs"))
    assert result == {"browser": {"n": 4}, "counted": True, "stored": 600_000}
