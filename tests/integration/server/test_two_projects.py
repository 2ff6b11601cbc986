"""A production server of two projects: what belongs to one of them is nothing to the other."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as gcs
from google.oauth2 import service_account

from baas.api.admin import MAX_BODY
from tests.support.server import ROOT, serving

STORAGE_RULES = """
rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /public/{name=**} { allow read: if true; }
    match /users/{uid}/{name=**} { allow read: if request.auth.uid == uid; }
  }
}
"""
BUCKET = "one.appspot.com"


class World:
    """The server, and the key files that were made before it started."""

    def __init__(self, address: str, keys: Path) -> None:
        self.address = address
        self._keys = keys
        self.http = httpx2.Client(base_url=address, timeout=30)

    def sign_up(self, key: str, **more: str) -> httpx2.Response:
        body = {"returnSecureToken": True, **more}
        return self.http.post(f"/v1/accounts:signUp?key={key}", json=body)

    def signed_url(self, account: str, method: str, name: str) -> str:
        """A URL as the official client signs it with a key file."""
        signer = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
            self._keys / f"{account}.json"
        )
        client = gcs.Client(project="one", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
        url: str = (
            client.bucket(BUCKET)
            .blob(name)
            .generate_signed_url(
                version="v4",
                method=method,
                expiration=dt.timedelta(minutes=5),
                credentials=signer,
                api_access_endpoint=self.address,
            )
        )
        client.close()
        return url


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("two-projects")
    data, rules = folder / "data", folder / "storage.rules"
    rules.write_text(STORAGE_RULES)
    for name, role in (("older", "editor"), ("newer", "editor"), ("viewer", "viewer")):
        account = "uploads" if role == "editor" else "looks"
        flags = ["--data", str(data), "--project", "one", "--name", account, "--role", role]
        command = [sys.executable, "-m", "baas.cli", "keys", "create", str(folder / f"{name}.json")]
        subprocess.run([*command, *flags], check=True, cwd=ROOT, capture_output=True)
    flags = ["--project", "one", "--set", "api_keys=k1=one,k2=two", "--storage-rules", str(rules)]
    with serving(data, *flags) as server:
        world = World(server.address, folder)
        yield world
        world.http.close()


def error_of(response: httpx2.Response) -> Any:
    return response.json()["error"]["message"]


def test_nobody_signs_up_in_a_project_that_is_not_served(world: World) -> None:
    for answer, code in (
        (world.sign_up("k1", targetProjectId="elsewhere"), "INSUFFICIENT_PERMISSION"),
        (world.http.post("/v1/projects/elsewhere/accounts", json={}), "CONFIGURATION_NOT_FOUND"),
    ):
        assert answer.status_code == 400
        assert error_of(answer).startswith(code)


def test_a_refresh_token_is_exchanged_with_a_key_of_its_project_only(world: World) -> None:
    token = world.sign_up("k1").json()["refreshToken"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert error_of(world.http.post("/v1/token?key=k2", data=form)) == "PROJECT_NUMBER_MISMATCH"
    assert world.http.post("/v1/token?key=unknown", data=form).status_code == 400
    assert world.http.post("/v1/token?key=k1", data=form).status_code == 200


def test_administrators_calls_have_bounded_bodies_before_anybody_is_asked_who_calls(
    world: World,
) -> None:
    answer = world.http.post("/v1/projects/one/rulesets", content=b" " * (MAX_BODY + 1))
    assert answer.status_code == 413


def test_a_prefix_lists_no_more_than_the_folder_around_it_may(world: World) -> None:
    """``users/1`` begins the names of user 1 and of user 10."""
    for name in ("users/1/a", "users/10/b", "public/c", "publication/d"):
        put = world.http.put(world.signed_url("newer", "PUT", name), content=b"x")
        assert put.status_code == 200
    listing = f"/v0/b/{BUCKET}/o?delimiter=&prefix="
    allowed = world.http.get(listing + quote("public/", safe=""))
    assert [item["name"] for item in allowed.json()["items"]] == ["public/c"]
    for prefix in ("public", "publi", ""):
        assert world.http.get(listing + prefix).status_code == 403


@pytest.mark.parametrize("account", ["older", "newer"])
def test_every_key_of_an_editor_signs_uploads(world: World, account: str) -> None:
    put = world.http.put(world.signed_url(account, "PUT", "signed"), content=account.encode())
    assert put.status_code == 200
    assert world.http.get(world.signed_url(account, "GET", "signed")).content == account.encode()


def test_a_viewers_urls_let_nobody_upload(world: World) -> None:
    put = world.http.put(world.signed_url("viewer", "PUT", "refused"), content=b"x")
    assert (put.status_code, put.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert world.http.get(world.signed_url("viewer", "GET", "refused")).status_code == 404


def test_key_files_are_private(world: World) -> None:
    assert json.loads(Path(world._keys / "older.json").read_text())["project_id"] == "one"
    assert (world._keys / "older.json").stat().st_mode & 0o077 == 0
