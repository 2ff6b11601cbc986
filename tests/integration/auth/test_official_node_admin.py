"""The official Admin SDK for Node as judge, in production mode over TLS, with a key of ``homefire keys``."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.official.conftest import CACHE, start_server
from tests.unit.grpc.certificates import self_signed

HERE = Path(__file__).parent


def test_in_production_mode_with_a_service_account_key(tmp_path: Path) -> None:
    if shutil.which("node") is None or not (CACHE / "node_modules" / "firebase-admin").is_dir():
        pytest.skip("the official SDKs are not installed: run scripts/install-node-clients.sh")
    certificate, key = self_signed(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"https://localhost:{port}"
    account, data = tmp_path / "key.json", tmp_path / "data"
    flags = ["--set", f"tls_certificate={certificate}", "--set", f"tls_key={key}"]
    flags += ["--set", f"public_url={address}"]
    command = [sys.executable, "-m", "baas.cli", "keys", "create", str(account)]
    subprocess.run(
        [*command, "--data", str(data)],
        check=True,
        cwd=HERE.parents[2],
        env=os.environ | {"HOMEFIRE_PUBLIC_URL": address},
    )
    shutil.copy(HERE / "node" / "admin.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(CACHE / "node_modules")
    server = start_server(data, *flags, port=port, dev=False)
    try:
        finished = subprocess.run(
            ["node", str(tmp_path / "admin.mjs")],
            env=os.environ
            | {
                "HOMEFIRE_URL": address,
                "HOMEFIRE_KEY": str(account),
                "NODE_EXTRA_CA_CERTS": str(certificate),
            },
            capture_output=True,
            text=True,
            timeout=90,
        )
    finally:
        server.stop()
    found = re.search(r"^RESULT (.*)$", finished.stdout, re.MULTILINE)
    assert found, finished.stdout[-2000:] + finished.stderr[-3000:]
    assert json.loads(found[1]) == {
        "claims": [True, True, 1],
        "cookie": True,
        "link": True,
        "listed": 1,
        "forged": "auth/argument-error",
        "gone": "auth/user-not-found",
    }
