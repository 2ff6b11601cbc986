"""Signing in with a provider in a real browser: the web SDK, our pages, a package's OpenID provider."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.integration.official.conftest import CACHE, start_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the provider's, of authlib
]

HERE = Path(__file__).parent
OFFICIAL_BROWSER = HERE.parent / "official" / "browser"


@dataclass
class Seen:
    """What the provider was asked, and what the app in the browser was told."""

    authorizations: list[dict[str, str]] = field(default_factory=list)
    exchanges: list[dict[str, str]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)


def _pairs(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _recording(app: Any, seen: Seen) -> Any:
    """The provider, with a look at its requests."""
    import io

    def watch(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path.endswith("/authorize") and environ["REQUEST_METHOD"] == "GET":
            seen.authorizations.append(_pairs(environ["QUERY_STRING"]))
        elif path.endswith("/token"):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            seen.exchanges.append(_pairs(body.decode()))
        return app(environ, start_response)

    return watch


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Everything of one run of the browser script."""
    if shutil.which("chromium") is None or shutil.which("node") is None:
        pytest.skip("chromium or node is not installed")
    if not (CACHE / "node_modules" / "firebase").is_dir():
        pytest.skip("the official SDKs are not installed: run scripts/install-node-clients.sh")
    with warnings.catch_warnings(record=True):  # it uses a part of authlib that is to go
        mock = pytest.importorskip("oidc_provider_mock")
    from werkzeug.serving import make_server

    seen = Seen()
    provider = make_server("localhost", 0, _recording(mock.app(require_nonce=True), seen), True)
    thread = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    issuer = f"http://localhost:{provider.server_port}"
    folder = tmp_path_factory.mktemp("popup")
    for source in (OFFICIAL_BROWSER, HERE / "browser"):
        shutil.copytree(source, folder / "browser", dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(CACHE / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flags = ["--set", f"providers=oidc.acme=our-app:hush@{issuer}"]
    production = start_server(folder / "production", *flags, port=port, dev=False)
    development = start_server(folder / "development")
    try:
        finished = subprocess.run(
            ["node", str(folder / "browser" / "providers.mjs")],
            env=os.environ
            | {"HOMEFIRE_URL": production.url, "HOMEFIRE_DEVELOPMENT_URL": development.url},
            capture_output=True,
            text=True,
            timeout=200,
        )
        found = re.search(r"^RESULT (.*)$", finished.stdout, re.MULTILINE)
        assert found, finished.stdout[-2000:] + finished.stderr[-3000:]
        seen.results = json.loads(found[1])
        seen.results["server"] = production.url
        yield seen
    finally:
        development.stop()
        production.stop()
        provider.shutdown()
        provider.server_close()
        thread.join(10)


def told(result: Any, *names: str) -> tuple[Any, ...]:
    assert "failed" not in result, result
    return tuple(result.get(name) for name in names)


def test_a_popup_signs_in_and_comes_back(seen: Seen) -> None:
    first, again = seen.results["popup"]
    wanted = ("ada@example.com", "oidc.acme", "signIn")
    assert told(first, "email", "provider", "operation", "isNew") == (*wanted, True)
    assert told(again, "email", "provider", "operation", "isNew") == (*wanted, False)
    assert first["uid"] == again["uid"]


def test_a_popup_links(seen: Seen) -> None:
    linked = seen.results["linking"]
    assert told(linked, "provider", "operation", "uid") == ("oidc.acme", "link", True)


def test_a_popup_reauthenticates_the_same_user_only(seen: Seen) -> None:
    same, other = seen.results["again"]
    assert told(same, "email", "operation") == ("eve@example.com", "reauthenticate")
    assert told(other, "error") == ("auth/user-mismatch",)


def test_a_redirect_links(seen: Seen) -> None:
    linked = seen.results["linkedByRedirect"]
    assert told(linked, "email", "operation", "uid") == ("dan@example.com", "link", True)


def test_a_refusal_at_the_provider_is_told(seen: Seen) -> None:
    assert told(seen.results["denied"], "error") == ("auth/user-cancelled",)


def test_a_redirect_signs_in_once(seen: Seen) -> None:
    first, again = seen.results["redirect"]
    assert told(first, "email", "operation") == ("cyd@example.com", "signIn")
    assert again is None


def test_a_provider_that_is_not_configured_is_told(seen: Seen) -> None:
    assert told(seen.results["unknown"], "error") == ("auth/operation-not-allowed",)


def test_an_answer_to_a_round_that_was_not_begun_here_is_refused(seen: Seen) -> None:
    assert "not begun in this window" in seen.results["forged"]


def test_development_mode_offers_made_up_users(seen: Seen) -> None:
    first, again = seen.results["development"]
    assert told(first, "email", "provider", "isNew") == ("dev@example.com", "google.com", True)
    assert told(again, "uid", "isNew") == (True, False)


def test_no_server_but_ours_and_the_providers_is_asked(seen: Seen) -> None:
    """Nothing of Google's is loaded; the provider of the package dresses its page from elsewhere."""
    assert set(seen.results["foreign"]) <= {"cdn.jsdelivr.net"}


def test_rounds_are_bound_by_state_nonce_and_pkce(seen: Seen) -> None:
    handler = f"{seen.results['server']}/__/auth/handler"
    challenges = {asked["code_challenge"] for asked in seen.authorizations}
    for name in ("state", "nonce", "code_challenge"):
        assert len({asked[name] for asked in seen.authorizations}) == len(seen.authorizations)
    for asked in seen.authorizations:
        assert (asked["redirect_uri"], asked["client_id"]) == (handler, "our-app")
        assert asked["code_challenge_method"] == "S256"
    assert seen.authorizations[0]["login_hint"] == "ada"
    assert len(seen.exchanges) == 8
    for form in seen.exchanges:
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() in challenges
        assert form["client_secret"] == "hush"
