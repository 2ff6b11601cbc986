import base64
import hashlib
from typing import Any

import pytest
from jose import jwt

from baas.auth.service_accounts import CUSTOM_TOKEN_AUDIENCE, create_key, delete_key
from tests.integration.auth.support import Api, assertion

EMAIL, PASSWORD = "ada@example.com", "correct horse"


async def new_key(api: Api) -> dict[str, str]:
    """A key of its own, to be deleted."""
    return await create_key(
        api.service.context.database,
        project="demo",
        name="robot",
        role="owner",
        token_uri="http://127.0.0.1:8080/token",
        now_ms=0,
    )


async def test_create_find_change_delete(api: Api) -> None:
    await api.admin("/accounts", {"localId": "ada", "email": EMAIL, "password": PASSWORD})
    change = {
        "localId": "ada",
        "displayName": "Ada",
        "phoneNumber": "+43 660 1234567",
        "customAttributes": '{"admin": true}',
        "emailVerified": True,
    }
    await api.admin("/accounts:update", change)
    for query in (
        {"localId": ["ada"]},
        {"email": ["ADA@example.com"]},
        {"phoneNumber": ["+436601234567"]},
    ):
        (user,) = (await api.admin("/accounts:lookup", query))["users"]
        assert (user["localId"], user["displayName"]) == ("ada", "Ada")
    signed_in = await api.call("signInWithPassword", {"email": EMAIL, "password": PASSWORD})
    claims = jwt.get_unverified_claims(signed_in["idToken"])
    assert claims["admin"] is True
    assert claims["phone_number"] == "+436601234567"
    await api.admin("/accounts:delete", {"localId": "ada"})
    assert "users" not in await api.admin("/accounts:lookup", {"localId": ["ada"]})


async def test_a_disabled_user_is_locked_out(api: Api) -> None:
    new = await api.sign_up(EMAIL)
    await api.admin("/accounts:update", {"localId": new["localId"], "disableUser": True})
    body = {"email": EMAIL, "password": PASSWORD}
    assert await api.error("signInWithPassword", body) == "USER_DISABLED"
    assert await api.error("lookup", {"idToken": new["idToken"]}) == "USER_DISABLED"
    form = {"grant_type": "refresh_token", "refresh_token": new["refreshToken"]}
    response = await api.client.post("/v1/token", data=form)
    assert response.json()["error"]["message"] == "USER_DISABLED"


async def test_revoking_ends_sessions(api: Api) -> None:
    new = await api.sign_up(EMAIL)
    api.clock.advance(10)
    since = str(int(api.clock()))
    await api.admin("/accounts:update", {"localId": new["localId"], "validSince": since})
    assert await api.error("lookup", {"idToken": new["idToken"]}) == "TOKEN_EXPIRED"
    form = {"grant_type": "refresh_token", "refresh_token": new["refreshToken"]}
    response = await api.client.post("/v1/token", data=form)
    assert response.json()["error"]["message"] == "TOKEN_EXPIRED"


async def test_users_are_listed_in_pages(api: Api) -> None:
    users = [{"localId": f"u{number:03}"} for number in range(25)]
    await api.admin("/accounts:batchCreate", {"users": users})
    seen, token = [], ""
    for _ in range(3):
        page = await api.admin(
            f"/accounts:batchGet?maxResults=10&nextPageToken={token}", verb="GET"
        )
        seen += [user["localId"] for user in page["users"]]
        token = page.get("nextPageToken", "")
    assert seen == [user["localId"] for user in users]
    assert token == ""


async def test_imported_hashes_sign_in_and_are_upgraded(api: Api) -> None:
    salt, rounds = b"pepper", 5
    made = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, rounds, 32)
    user = {
        "localId": "ada",
        "email": EMAIL,
        "passwordHash": base64.urlsafe_b64encode(made).decode(),
        "salt": base64.urlsafe_b64encode(salt).decode(),
        "providerUserInfo": [{"providerId": "google.com", "rawId": "123", "email": EMAIL}],
    }
    body = {"users": [user], "hashAlgorithm": "PBKDF2_SHA256", "rounds": rounds}
    assert "error" not in await api.admin("/accounts:batchCreate", body)
    wrong = {"email": EMAIL, "password": "wrong"}
    assert await api.error("signInWithPassword", wrong) == "INVALID_LOGIN_CREDENTIALS"
    await api.call("signInWithPassword", {"email": EMAIL, "password": PASSWORD})
    from baas.auth import accounts
    from tests.unit.auth.support import SCOPE

    account = await api.service.context.database.read(lambda tx: accounts.by_uid(tx, SCOPE, "ada"))
    assert (account.password_hash or "").startswith("$argon2id$")
    assert account.identities[0].raw_id == "123"
    await api.call("signInWithPassword", {"email": EMAIL, "password": PASSWORD})


async def test_cleared_claims_read_as_an_empty_object(api: Api) -> None:
    await api.admin("/accounts", {"localId": "ada"})
    for claims in ('{"role":"editor"}', "{}"):
        await api.admin("/accounts:update", {"localId": "ada", "customAttributes": claims})
        (user,) = (await api.admin("/accounts:lookup", {"localId": ["ada"]}))["users"]
        assert user["customAttributes"] == claims


async def test_ways_in_are_told_in_the_order_of_production(api: Api) -> None:
    google = {"providerId": "google.com", "rawId": "123"}
    whole = {"localId": "a", "email": EMAIL, "rawPassword": PASSWORD, "providerUserInfo": [google]}
    without_address = {"localId": "b", "rawPassword": PASSWORD, "phoneNumber": "+15555550101"}
    users = [{**whole, "phoneNumber": "+15555550100"}, without_address]
    await api.admin("/accounts:batchCreate", {"users": users})
    found = (await api.admin("/accounts:lookup", {"localId": ["a", "b"]}))["users"]
    told = [[info["providerId"] for info in user["providerUserInfo"]] for user in found]
    assert told == [["google.com", "phone", "password"], ["phone"]]


async def test_a_bad_user_fails_alone(api: Api) -> None:
    users = [{"localId": "ok"}, {"localId": ""}, {"localId": "x", "email": "no"}, {"localId": "y"}]
    answer = await api.admin("/accounts:batchCreate", {"users": users})
    assert [error["index"] for error in answer["error"]] == [1, 2]
    found = await api.admin("/accounts:lookup", {"localId": ["ok", "x", "y"]})
    assert {user["localId"] for user in found["users"]} == {"ok", "y"}


async def test_many_are_deleted_if_disabled_or_forced(api: Api) -> None:
    users = [{"localId": "a"}, {"localId": "b", "disabled": True}]
    await api.admin("/accounts:batchCreate", {"users": users})
    answer = await api.admin("/accounts:batchDelete", {"localIds": ["a", "b", "none"]})
    assert [error["index"] for error in answer["errors"]] == [0]
    assert await api.admin("/accounts:batchDelete", {"localIds": ["a"], "force": True}) == {}


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ('{"sub": 1}', "FORBIDDEN_CLAIM : sub"),
        ("[]", "INVALID_CLAIMS"),
        ("{", "INVALID_CLAIMS"),
        ('{"x": "' + "y" * 1000 + '"}', "CLAIMS_TOO_LARGE"),
    ],
)
async def test_bad_custom_claims_are_refused(api: Api, claims: str, message: str) -> None:
    await api.admin("/accounts", {"localId": "ada"})
    response = await api.post(
        "/v1/projects/demo/accounts:update",
        {"localId": "ada", "customAttributes": claims},
        headers={"authorization": f"Bearer {await api.admin_token()}"},
    )
    assert response.json()["error"]["message"] == message


ADMIN_CALLS = [
    ("POST", "/accounts"),
    ("POST", "/accounts:lookup"),
    ("POST", "/accounts:update"),
    ("POST", "/accounts:delete"),
    ("POST", "/accounts:batchDelete"),
    ("POST", "/accounts:batchCreate"),
    ("GET", "/accounts:batchGet"),
    ("POST", "/accounts:query"),
    ("POST", "/accounts:sendOobCode"),
    ("POST", ":createSessionCookie"),
]


@pytest.mark.parametrize(("verb", "path"), ADMIN_CALLS)
async def test_administrators_calls_are_closed_to_others(api: Api, verb: str, path: str) -> None:
    user = await api.sign_up(EMAIL)
    other = await api.admin_token(project="other")
    for token, status in (
        (None, 401),
        ("owner", 401),
        (user["idToken"], 403),
        (other, 401),
        ("hf.guess", 401),
    ):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        response = await api.client.request(verb, f"/v1/projects/demo{path}", headers=headers)
        assert response.status_code == status, token


async def test_a_viewer_only_reads(api: Api) -> None:
    headers = {"authorization": f"Bearer {await api.admin_token('viewer')}"}
    response = await api.client.get("/v1/projects/demo/accounts:batchGet", headers=headers)
    assert response.status_code == 200
    response = await api.post("/v1/projects/demo/accounts", {"localId": "x"}, headers=headers)
    assert response.status_code == 403


async def test_a_key_is_exchanged_for_an_access_token(api: Api) -> None:
    key = api.keys["owner", "demo"]
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion(key, api.clock()),
    }
    answer = (await api.client.post("/token", data=form)).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3_600)
    headers = {"authorization": f"Bearer {answer['access_token']}"}
    url = "/v1/projects/demo/accounts:batchGet"
    assert (await api.client.get(url, headers=headers)).status_code == 200
    api.clock.advance(3_600)
    assert (await api.client.get(url, headers=headers)).status_code == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://evil.example/token"},
        {"iss": "other@demo.iam.gserviceaccount.com"},
        {"exp": 1},
        {"exp": 2_000_000_000},
        {"iat": 1_800_000_000, "exp": 1_800_000_100},
    ],
)
async def test_a_bad_assertion_is_refused(api: Api, changed: dict[str, Any]) -> None:
    key = api.keys["owner", "demo"]
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion(key, api.clock(), **changed),
    }
    response = await api.client.post("/token", data=form)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


async def test_deleting_a_key_ends_its_tokens(api: Api) -> None:
    key = await new_key(api)
    token, _ = await api.service.service_accounts.exchange(assertion(key, api.clock()))
    await delete_key(api.service.context.database, key["private_key_id"])
    response = await api.client.get(
        "/v1/projects/demo/accounts:batchGet", headers={"authorization": f"Bearer {token}"}
    )
    assert response.status_code == 401


def custom_token(key: dict[str, str], now: float, **changed: Any) -> str:
    return assertion(key, now, **{"aud": CUSTOM_TOKEN_AUDIENCE, "uid": "robot-made", **changed})


async def test_a_custom_token_signs_in(api: Api) -> None:
    key = api.keys["owner", "demo"]
    token = custom_token(key, api.clock(), claims={"level": 7})
    new = await api.call("signInWithCustomToken", {"token": token})
    assert (new["isNewUser"], new["localId"]) == (True, "robot-made")
    claims = jwt.get_unverified_claims(new["idToken"])
    assert claims["level"] == 7
    assert claims["firebase"]["sign_in_provider"] == "custom"
    form = {"grant_type": "refresh_token", "refresh_token": new["refreshToken"]}
    renewed = (await api.client.post("/v1/token", data=form)).json()
    assert jwt.get_unverified_claims(renewed["id_token"])["level"] == 7


async def test_a_custom_tokens_claims_outlive_a_sensitive_change(api: Api) -> None:
    token = custom_token(api.keys["owner", "demo"], api.clock(), claims={"level": 7})
    new = await api.call("signInWithCustomToken", {"token": token})
    body = {"idToken": new["idToken"], "password": "battery staple", "returnSecureToken": True}
    changed = await api.call("update", body)
    assert jwt.get_unverified_claims(changed["idToken"])["level"] == 7
    form = {"grant_type": "refresh_token", "refresh_token": changed["refreshToken"]}
    renewed = (await api.client.post("/v1/token", data=form)).json()
    assert jwt.get_unverified_claims(renewed["id_token"])["level"] == 7


async def test_a_claim_that_was_taken_away_does_not_live_on_in_a_session(api: Api) -> None:
    """The old ID token still says it; a renewed session must not believe that token."""
    user = await api.sign_up(EMAIL)
    body = {"localId": user["localId"], "customAttributes": '{"admin": true}'}
    await api.admin("/accounts:update", body)
    sign_in = {"email": EMAIL, "password": "correct horse"}
    before = await api.call("signInWithPassword", sign_in)
    assert jwt.get_unverified_claims(before["idToken"])["admin"] is True
    await api.admin("/accounts:update", body | {"customAttributes": "{}"})
    changed = await api.call("update", {"idToken": before["idToken"], "password": "new secret"})
    assert "admin" not in jwt.get_unverified_claims(changed["idToken"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"aud": "x"}, "INVALID_CUSTOM_TOKEN"),
        ({"uid": ""}, "INVALID_CUSTOM_TOKEN"),
        ({"uid": 5}, "INVALID_CUSTOM_TOKEN"),
        ({"exp": 1}, "INVALID_CUSTOM_TOKEN"),
        ({"claims": {"sub": "x"}}, "FORBIDDEN_CLAIM"),
        ({"tenant_id": "other"}, "TENANT_ID_MISMATCH"),
    ],
)
async def test_a_bad_custom_token_is_refused(
    api: Api, changed: dict[str, Any], message: str
) -> None:
    token = custom_token(api.keys["owner", "demo"], api.clock(), **changed)
    assert (await api.error("signInWithCustomToken", {"token": token})).startswith(message)


async def test_another_projects_key_makes_no_custom_tokens_here(api: Api) -> None:
    token = custom_token(api.keys["owner", "other"], api.clock())
    assert await api.error("signInWithCustomToken", {"token": token}) == "CREDENTIAL_MISMATCH"


async def test_unsigned_custom_tokens_are_for_development(api: Api) -> None:
    from baas.auth.tokens import unsigned

    token = unsigned({"aud": CUSTOM_TOKEN_AUDIENCE, "uid": "x", "iss": "y"})
    message = await api.error("signInWithCustomToken", {"token": token})
    assert message.startswith("INVALID_CUSTOM_TOKEN")


async def test_a_session_cookie_is_no_id_token(api: Api) -> None:
    new = await api.sign_up(EMAIL)
    body = {"idToken": new["idToken"], "validDuration": "86400"}
    cookie = (await api.admin(":createSessionCookie", body))["sessionCookie"]
    claims = await api.service.context.tokens.verify_session_cookie(cookie, "demo")
    assert claims["iss"] == "https://session.firebase.google.com/demo"
    assert claims["exp"] - claims["iat"] == 86_400
    assert (await api.error("lookup", {"idToken": cookie})).startswith("INVALID_ID_TOKEN")
    from baas.errors import Unauthenticated

    with pytest.raises(Unauthenticated, match="issuer"):
        await api.service.context.tokens.verify_session_cookie(new["idToken"], "demo")


async def test_a_tenant_has_test_phone_numbers_of_its_own(api: Api) -> None:
    first, second = {"+15555550100": "123456"}, {"+15555550101": "654321"}
    made = await api.admin("/tenants", {"testPhoneNumbers": first}, version="v2")
    assert made["testPhoneNumbers"] == first
    path = made["name"].removeprefix("projects/demo") + "?updateMask=testPhoneNumbers"
    changed = await api.admin(path, {"testPhoneNumbers": second}, verb="PATCH", version="v2")
    assert changed["testPhoneNumbers"] == second


async def test_tenants_come_and_go(api: Api) -> None:
    made = await api.admin(
        "/tenants", {"displayName": "Acme", "allowPasswordSignup": True}, version="v2"
    )
    name = made["name"].removeprefix("projects/demo")
    tenant = name.removeprefix("/tenants/")
    body = {"email": EMAIL, "password": PASSWORD, "tenantId": tenant}
    new = await api.call("signUp", body)
    assert jwt.get_unverified_claims(new["idToken"])["firebase"]["tenant"] == tenant
    listed = await api.admin(f"{name}/accounts:batchGet", verb="GET")
    assert [user["tenantId"] for user in listed["users"]] == [tenant]
    assert "users" not in await api.admin("/accounts:batchGet", verb="GET")
    tenants = await api.admin("/tenants", verb="GET", version="v2")
    assert [t["displayName"] for t in tenants["tenants"]] == ["Acme"]
    await api.admin(name, verb="DELETE", version="v2")
    assert await api.error("signUp", body) == "TENANT_NOT_FOUND"
