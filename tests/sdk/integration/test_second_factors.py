"""Authenticator apps as second factors, on a real server."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pyotp
import pytest
from homefire.app import FirebaseApp
from homefire.auth import (
    Auth,
    AuthError,
    EmailAuthProvider,
    MultiFactorError,
    TotpMultiFactorGenerator,
    TotpSecret,
    User,
    apply_action_code,
    create_user_with_email_and_password,
    get_auth,
    get_id_token_result,
    get_multi_factor_resolver,
    multi_factor,
    reauthenticate_with_credential,
    reload,
    send_email_verification,
    sign_in_with_email_and_password,
    sign_out,
)

from tests.sdk.conftest import PROJECT, Server

PASSWORD = "secret-1"
STEP = 30
"""Seconds for which an app shows a code; each works once, and the next one is taken early."""


@pytest.fixture
def auth(app: FirebaseApp) -> Auth:
    return get_auth(app)


@pytest.fixture
def email(unique: str) -> str:
    return f"{unique}@example.com"


async def verified_user(auth: Auth, server: Server, email: str) -> User:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    await send_email_verification(user)
    with urlopen(f"{server.host}/emulator/v1/projects/{PROJECT}/oobCodes") as answer:
        codes = json.load(answer)["oobCodes"]
    await apply_action_code(auth, next(each["oobCode"] for each in codes if each["email"] == email))
    await reload(user)
    return user


async def enrol(user: User) -> TotpSecret:
    secret = await TotpMultiFactorGenerator.generate_secret(await multi_factor(user).get_session())
    assertion = TotpMultiFactorGenerator.assertion_for_enrollment(secret, code(secret))
    await multi_factor(user).enroll(assertion, "Phone app")
    return secret


def code(secret: TotpSecret, *, ahead: int = 0) -> str:
    return pyotp.TOTP(secret.secret_key).at(int(time.time()) + ahead * STEP)


async def test_an_app_is_enrolled_and_then_needed_to_sign_in(
    auth: Auth, open_server: Server, email: str
) -> None:
    user = await verified_user(auth, open_server, email)
    assert multi_factor(user).enrolled_factors == ()
    secret = await enrol(user)
    (factor,) = multi_factor(user).enrolled_factors
    assert (factor.factor_id, factor.display_name) == ("totp", "Phone app")
    assert factor.enrollment_time is not None
    await sign_out(auth)

    with pytest.raises(MultiFactorError) as needed:
        await sign_in_with_email_and_password(auth, email, PASSWORD)
    assert needed.value.code == "auth/multi-factor-auth-required"
    assert auth.current_user is None
    resolver = get_multi_factor_resolver(auth, needed.value)
    assert [hint.uid for hint in resolver.hints] == [factor.uid]

    wrong = f"{(int(code(secret, ahead=1)) + 1) % 1_000_000:06}"
    with pytest.raises(AuthError, match="auth/invalid-verification-code"):
        await resolver.resolve_sign_in(
            TotpMultiFactorGenerator.assertion_for_sign_in(factor.uid, wrong)
        )
    right = code(secret, ahead=1)
    signed_in = await resolver.resolve_sign_in(
        TotpMultiFactorGenerator.assertion_for_sign_in(factor.uid, right)
    )
    assert (signed_in.user.uid, signed_in.operation_type) == (user.uid, "signIn")
    assert auth.current_user is signed_in.user
    claims = (await get_id_token_result(signed_in.user)).claims
    assert claims["firebase"]["sign_in_second_factor"] == "totp"
    assert await signed_in.user.get_id_token(True)


async def test_a_user_signs_in_again_with_the_second_factor(
    auth: Auth, open_server: Server, email: str
) -> None:
    user = await verified_user(auth, open_server, email)
    secret = await enrol(user)
    with pytest.raises(MultiFactorError) as needed:
        await reauthenticate_with_credential(user, EmailAuthProvider.credential(email, PASSWORD))
    assert needed.value.operation_type == "reauthenticate"
    resolver = get_multi_factor_resolver(auth, needed.value)
    again = await resolver.resolve_sign_in(
        TotpMultiFactorGenerator.assertion_for_sign_in(resolver.hints[0].uid, code(secret, ahead=1))
    )
    assert (again.user, again.operation_type) == (user, "reauthenticate")


async def test_a_factor_that_is_taken_away_is_not_asked_for(
    auth: Auth, open_server: Server, email: str
) -> None:
    user = await verified_user(auth, open_server, email)
    await enrol(user)
    (factor,) = multi_factor(user).enrolled_factors
    await multi_factor(user).unenroll(factor)
    assert multi_factor(user).enrolled_factors == ()
    signed_in = await sign_in_with_email_and_password(auth, email, PASSWORD)
    assert signed_in.user.uid == user.uid
    with pytest.raises(AuthError, match="auth/multi-factor-info-not-found"):
        await multi_factor(signed_in.user).unenroll(factor.uid)


async def test_the_secret_is_shown_as_an_address_for_apps_and_not_in_logs(
    auth: Auth, open_server: Server, email: str
) -> None:
    user = await verified_user(auth, open_server, email)
    secret = await TotpMultiFactorGenerator.generate_secret(await multi_factor(user).get_session())
    address = urlsplit(secret.generate_qr_code_url(issuer="My Blog"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    asked = {key: values[0] for key, values in parse_qs(address.query).items()}
    assert asked == {
        "secret": secret.secret_key,
        "issuer": "My Blog",
        "algorithm": "SHA1",
        "digits": "6",
    }
    assert (secret.code_length, secret.code_interval_seconds) == (6, STEP)
    assert secret.secret_key not in repr(secret)


async def test_what_does_not_fit_is_refused(auth: Auth, open_server: Server, email: str) -> None:
    user = (await create_user_with_email_and_password(auth, email, PASSWORD)).user
    with pytest.raises(AuthError, match="auth/unverified-email"):
        await enrol(user)
    with pytest.raises(AuthError, match="auth/argument-error"):
        get_multi_factor_resolver(auth, AuthError("auth/wrong-password", "No."))
    for_sign_in = TotpMultiFactorGenerator.assertion_for_sign_in("some-factor", "123456")
    with pytest.raises(AuthError, match="auth/argument-error"):
        await multi_factor(user).enroll(for_sign_in)
