"""A server started with settings: they reach what they are about."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jose import jwt

from tests.support.server import serving
from tests.unit.auth.smtp import SmtpServer

EMAIL, PASSWORD = "ada@example.com", "correct horse"


@contextmanager
def mail_server() -> Iterator[SmtpServer]:
    """A mail server on a thread of its own."""
    server, ready, stop = SmtpServer(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        ready.set()
        async with listening:
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def sms_service() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An operator's service for short messages: its address, and the signatures and bodies that it got."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.headers["x-homefire-signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/sms", got
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def settings(**values: object) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def post(url: str, method: str, body: dict[str, Any], **options: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/v1/accounts:{method}", json=body, timeout=20, **options)


def test_keys_choose_projects_and_mails_leave(tmp_path: Path) -> None:
    with mail_server() as mails:
        flags = settings(
            api_keys="k1=homefire,k2=second",
            smtp_host="127.0.0.1",
            smtp_port=mails.port,
            smtp_tls="none",
            smtp_sender="Ours <auth@ours.example>",
            password_hash_passes=1,
            password_hash_memory_kib=64,
        )
        with serving(tmp_path / "data", *flags) as server:
            body = {"email": EMAIL, "password": PASSWORD}
            for key, project in (("k1", "homefire"), ("k2", "second")):
                new = post(server.address, "signUp", body, params={"key": key}).json()
                assert jwt.get_unverified_claims(new["idToken"])["aud"] == project
            refused = post(server.address, "signUp", body, params={"key": "k3"})
            assert refused.status_code == 400
            assert refused.json()["error"]["message"].startswith("API key not valid")
            ask = {"requestType": "PASSWORD_RESET", "email": EMAIL}
            assert post(server.address, "sendOobCode", ask, params={"key": "k2"}).status_code == 200
    (mail,) = mails.mails
    assert (mail["To"], mail["From"]) == (EMAIL, "Ours <auth@ours.example>")


def test_short_messages_leave_through_a_signed_webhook(tmp_path: Path) -> None:
    secret = "of the two of us"
    with sms_service() as (url, got):
        flags = settings(sms_webhook_url=url, sms_webhook_secret=secret)
        with serving(tmp_path / "data", *flags) as server:
            ask = {"phoneNumber": "+15555550100"}
            session = post(server.address, "sendVerificationCode", ask).json()["sessionInfo"]
            ((signed, body),) = got
            moment = signed.split(",")[0].removeprefix("t=")
            text = f"{moment}.".encode() + body
            digest = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
            assert signed == f"t={moment},v1={digest}"
            code = json.loads(body)["code"]
            new = post(
                server.address, "signInWithPhoneNumber", {"sessionInfo": session, "code": code}
            )
            assert new.json()["phoneNumber"] == "+15555550100"


def test_without_a_mail_server_production_says_so(tmp_path: Path) -> None:
    flags = settings(password_hash_passes=1, password_hash_memory_kib=64)
    with serving(tmp_path / "data", *flags) as server:
        assert any("smtp_host" in line for line in server.log)
        post(server.address, "signUp", {"email": EMAIL, "password": PASSWORD})
        answer = post(
            server.address, "sendOobCode", {"requestType": "PASSWORD_RESET", "email": EMAIL}
        )
        assert (answer.status_code, answer.json()["error"]["status"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("named", ["allow_sign_up", "limit_sign_ups_per_hour"])
def test_sign_up_is_closed_or_limited(named: str, tmp_path: Path) -> None:
    """Behind a trusted proxy, each client's address has a count of its own."""
    values: dict[str, object] = {"allow_sign_up": "false", "limit_sign_ups_per_hour": 1}
    flags = settings(trusted_proxies="127.0.0.1", **{named: values[named]})
    with serving(tmp_path / "data", *flags) as server:
        answers = [
            post(server.address, "signUp", {}, headers={"x-forwarded-for": f"9.9.9.9, {address}"})
            for address in ("1.1.1.1", "1.1.1.1", "2.2.2.2")
        ]
    told = [answer.json().get("error", {}).get("message", "") for answer in answers]
    if named == "allow_sign_up":
        assert told == ["ADMIN_ONLY_OPERATION"] * 3
    else:
        assert [words.split(" ")[0] for words in told] == ["", "TOO_MANY_ATTEMPTS_TRY_LATER", ""]
