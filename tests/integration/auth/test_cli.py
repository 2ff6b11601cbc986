import base64
import hashlib
import json
import stat
from pathlib import Path

import pytest
from argon2.low_level import Type, hash_secret_raw
from typer.testing import CliRunner

from baas.auth import foreign_hashes
from baas.cli import build

PASSWORD = "correct horse"
SALT = b"salt-salt"


def homefire(*words: str | Path, stdin: str = "", code: int = 0) -> str:
    """Run the command; answers what it printed."""
    texts = [str(word) for word in words]
    done = CliRunner().invoke(build(texts), texts, input=stdin)
    assert done.exit_code == code, done.output
    return done.output if code else done.stdout


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one account."""
    folder = tmp_path / "data"
    homefire("users", "create", "ada@example.com", "--data", folder, stdin=f"{PASSWORD}\n")
    return folder


def test_accounts_are_listed_changed_and_deleted(data: Path) -> None:
    uid = homefire("users", "list", "--data", data).split()[0]
    homefire("users", "update", uid, "--disabled", "--data", data)
    assert homefire("users", "list", "--data", data) == f"{uid} ada@example.com disabled\n"
    homefire("users", "delete", uid, "--data", data)
    assert homefire("users", "list", "--data", data) == ""


def test_an_export_is_imported_whole(data: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "users.json", tmp_path / "other"
    homefire("users", "export", file, "--data", data)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in file.read_text()
    assert "1 of 1" in homefire("users", "import", file, "--data", other)
    again = tmp_path / "again.json"
    homefire("users", "export", again, "--data", other)
    assert json.loads(again.read_text()) == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("flags", "made"),
    [
        (
            "--hash-algo STANDARD_SCRYPT --mem-cost 1024 --block-size 8 --parallelization 1 --dk-len 64",
            hashlib.scrypt(PASSWORD.encode(), salt=SALT, n=1024, r=8, p=1, dklen=64),
        ),
        (
            "--hash-algo SHA256 --rounds 1 --hash-input-order PASSWORD_FIRST",
            hashlib.sha256(PASSWORD.encode() + SALT).digest(),
        ),
        (
            "--hash-algo ARGON2_ID --mem-cost 64 --rounds 1 --parallelization 1",
            hash_secret_raw(PASSWORD.encode(), SALT, 1, 64, 1, 32, Type.ID),
        ),
    ],
)
def test_hashes_of_other_systems_are_imported(tmp_path: Path, flags: str, made: bytes) -> None:
    file, data, out = tmp_path / "users.json", tmp_path / "data", tmp_path / "out.json"
    password_hash, salt = (base64.b64encode(part).decode() for part in (made, SALT))
    user = {"localId": "ada", "email": "ada@example.com"}
    file.write_text(json.dumps({"users": [{**user, "passwordHash": password_hash, "salt": salt}]}))
    homefire("users", "import", file, *flags.split(), "--data", data)
    homefire("users", "export", out, "--data", data)
    (found,) = json.loads(out.read_text())["users"]
    assert foreign_hashes.verify(PASSWORD, found["homefirePasswordHash"])


@pytest.mark.parametrize("content", ["[]", "{}", '{"users": {}}'])
def test_a_file_without_accounts_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "users.json"
    file.write_text(content)
    refused = homefire("users", "import", file, "--data", tmp_path / "data", code=2)
    assert 'an object with a list "users"' in refused


def test_a_key_is_a_credential_that_admin_sdks_take(data: Path, tmp_path: Path) -> None:
    from google.oauth2 import service_account

    file = tmp_path / "key.json"
    email = homefire("keys", "create", file, "--name", "robot", "--data", data).split()[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    credentials = service_account.Credentials.from_service_account_file(str(file))
    assert credentials.service_account_email == email == "robot@homefire.iam.gserviceaccount.com"
    key_id = json.loads(file.read_text())["private_key_id"]
    assert homefire("keys", "list", "--data", data) == f"{key_id} {email} owner\n"
    assert "never overwritten" in homefire("keys", "create", file, "--data", data, code=2)
    homefire("keys", "delete", key_id, "--data", data)
    assert homefire("keys", "list", "--data", data) == ""


def test_the_sealing_key_is_rotated(data: Path) -> None:
    homefire("keys", "rotate-signing", "--data", data)
    before = (data / "secret.key").read_text()
    assert homefire("keys", "rotate-secret", "--data", data) == "1 secrets sealed anew\n"
    after = (data / "secret.key").read_text()
    assert before.strip() not in after
    homefire("keys", "rotate-signing", "--data", data)


def test_a_role_that_there_is_not_is_refused(data: Path, tmp_path: Path) -> None:
    words = ("keys", "create", tmp_path / "k.json", "--role", "king", "--data", data)
    assert "owner, editor, viewer" in homefire(*words, code=2)


def test_passwords_are_hashed_as_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEFIRE_PASSWORD_HASH_PASSES", "3")
    monkeypatch.setenv("HOMEFIRE_PASSWORD_HASH_MEMORY_KIB", "1024")
    data, file = tmp_path / "data", tmp_path / "users.json"
    homefire("users", "create", "ada@example.com", "--data", data, stdin=f"{PASSWORD}\n")
    homefire("users", "export", file, "--data", data)
    (user,) = json.loads(file.read_text())["users"]
    assert "m=1024,t=3," in user["homefirePasswordHash"]
