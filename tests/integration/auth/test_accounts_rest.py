from typing import Any

import pytest

EMAIL, PASSWORD = "ada@example.com", "correct horse"


async def test_sign_up_sign_in_lookup_update_refresh_delete(api) -> None:
    new = await api.call(
        "signUp", {"email": EMAIL, "password": PASSWORD, "returnSecureToken": True}
    )
    assert new["kind"] == "identitytoolkit#SignupNewUserResponse"
    assert (new["email"], new["expiresIn"]) == (EMAIL, "3600")
    back = await api.call("signInWithPassword", {"email": EMAIL, "password": PASSWORD})
    assert back["registered"] is True
    assert back["localId"] == new["localId"]

    changed = await api.call("update", {"idToken": back["idToken"], "displayName": "Ada"})
    assert changed["displayName"] == "Ada"
    assert "idToken" not in changed
    (user,) = (await api.call("lookup", {"idToken": back["idToken"]}))["users"]
    assert user["localId"] == new["localId"]
    assert user["displayName"] == "Ada"
    assert user["emailVerified"] is False
    assert user["passwordHash"] == "UkVEQUNURUQ="
    assert user["providerUserInfo"] == [
        {
            "providerId": "password",
            "email": EMAIL,
            "federatedId": EMAIL,
            "rawId": EMAIL,
            "displayName": "Ada",
        }
    ]
    form = {"grant_type": "refresh_token", "refresh_token": back["refreshToken"]}
    renewed = (await api.client.post("/v1/token?key=any", data=form)).json()
    assert renewed["user_id"] == new["localId"]
    assert renewed["project_id"] == "demo"
    assert (renewed["token_type"], renewed["expires_in"]) == ("Bearer", "3600")
    assert renewed["access_token"] == renewed["id_token"]
    await api.call("delete", {"idToken": renewed["id_token"]})
    assert await api.error("lookup", {"idToken": back["idToken"]}) == "USER_NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/accounts:signUp",
        "/identitytoolkit.googleapis.com/v1/accounts:signUp",
        "/www.googleapis.com/identitytoolkit/v3/relyingparty/signupNewUser",
    ],
)
async def test_old_and_prefixed_addresses_answer(api, path: str) -> None:
    response = await api.post(f"{path}?key=any", {"returnSecureToken": True})
    assert response.status_code == 200
    assert response.json()["idToken"]


async def test_the_token_address_takes_json_too(api) -> None:
    new = await api.call("signUp", {})
    body = {"grantType": "refresh_token", "refreshToken": new["refreshToken"]}
    response = await api.post("/securetoken.googleapis.com/v1/token", body)
    assert response.json()["user_id"] == new["localId"]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "MISSING_GRANT_TYPE"),
        ({"grant_type": "password"}, "INVALID_GRANT_TYPE"),
        ({"grant_type": "refresh_token"}, "MISSING_REFRESH_TOKEN"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "INVALID_REFRESH_TOKEN"),
    ],
)
async def test_a_bad_refresh_is_refused(api, form: dict[str, str], message: str) -> None:
    response = await api.client.post("/v1/token", data=form)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == message


async def test_an_error_has_identity_toolkits_envelope(api) -> None:
    await api.sign_up(EMAIL)
    response = await api.post("/v1/accounts:signUp", {"email": EMAIL, "password": PASSWORD})
    assert response.status_code == 400
    assert response.json() == {
        "error": {
            "code": 400,
            "message": "EMAIL_EXISTS",
            "errors": [{"message": "EMAIL_EXISTS", "domain": "global", "reason": "invalid"}],
        }
    }


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("signUp", {"email": EMAIL}, "MISSING_PASSWORD"),
        ("signUp", {"password": PASSWORD}, "MISSING_EMAIL"),
        ("signUp", {"email": "x", "password": PASSWORD}, "INVALID_EMAIL"),
        ("signInWithPassword", {"email": EMAIL}, "MISSING_PASSWORD"),
        (
            "signInWithPassword",
            {"email": EMAIL, "password": "whatever"},
            "INVALID_LOGIN_CREDENTIALS",
        ),
        ("lookup", {}, "MISSING_ID_TOKEN"),
        ("delete", {}, "MISSING_ID_TOKEN"),
    ],
)
async def test_bad_input_is_named(api, method: str, body: dict[str, Any], message: str) -> None:
    assert await api.error(method, body) == message


async def test_a_bad_id_token_is_refused(api) -> None:
    assert (await api.error("lookup", {"idToken": "x.y.z"})).startswith("INVALID_ID_TOKEN")
    new = await api.sign_up()
    api.clock.advance(4_000)
    assert (await api.error("lookup", {"idToken": new["idToken"]})).startswith("TOKEN_EXPIRED")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": 1, "password": PASSWORD}, "email"),
        ({"email": EMAIL, "password": ["x"]}, "password"),
        ({"email": EMAIL, "password": PASSWORD, "displayName": {}}, "displayName"),
        ({"email": EMAIL, "password": PASSWORD, "tenantId": True}, "tenantId"),
    ],
)
async def test_a_field_of_the_wrong_type_is_named(api, body: dict[str, Any], field: str) -> None:
    response = await api.post("/v1/accounts:signUp", body)
    error = response.json()["error"]
    assert (response.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert f"'{field}'" in error["message"]
    found = await api.call("signUp", {"email": EMAIL, "password": PASSWORD})
    assert found["localId"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b'{"email": "a' + b"[" * 5_000])
async def test_a_body_that_is_no_json_object_is_refused(api, body: bytes) -> None:
    response = await api.client.post("/v1/accounts:signUp", content=body)
    error = response.json()["error"]
    assert (response.status_code, error["status"]) == (400, "INVALID_ARGUMENT")


async def test_a_body_that_is_too_large_is_refused(api) -> None:
    response = await api.client.post("/v1/accounts:signUp", content=b" " * 300_000)
    assert response.status_code == 413
    assert response.json()["error"]["status"] == "RESOURCE_EXHAUSTED"


async def test_an_api_key_names_its_project(make_api) -> None:
    api = make_api(api_keys={"AIzaOne": "one", "AIzaTwo": "two"})
    body = {"email": EMAIL, "password": PASSWORD}
    for key in ("AIzaOne", "AIzaTwo"):
        response = await api.post(f"/v1/accounts:signUp?key={key}", body)
        assert response.status_code == 200
    response = await api.post("/v1/accounts:signUp?key=other", body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("API key not valid")


async def test_the_public_keys_are_served(api) -> None:
    new = await api.call("signUp", {})
    kid = (await api.service.context.keys.public_keys())[0].key_id
    jwks = (await api.client.get("/.well-known/jwks.json")).json()
    assert [key["kid"] for key in jwks["keys"]] == [kid]
    account = "securetoken@system.gserviceaccount.com"
    response = await api.client.get(f"/robot/v1/metadata/x509/{account}")
    assert response.json()[kid].startswith("-----BEGIN CERTIFICATE-----")
    assert "max-age" in response.headers["cache-control"]
    assert b"d" not in {key for entry in jwks["keys"] for key in entry}
    assert new["idToken"]


async def test_google_auth_verifies_our_tokens_with_our_certificates(make_api) -> None:
    import time

    from google.auth import jwt as google_jwt

    api = make_api()
    api.clock.now = time.time()
    new = await api.sign_up()
    account = "securetoken@system.gserviceaccount.com"
    certificates = (await api.client.get(f"/robot/v1/metadata/x509/{account}")).json()
    claims = google_jwt.decode(new["idToken"], certs=certificates, audience="demo")
    assert claims["sub"] == new["localId"]
