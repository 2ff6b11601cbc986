"""Credentials, mailed links, sent codes, and several ways to sign in to one account, on a real server."""

from __future__ import annotations

import json
from urllib.request import urlopen

import pytest
from homefire.app import FirebaseApp
from homefire.auth import (
    Auth,
    AuthError,
    EmailAuthProvider,
    GoogleAuthProvider,
    PhoneAuthProvider,
    apply_action_code,
    check_action_code,
    create_user_with_email_and_password,
    fetch_sign_in_methods_for_email,
    get_additional_user_info,
    get_auth,
    get_id_token_result,
    is_sign_in_with_email_link,
    link_with_credential,
    link_with_phone_number,
    reauthenticate_with_credential,
    send_password_reset_email,
    send_sign_in_link_to_email,
    sign_in_anonymously,
    sign_in_with_credential,
    sign_in_with_email_link,
    sign_in_with_phone_number,
    sign_out,
    unlink,
    update_current_user,
    update_phone_number,
    verify_before_update_email,
)

from tests.sdk.conftest import PROJECT, Server

PASSWORD = "secret-1"
PAGE = {"url": "http://localhost/app", "handle_code_in_app": True}


@pytest.fixture
def auth(app: FirebaseApp) -> Auth:
    return get_auth(app)


@pytest.fixture
def email(unique: str) -> str:
    return f"{unique}@example.com"


@pytest.fixture
def phone(unique: str) -> str:
    return f"+1555{int(unique[:12], 36) % 10_000_000:07}"


def sent(server: Server, kind: str, recipient: str) -> dict[str, str]:
    """The newest message to somebody, as development mode keeps it."""
    with urlopen(f"{server.host}/emulator/v1/projects/{PROJECT}/{kind}") as answer:
        messages = json.load(answer)[kind]
    keys = ("newEmail", "email", "phoneNumber")
    found = [each for each in messages if recipient in map(each.get, keys)]
    return dict(found[-1])


def google(subject: str, email: str) -> str:
    """An ID token as development mode takes it."""
    return json.dumps({"sub": subject, "email": email, "email_verified": True})


async def test_a_password_is_a_credential(auth: Auth, email: str) -> None:
    uid = (await create_user_with_email_and_password(auth, email, PASSWORD)).user.uid
    await sign_out(auth)
    signed_in = await sign_in_with_credential(auth, EmailAuthProvider.credential(email, PASSWORD))
    assert (signed_in.user.uid, signed_in.operation_type) == (uid, "signIn")
    assert auth.current_user is signed_in.user
    assert get_additional_user_info(signed_in).is_new_user is False


async def test_what_google_gave_signs_in(auth: Auth, unique: str, email: str) -> None:
    credential = GoogleAuthProvider.credential(google(unique, email))
    first = await sign_in_with_credential(auth, credential)
    info = get_additional_user_info(first)
    assert (info.is_new_user, info.provider_id) == (True, "google.com")
    assert info.profile["email"] == email
    assert (await get_id_token_result(first.user)).sign_in_provider == "google.com"
    assert not get_additional_user_info(await sign_in_with_credential(auth, credential)).is_new_user


async def test_an_anonymous_user_becomes_permanent(auth: Auth, email: str) -> None:
    user = (await sign_in_anonymously(auth)).user
    uid, credential = user.uid, EmailAuthProvider.credential(email, PASSWORD)
    linked = await link_with_credential(user, credential)
    assert (linked.user, linked.operation_type) == (user, "link")
    assert (user.uid, user.is_anonymous, user.email) == (uid, False, email)
    with pytest.raises(AuthError) as refused:
        await link_with_credential(user, credential)
    assert refused.value.code == "auth/provider-already-linked"


async def test_providers_are_linked_and_unlinked(auth: Auth, unique: str, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    await link_with_credential(user, GoogleAuthProvider.credential(google(unique, email)))
    assert {info.provider_id for info in user.provider_data} == {"password", "google.com"}
    assert (await unlink(user, "google.com")).provider_data == user.provider_data
    assert [info.provider_id for info in user.provider_data] == ["password"]
    with pytest.raises(AuthError) as refused:
        await unlink(user, "google.com")
    assert refused.value.code == "auth/no-such-provider"


async def test_a_credential_of_another_account_is_not_linked(
    auth: Auth, unique: str, email: str
) -> None:
    credential = GoogleAuthProvider.credential(google(unique, f"google-{email}"))
    await sign_in_with_credential(auth, credential)
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    with pytest.raises(AuthError) as refused:
        await link_with_credential(user, credential)
    assert refused.value.code == "auth/credential-already-in-use"


async def test_only_the_same_user_reauthenticates(auth: Auth, email: str) -> None:
    await create_user_with_email_and_password(auth, f"other-{email}", PASSWORD)
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    again = await reauthenticate_with_credential(
        user, EmailAuthProvider.credential(email, PASSWORD)
    )
    assert (again.user, again.operation_type) == (user, "reauthenticate")
    for address, password, code in (
        (f"other-{email}", PASSWORD, "auth/user-mismatch"),
        (email, "wrong-1", "auth/invalid-credential"),
    ):
        credential = EmailAuthProvider.credential(address, password)
        with pytest.raises(AuthError) as refused:
            await reauthenticate_with_credential(user, credential)
        assert refused.value.code == code
    assert auth.current_user is user


async def test_a_mailed_link_signs_in(auth: Auth, open_server: Server, email: str) -> None:
    await send_sign_in_link_to_email(auth, email, PAGE)
    link = sent(open_server, "oobCodes", email)["oobLink"]
    assert is_sign_in_with_email_link(auth, link)
    user = (await sign_in_with_email_link(auth, email, link)).user
    assert (user.email, user.email_verified) == (email, True)
    with pytest.raises(AuthError) as refused:
        await sign_in_with_email_link(auth, email, link)
    assert refused.value.code == "auth/invalid-action-code"


async def test_a_link_to_sign_in_is_the_app_s_to_redeem(auth: Auth, email: str) -> None:
    with pytest.raises(AuthError) as refused:
        await send_sign_in_link_to_email(auth, email, {"url": "http://localhost/app"})
    assert refused.value.code == "auth/argument-error"
    assert not is_sign_in_with_email_link(auth, "http://localhost/app")


async def test_a_code_tells_what_it_is_for(auth: Auth, open_server: Server, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    await send_password_reset_email(auth, email, {"url": "http://localhost/app"})
    info = await check_action_code(auth, sent(open_server, "oobCodes", email)["oobCode"])
    assert (info.operation, info.email) == ("PASSWORD_RESET", email)
    await verify_before_update_email(user, f"new-{email}")
    code = sent(open_server, "oobCodes", f"new-{email}")["oobCode"]
    info = await check_action_code(auth, code)
    assert (info.operation, info.email) == ("VERIFY_AND_CHANGE_EMAIL", f"new-{email}")
    assert info.previous_email == email
    await apply_action_code(auth, code)
    credential = EmailAuthProvider.credential(f"new-{email}", PASSWORD)
    assert (await sign_in_with_credential(auth, credential)).user.uid == user.uid


async def test_a_code_sent_to_a_phone_signs_in_and_links(
    auth: Auth, open_server: Server, phone: str
) -> None:
    confirmation = await sign_in_with_phone_number(auth, phone)
    code = sent(open_server, "verificationCodes", phone)["code"]
    with pytest.raises(AuthError) as refused:
        await confirmation.confirm("000000" if code != "000000" else "000001")
    assert refused.value.code == "auth/invalid-verification-code"
    user = (await confirmation.confirm(code)).user
    assert user.phone_number == phone
    credential = PhoneAuthProvider.credential("never-sent", code)
    with pytest.raises(AuthError) as refused:
        await sign_in_with_credential(auth, credential)
    assert refused.value.code == "auth/invalid-verification-id"


async def test_a_phone_is_linked_and_its_number_changed(
    auth: Auth, open_server: Server, email: str, phone: str
) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    confirmation = await link_with_phone_number(user, phone)
    linked = await confirmation.confirm(sent(open_server, "verificationCodes", phone)["code"])
    assert (linked.user, linked.operation_type) == (user, "link")
    assert {info.provider_id for info in user.provider_data} == {"password", "phone"}
    other = f"{phone[:-1]}{(int(phone[-1]) + 1) % 10}"
    verification_id = (await sign_in_with_phone_number(auth, other)).verification_id
    code = sent(open_server, "verificationCodes", other)["code"]
    await update_phone_number(user, PhoneAuthProvider.credential(verification_id, code))
    assert (user.phone_number, auth.current_user) == (other, user)


async def test_the_ways_of_an_address_are_hidden(auth: Auth, email: str) -> None:
    await create_user_with_email_and_password(auth, email, PASSWORD)
    assert await fetch_sign_in_methods_for_email(auth, email) == []


async def test_another_user_is_made_the_current_one(auth: Auth, email: str) -> None:
    first = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    second = (await create_user_with_email_and_password(auth, f"b-{email}", PASSWORD)).user
    assert auth.current_user is second
    await update_current_user(auth, first)
    assert auth.current_user is first
    await update_current_user(auth, None)
    assert auth.current_user is None
