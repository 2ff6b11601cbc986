"""firebase-admin for Python, its auth, in development mode: every call, by its environment variable alone."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

import firebase_admin
import httpx2
import pytest
from firebase_admin import auth

from tests.integration.official.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
PROJECT = "demo-python-admin"


@pytest.fixture(scope="module")
def app(server: Server) -> Iterator[firebase_admin.App]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIREBASE_AUTH_EMULATOR_HOST", server.address)
        made = firebase_admin.initialize_app(options={"projectId": PROJECT}, name="python-admin")
        yield made
        firebase_admin.delete_app(made)


@pytest.fixture
def user(app: firebase_admin.App) -> Any:
    return auth.create_user(email=address(), password="correct horse", app=app)


def address() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.com"


def number() -> str:
    return f"+1555{uuid.uuid4().int % 10**7:07}"


def call(server: Server, method: str, body: dict[str, Any], **scope: str) -> dict[str, Any]:
    """What an app in a user's hands would call."""
    answer = httpx2.post(
        f"{server.url}/identitytoolkit.googleapis.com/v1/accounts:{method}",
        json={"targetProjectId": PROJECT, "returnSecureToken": True, **body, **scope},
        headers={"authorization": "Bearer owner"},
        timeout=30,
    )
    found: dict[str, Any] = answer.json()
    return found


def custom_sign_in(server: Server, token: bytes, **scope: str) -> str:
    return str(call(server, "signInWithCustomToken", {"token": token.decode()}, **scope)["idToken"])


def test_python_admin_users_live(app: firebase_admin.App) -> None:
    email, phone = address(), number()
    made = auth.create_user(
        uid=f"ada-{uuid.uuid4().hex[:8]}",
        email=email,
        email_verified=True,
        phone_number=phone,
        display_name="Ada",
        photo_url="https://example.com/a.png",
        password="correct horse",
        app=app,
    )
    for found in (
        auth.get_user(made.uid, app=app),
        auth.get_user_by_email(email, app=app),
        auth.get_user_by_phone_number(phone, app=app),
    ):
        assert (found.uid, found.display_name, found.email_verified) == (made.uid, "Ada", True)
    assert {info.provider_id for info in made.provider_data} == {"password", "phone"}
    changed = auth.update_user(
        made.uid, display_name=auth.DELETE_ATTRIBUTE, phone_number=auth.DELETE_ATTRIBUTE, app=app
    )
    assert (changed.display_name, changed.phone_number) == (None, None)
    assert auth.update_user(made.uid, disabled=True, app=app).disabled
    auth.delete_user(made.uid, app=app)
    with pytest.raises(auth.UserNotFoundError):
        auth.get_user(made.uid, app=app)


def test_python_admin_mistakes_have_their_errors(app: firebase_admin.App, user: Any) -> None:
    with pytest.raises(auth.EmailAlreadyExistsError):
        auth.create_user(email=user.email, app=app)
    with pytest.raises(auth.UidAlreadyExistsError):
        auth.create_user(uid=user.uid, app=app)
    phone = number()
    auth.create_user(phone_number=phone, app=app)
    with pytest.raises(auth.PhoneNumberAlreadyExistsError):
        auth.create_user(phone_number=phone, app=app)
    with pytest.raises(auth.UserNotFoundError):
        auth.update_user("nobody", display_name="x", app=app)
    with pytest.raises(auth.UserNotFoundError):
        auth.set_custom_user_claims("nobody", {"a": 1}, app=app)


def test_python_admin_many_users_at_once(app: firebase_admin.App) -> None:
    uids = [f"many-{n}-{uuid.uuid4().hex[:6]}" for n in range(3)]
    for uid in uids:
        auth.create_user(uid=uid, app=app)
    asked = [auth.UidIdentifier(uid) for uid in (*uids, "nobody")]
    found = auth.get_users(asked, app=app)
    assert {each.uid for each in found.users} == set(uids)
    assert [each.uid for each in found.not_found] == ["nobody"]
    page = auth.list_users(max_results=2, app=app)
    assert len(page.users) == 2
    assert set(uids) <= {each.uid for each in page.iterate_all()} | {u.uid for u in page.users}
    deleted = auth.delete_users(uids, app=app)
    assert (deleted.success_count, deleted.failure_count) == (3, 0)


def test_python_admin_tokens_cookies_and_their_end(
    app: firebase_admin.App, server: Server, user: Any
) -> None:
    auth.set_custom_user_claims(user.uid, {"admin": True}, app=app)
    id_token = custom_sign_in(server, auth.create_custom_token(user.uid, {"x": 1}, app=app))
    claims = auth.verify_id_token(id_token, app=app, check_revoked=True)
    assert (claims["uid"], claims["admin"], claims["x"]) == (user.uid, True, 1)
    cookie = auth.create_session_cookie(id_token, 3_600, app=app)
    assert auth.verify_session_cookie(cookie, app=app, check_revoked=True)["uid"] == user.uid
    with pytest.raises(auth.InvalidIdTokenError):
        auth.verify_id_token(cookie, app=app)
    auth.update_user(user.uid, disabled=True, app=app)
    with pytest.raises(auth.UserDisabledError):
        auth.verify_id_token(id_token, app=app, check_revoked=True)


def test_python_admin_revocation_counts_from_now_on(
    app: firebase_admin.App, server: Server, user: Any
) -> None:
    id_token = custom_sign_in(server, auth.create_custom_token(user.uid, app=app))
    later = int(auth.verify_id_token(id_token, app=app)["auth_time"]) + 1
    auth.update_user(user.uid, valid_since=later, app=app)
    with pytest.raises(auth.RevokedIdTokenError):
        auth.verify_id_token(id_token, app=app, check_revoked=True)
    auth.revoke_refresh_tokens(user.uid, app=app)
    assert auth.get_user(user.uid, app=app).tokens_valid_after_timestamp >= later * 1_000 - 1_000


def test_python_admin_links(app: firebase_admin.App, server: Server, user: Any) -> None:
    settings = auth.ActionCodeSettings("http://localhost/done", handle_code_in_app=True)
    verify = auth.generate_email_verification_link(user.email, settings, app=app)
    reset = auth.generate_password_reset_link(user.email, settings, app=app)
    sign_in = auth.generate_sign_in_with_email_link(user.email, settings, app=app)
    for link, mode in ((verify, "verifyEmail"), (reset, "resetPassword"), (sign_in, "signIn")):
        query = httpx2.URL(link).params
        assert (query["mode"], query["continueUrl"]) == (mode, "http://localhost/done")
    code = httpx2.URL(verify).params["oobCode"]
    assert (
        call(server, "update", {"oobCode": code}).get("error") is not None
    )  # an administrator's call
    with pytest.raises(auth.UserNotFoundError):
        auth.generate_email_verification_link("nobody@example.com", settings, app=app)
    elsewhere = auth.ActionCodeSettings("http://localhost", link_domain="elsewhere.example")
    with pytest.raises(auth.InvalidHostingLinkDomainError):
        auth.generate_password_reset_link(user.email, elsewhere, app=app)


def test_python_admin_imports_foreign_hashes(app: firebase_admin.App, server: Server) -> None:
    salt, password, email = b"salt", "correct horse", address()
    made = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1_000)
    record = auth.ImportUserRecord(
        uid=f"import-{uuid.uuid4().hex[:8]}",
        email=email,
        password_hash=made,
        password_salt=salt,
        custom_claims={"imported": True},
        provider_data=[auth.UserProvider("g-1", "google.com", email)],
    )
    broken = auth.ImportUserRecord(uid=f"import-{uuid.uuid4().hex[:8]}", phone_number=number())
    hashing = auth.UserImportHash.pbkdf2_sha256(rounds=1_000)
    result = auth.import_users([record, broken], hash_alg=hashing, app=app)
    assert (result.success_count, result.failure_count) == (2, 0)
    signed_in = call(server, "signInWithPassword", {"email": email, "password": password})
    assert signed_in["localId"] == record.uid
    found = auth.get_users([auth.ProviderIdentifier("google.com", "g-1")], app=app)
    assert [each.uid for each in found.users] == [record.uid]


def test_python_admin_openid_providers(app: firebase_admin.App) -> None:
    name = f"oidc.{uuid.uuid4().hex[:8]}"
    made = auth.create_oidc_provider_config(
        name, "client", "https://oidc.example.com", display_name="Ours", enabled=True, app=app
    )
    assert (made.client_id, made.enabled, made.id_token_response_type) == ("client", True, True)
    changed = auth.update_oidc_provider_config(
        name,
        client_id="other",
        client_secret="hush",
        code_response_type=True,
        id_token_response_type=False,
        app=app,
    )
    assert (changed.client_id, changed.issuer) == ("other", "https://oidc.example.com")
    assert (changed.code_response_type, changed.id_token_response_type) == (True, False)
    listed = auth.list_oidc_provider_configs(app=app).iterate_all()
    assert name in [each.provider_id for each in listed]
    auth.delete_oidc_provider_config(name, app=app)
    with pytest.raises(auth.ConfigurationNotFoundError):
        auth.get_oidc_provider_config(name, app=app)


def test_python_admin_hash_settings_of_scrypt(app: firebase_admin.App, server: Server) -> None:
    password, salt, email = "correct horse", b"NaCl", address()
    made = hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1, dklen=64)
    record = auth.ImportUserRecord(
        uid=f"scrypt-{uuid.uuid4().hex[:8]}", email=email, password_hash=made, password_salt=salt
    )
    hashing = auth.UserImportHash.standard_scrypt(1024, 1, 8, 64)
    assert auth.import_users([record], hash_alg=hashing, app=app).failure_count == 0
    signed_in = call(server, "signInWithPassword", {"email": email, "password": password})
    assert signed_in["localId"] == record.uid
