"""Who is signed in, and how their tokens stay fresh, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from homefire._transport.messages import HttpRequest, HttpResponse, TransportError
from homefire.app import FirebaseApp, initialize_app
from homefire.auth import (
    Auth,
    User,
    connect_auth_emulator,
    create_user_with_email_and_password,
    get_auth,
    on_auth_state_changed,
    on_id_token_changed,
    sign_in_with_email_and_password,
    sign_out,
)
from homefire.errors import AuthError

from tests.sdk.doubles import Recorder, answer, refusal, token


class Accounts:
    """Identity Toolkit, as far as these tests need it."""

    def __init__(self) -> None:
        self.serial = 0
        self.lifetime = "3600"
        self.refusal: HttpResponse | None = None
        self.refreshes = 0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.refusal is not None:
            return self.refusal
        if request.url.split("?")[0].endswith("/v1/token"):
            self.refreshes += 1
            self.serial += 1
            fresh = {"id_token": token(serial=self.serial), "refresh_token": f"r{self.serial}"}
            return answer({**fresh, "expires_in": self.lifetime, "user_id": "u1"})
        body = json.loads(request.content)
        if ":lookup" in request.url:
            return answer({"users": [{"localId": "u1", "email": "a@b.c"}]})
        uid = body.get("email", "u1")
        tokens = {"idToken": token(uid), "refreshToken": "r0", "expiresIn": self.lifetime}
        return answer({"localId": uid, **tokens})


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def transport(accounts: Accounts) -> Recorder:
    return Recorder(accounts)


@pytest.fixture
def app(transport: Recorder) -> FirebaseApp:
    options = {"project_id": "demo", "api_key": "k/1", "host": "http://server"}
    return initialize_app(options, f"app-{uuid4()}", transport=transport)


@pytest.fixture
def auth(app: FirebaseApp) -> Auth:
    return get_auth(app)


async def signed_in(auth: Auth) -> User:
    return (await sign_in_with_email_and_password(auth, "a@b.c", "secret")).user


async def test_calls_carry_the_key_and_firebase_s_paths(auth: Auth, transport: Recorder) -> None:
    await create_user_with_email_and_password(auth, "a@b.c", "secret")
    signed_up, looked_up = transport.requests
    path = "http://server/identitytoolkit.googleapis.com/v1/accounts"
    assert signed_up.url == f"{path}:signUp?key=k%2F1"
    assert looked_up.url == f"{path}:lookup?key=k%2F1"
    assert json.loads(signed_up.content) == {
        "email": "a@b.c",
        "password": "secret",
        "returnSecureToken": True,
    }


async def test_a_fresh_token_is_not_asked_for_again(auth: Auth, accounts: Accounts) -> None:
    user = await signed_in(auth)
    assert await user.get_id_token() == await user.get_id_token()
    assert accounts.refreshes == 0


async def test_a_token_near_its_end_is_refreshed_by_itself(
    auth: Auth, accounts: Accounts, transport: Recorder
) -> None:
    accounts.lifetime = "299"
    user = await signed_in(auth)
    accounts.lifetime = "3600"
    assert await user.get_id_token() == token(serial=1)
    assert transport.last.url == "http://server/securetoken.googleapis.com/v1/token?key=k%2F1"
    assert transport.last.content == b"grant_type=refresh_token&refresh_token=r0"
    assert user.refresh_token == "r1"


async def test_many_who_wait_for_a_refresh_share_one(auth: Auth, accounts: Accounts) -> None:
    accounts.lifetime = "0"
    user = await signed_in(auth)
    accounts.lifetime = "3600"
    tokens = await asyncio.gather(*(user.get_id_token() for _ in range(5)))
    assert set(tokens) == {token(serial=1)}
    assert accounts.refreshes == 1


@pytest.mark.parametrize("word", ["TOKEN_EXPIRED", "USER_DISABLED", "INVALID_REFRESH_TOKEN"])
async def test_a_user_whose_token_is_no_good_for_ever_is_signed_out(
    auth: Auth, accounts: Accounts, word: str
) -> None:
    user = await signed_in(auth)
    accounts.refusal = refusal(400, word)
    with pytest.raises(AuthError):
        await user.get_id_token(True)
    assert auth.current_user is None


async def test_a_refresh_that_failed_on_the_way_keeps_the_user(
    auth: Auth, transport: Recorder
) -> None:
    user = await signed_in(auth)

    def down(request: HttpRequest) -> HttpResponse:
        raise TransportError("no route", sent=False)

    transport.respond = down
    with pytest.raises(AuthError, match="auth/network-request-failed"):
        await user.get_id_token(True)
    assert auth.current_user is user


@pytest.mark.parametrize(
    ("response", "code", "message"),
    [
        (refusal(400, "EMAIL_EXISTS"), "auth/email-already-in-use", "already in use"),
        (
            refusal(400, "WEAK_PASSWORD : Password should be at least 6 characters"),
            "auth/weak-password",
            "Password should be at least 6 characters",
        ),
        (refusal(429, "slow down"), "auth/too-many-requests", "slow down"),
        (refusal(429, "too many", "RESOURCE_EXHAUSTED"), "auth/too-many-requests", "Too many"),
        (refusal(400, "API key not valid."), "auth/invalid-api-key", "API key not valid."),
        (refusal(400, "NEWS : of the day"), "auth/internal-error", "NEWS : of the day"),
        (HttpResponse(502, {}, b"<html>"), "auth/internal-error", "HTTP 502"),
        (HttpResponse(200, {}, b"<html>"), "auth/network-request-failed", "not JSON"),
        (answer([]), "auth/internal-error", "not a JSON object"),
        (answer({}), "auth/internal-error", "lacks the user's tokens"),
    ],
)
async def test_refusals_and_nonsense_have_codes(
    auth: Auth, accounts: Accounts, response: HttpResponse, code: str, message: str
) -> None:
    accounts.refusal = response
    with pytest.raises(AuthError) as caught:
        await signed_in(auth)
    assert caught.value.code == code
    assert message in caught.value.message
    assert auth.current_user is None


async def test_an_observer_is_told_the_present_first(auth: Auth) -> None:
    heard: list[User | None] = []
    on_auth_state_changed(auth, heard.append)
    assert heard == []
    user = await signed_in(auth)
    await sign_out(auth)
    assert heard == [None, user, None]


async def test_an_observer_may_be_asynchronous_and_may_fail(
    auth: Auth, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[User | None] = []

    async def observe(user: User | None) -> None:
        heard.append(user)
        raise LookupError("the app's own trouble")

    on_auth_state_changed(auth, observe)
    user = await signed_in(auth)
    assert heard == [None, user]
    assert "the app's own trouble" in caplog.text


async def test_signing_in_as_the_same_user_changes_the_token_only(auth: Auth) -> None:
    states: list[User | None] = []
    tokens: list[User | None] = []
    await signed_in(auth)
    on_auth_state_changed(auth, states.append)
    on_id_token_changed(auth, tokens.append)
    await signed_in(auth)
    assert len(states) == 1
    assert len(tokens) == 2


async def test_an_observer_that_has_left_is_told_nothing(auth: Auth) -> None:
    heard: list[User | None] = []
    unsubscribe = on_auth_state_changed(auth, heard.append)
    unsubscribe()
    unsubscribe()
    await signed_in(auth)
    assert heard == []


def test_observing_before_the_event_loop_runs_waits_for_the_first_change(auth: Auth) -> None:
    heard: list[User | None] = []
    on_auth_state_changed(auth, heard.append)
    user = asyncio.run(signed_in(auth))
    assert heard == [user]


async def test_auth_may_live_elsewhere(auth: Auth, transport: Recorder) -> None:
    connect_auth_emulator(auth, "http://elsewhere:9099/")
    await signed_in(auth)
    assert transport.last.url.startswith("http://elsewhere:9099/identitytoolkit")
    with pytest.raises(AuthError):
        connect_auth_emulator(auth, "ftp://elsewhere")


@pytest.fixture(autouse=True)
def no_app_is_left(app: FirebaseApp) -> Iterator[None]:
    yield
    from homefire.app import _registry

    _registry.apps.pop(app.name, None)
