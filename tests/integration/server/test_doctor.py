"""``homefire doctor``: lost bytes and an old SQLite are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jose import jwt

from baas.cli.doctor import sqlite_report
from tests.integration.server.conftest import EXAMPLE_RULES
from tests.support.server import ROOT, Client, serving


def doctor(data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "baas.cli", "doctor", "--data", str(data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def used_folder(tmp_path: Path) -> Path:
    """A folder with a document and an object, its server stopped."""
    with serving(tmp_path, *EXAMPLE_RULES) as server, Client(server.address) as anonymous:
        with anonymous.signed_up() as ada:
            assert ada.create("posts", "p", n={"integerValue": "1"}).status_code == 200
            token = ada.http.headers["authorization"].removeprefix("Bearer ")
            uid = jwt.get_unverified_claims(token)["sub"]
            uploaded = ada.http.post(
                f"{server.address}/v0/b/homefire.appspot.com/o",
                params={"name": f"images/{uid}/a.png", "uploadType": "media"},
                headers={"content-type": "image/png"},
                content=b"bytes",
            )
            assert uploaded.status_code == 200, uploaded.text
    return tmp_path


def test_a_sound_folder_has_no_problems(used_folder: Path) -> None:
    assert doctor(used_folder).returncode == 0


def test_bytes_that_are_missing_are_told(used_folder: Path) -> None:
    for blob in (used_folder / "objects").rglob("*"):
        if blob.is_file() and blob.read_bytes() == b"bytes":
            blob.unlink()
    examined = doctor(used_folder)
    assert examined.returncode == 1
    assert "a.png are missing" in examined.stdout


@pytest.mark.parametrize(
    ("version", "warned"),
    [((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 51, 3), False)],
)
def test_a_sqlite_that_can_corrupt_files_is_told(version: tuple[int, ...], warned: bool) -> None:
    assert ("checkpoint at once" in sqlite_report(version)) is warned
