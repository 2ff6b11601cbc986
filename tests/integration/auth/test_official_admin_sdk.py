"""The official Admin SDK for Python as judge, over a real socket, in both modes."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import firebase_admin
import httpx2
import pytest
import uvicorn
from firebase_admin import _token_gen, _user_mgt, auth, credentials
from starlette.applications import Starlette

from baas.api import identity
from baas.auth.options import AuthOptions
from baas.auth.secret_box import SecretBox
from baas.auth.service import AuthService
from baas.auth.service_accounts import create_key
from baas.db.sqlite import SqliteDatabase
from tests.unit.auth.support import CHEAP, SECRET

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@contextmanager
def serving(path: Path, *, dev: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """A server on a thread of its own: its address, and a service account's key."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    told: queue.Queue[tuple[uvicorn.Server, dict[str, str]]] = queue.Queue()

    async def run() -> None:
        database = await SqliteDatabase.open(path)
        options = AuthOptions(dev=dev, default_project="demo", public_url=url, hashing=CHEAP)
        service = AuthService(database, options, SecretBox([SECRET]))
        now_ms = int(time.time() * 1_000)
        wanted = {"project": "demo", "name": "robot", "role": "owner"}
        key = await create_key(database, token_uri=f"{url}/token", now_ms=now_ms, **wanted)
        app = Starlette(routes=identity.routes(service))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        told.put((server, key))
        await server.serve(sockets=[listening])
        service.close()
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    server, key = told.get(timeout=20)
    try:
        yield url, key
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    """A database file of the test's own."""
    path = tmp_path / "homefire.db"
    path.write_bytes(migrated_file.read_bytes())
    return path


def sign_in_with(url: str, token: bytes) -> str:
    path = f"{url}/v1/accounts:signInWithCustomToken?key=any"
    answer = httpx2.post(path, json={"token": token.decode(), "returnSecureToken": True}).json()
    return str(answer["idToken"])


def test_in_development_mode_by_its_environment_variable(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(file, dev=True) as (url, _):
        monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", url.removeprefix("http://"))
        app = firebase_admin.initialize_app(options={"projectId": "demo"}, name="dev")
        try:
            user = auth.create_user(email="ada@example.com", password="correct horse", app=app)
            auth.set_custom_user_claims(user.uid, {"admin": True}, app=app)
            id_token = sign_in_with(url, auth.create_custom_token(user.uid, {"x": 1}, app=app))
            claims = auth.verify_id_token(id_token, app=app, check_revoked=True)
            assert (claims["uid"], claims["admin"], claims["x"]) == (user.uid, True, 1)
            cookie = auth.create_session_cookie(id_token, 3_600, app=app)
            assert auth.verify_session_cookie(cookie, app=app)["uid"] == user.uid
            assert "oobCode=" in auth.generate_password_reset_link("ada@example.com", app=app)
            assert [u.uid for u in auth.list_users(app=app).iterate_all()] == [user.uid]
            auth.delete_user(user.uid, app=app)
            with pytest.raises(auth.UserNotFoundError):
                auth.get_user(user.uid, app=app)
        finally:
            firebase_admin.delete_app(app)


def test_in_production_mode_with_a_service_account_key(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's Google addresses are constants: they are pointed here, as a proxy or a hosts file would."""
    with serving(file, dev=False) as (url, key):
        for owner in (_user_mgt.UserManager, _token_gen.TokenGenerator):
            monkeypatch.setattr(owner, "ID_TOOLKIT_URL", f"{url}/identitytoolkit.googleapis.com/v1")
        account = "securetoken@system.gserviceaccount.com"
        keys = f"{url}/robot/v1/metadata/x509/{account}"
        monkeypatch.setattr(_token_gen, "ID_TOKEN_CERT_URI", keys)
        monkeypatch.setattr(
            _token_gen, "COOKIE_CERT_URI", f"{url}/identitytoolkit/v3/relyingparty/publicKeys"
        )
        app = firebase_admin.initialize_app(credentials.Certificate(key), name="production")
        try:
            user = auth.create_user(email="ada@example.com", password="correct horse", app=app)
            id_token = sign_in_with(url, auth.create_custom_token(user.uid, {"x": 1}, app=app))
            claims = auth.verify_id_token(id_token, app=app, check_revoked=True)
            assert (claims["uid"], claims["x"]) == (user.uid, 1)
            with pytest.raises(auth.InvalidIdTokenError):
                auth.verify_id_token(id_token[:-4] + "AAAA", app=app)
            cookie = auth.create_session_cookie(id_token, 3_600, app=app)
            assert auth.verify_session_cookie(cookie, app=app)["uid"] == user.uid
            with pytest.raises(auth.InvalidIdTokenError):
                auth.verify_id_token(cookie, app=app)
        finally:
            firebase_admin.delete_app(app)
