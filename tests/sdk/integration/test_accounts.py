"""Signing up, in and out against a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from homefire.app import FirebaseApp
from homefire.auth import (
    Auth,
    User,
    create_user_with_email_and_password,
    delete_user,
    get_auth,
    on_auth_state_changed,
    on_id_token_changed,
    send_password_reset_email,
    sign_in_anonymously,
    sign_in_with_email_and_password,
    sign_out,
    update_password,
    update_profile,
)
from homefire.errors import AuthError


@pytest.fixture
def auth(app: FirebaseApp) -> Auth:
    return get_auth(app)


@pytest.fixture
def email(unique: str) -> str:
    return f"{unique}@example.com"


@pytest.fixture
def raises_code() -> Callable[[str], object]:
    return lambda code: pytest.raises(AuthError, check=lambda error: error.code == code)


PASSWORD = "secret-1"


async def test_sign_up_signs_in(auth: Auth, email: str) -> None:
    credential = await create_user_with_email_and_password(auth, email, PASSWORD)
    user = credential.user
    assert auth.current_user is user
    assert (user.email, user.display_name, user.is_anonymous) == (email, None, False)
    assert [info.provider_id for info in user.provider_data] == ["password"]
    assert user.metadata.creation_time is not None


async def test_sign_in_finds_the_same_account(auth: Auth, email: str) -> None:
    uid = (await create_user_with_email_and_password(auth, email, PASSWORD)).user.uid
    await sign_out(auth)
    assert auth.current_user is None
    assert (await sign_in_with_email_and_password(auth, email, PASSWORD)).user.uid == uid


async def test_refusals_have_firebase_s_codes(auth: Auth, email: str) -> None:
    await create_user_with_email_and_password(auth, email, PASSWORD)
    for call, code in (
        (create_user_with_email_and_password(auth, email, PASSWORD), "auth/email-already-in-use"),
        (create_user_with_email_and_password(auth, f"a{email}", "123"), "auth/weak-password"),
        (create_user_with_email_and_password(auth, "no", PASSWORD), "auth/invalid-email"),
        (sign_in_with_email_and_password(auth, email, "wrong-1"), "auth/invalid-credential"),
        (sign_in_with_email_and_password(auth, f"b{email}", PASSWORD), "auth/invalid-credential"),
    ):
        with pytest.raises(AuthError) as caught:
            await call
        assert caught.value.code == code


async def test_the_id_token_tells_who_it_is(auth: Auth, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    result = await user.get_id_token_result()
    assert result.claims["user_id"] == user.uid
    assert result.sign_in_provider == "password"
    assert (result.expiration_time - result.issued_at_time).total_seconds() == 3600


async def test_a_forced_refresh_tells_the_token_s_observers_only(auth: Auth, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    states: list[User | None] = []
    tokens: list[User | None] = []
    on_auth_state_changed(auth, states.append)
    on_id_token_changed(auth, tokens.append)
    await user.get_id_token()
    await user.get_id_token(True)
    await sign_out(auth)
    assert states == [user, None]
    assert tokens == [user, user, None]


async def test_profile_changes(auth: Auth, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    await update_profile(user, display_name="Ada", photo_url="http://example.com/a.png")
    assert (user.display_name, user.photo_url) == ("Ada", "http://example.com/a.png")
    await update_profile(user, display_name="")
    await user.reload()
    assert (user.display_name, user.photo_url) == (None, "http://example.com/a.png")


async def test_a_new_password_counts(auth: Auth, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    await update_password(user, "secret-2")
    await user.get_id_token(True)
    await sign_in_with_email_and_password(auth, email, "secret-2")
    with pytest.raises(AuthError, match="invalid-credential"):
        await sign_in_with_email_and_password(auth, email, PASSWORD)


async def test_a_deleted_account_is_gone(auth: Auth, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    await delete_user(user)
    assert auth.current_user is None
    with pytest.raises(AuthError, match="invalid-credential"):
        await sign_in_with_email_and_password(auth, email, PASSWORD)


async def test_a_user_deleted_elsewhere_is_signed_out(auth: Auth, email: str) -> None:
    here = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    other = (await sign_in_with_email_and_password(auth, email, PASSWORD)).user
    await here.delete()
    with pytest.raises(AuthError, match="auth/user-"):
        await other.get_id_token(True)
    assert auth.current_user is None


async def test_nobody_in_particular(auth: Auth) -> None:
    user = (await sign_in_anonymously(auth)).user
    assert user.is_anonymous
    assert user.email is None
    assert (await sign_in_anonymously(auth)).user is user


async def test_a_mail_to_reset_the_password(auth: Auth, email: str) -> None:
    await create_user_with_email_and_password(auth, email, PASSWORD)
    await send_password_reset_email(auth, email)
