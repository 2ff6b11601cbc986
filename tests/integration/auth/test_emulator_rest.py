import pytest

from baas.auth.messages import Outbox
from tests.integration.auth.support import Api

EMAIL = "ada@example.com"


@pytest.fixture
def dev(make_api) -> Api:
    """A server in development mode."""
    made: Api = make_api(dev=True)
    return made


async def test_codes_are_read_and_acted_upon(dev: Api) -> None:
    new = await dev.sign_up(EMAIL)
    await dev.call("sendOobCode", {"requestType": "VERIFY_EMAIL", "idToken": new["idToken"]})
    await dev.call("sendOobCode", {"requestType": "PASSWORD_RESET", "email": EMAIL})
    verify, reset = (await dev.client.get("/emulator/v1/projects/demo/oobCodes")).json()["oobCodes"]
    assert (verify["email"], verify["requestType"]) == (EMAIL, "VERIFY_EMAIL")
    path = verify["oobLink"].removeprefix("http://127.0.0.1:8080")
    assert path.startswith("/emulator/action?mode=verifyEmail&")
    done = (await dev.client.get(path)).json()
    assert done["authEmulator"]["email"] == EMAIL
    assert (await dev.client.get(path)).status_code == 400
    path = reset["oobLink"].removeprefix("http://127.0.0.1:8080")
    assert (await dev.client.get(path)).status_code == 400
    assert (await dev.client.get(f"{path}&newPassword=battery+staple")).status_code == 200
    await dev.call("signInWithPassword", {"email": EMAIL, "password": "battery staple"})


async def test_accounts_are_cleared(dev: Api) -> None:
    new = await dev.sign_up(EMAIL)
    assert (await dev.client.delete("/emulator/v1/projects/demo/accounts")).json() == {}
    assert await dev.error("lookup", {"idToken": new["idToken"]}) == "USER_NOT_FOUND"


async def test_enumeration_protection_is_switched(dev: Api) -> None:
    config = {"emailPrivacyConfig": {"enableImprovedEmailPrivacy": False}}
    response = await dev.client.patch("/emulator/v1/projects/demo/config", json=config)
    assert response.json()["emailPrivacyConfig"] == config["emailPrivacyConfig"]
    body = {"email": EMAIL, "password": "whatever"}
    assert await dev.error("signInWithPassword", body) == "EMAIL_NOT_FOUND"
    await dev.sign_up(EMAIL)
    body = {"identifier": EMAIL, "continueUri": "http://localhost"}
    answer = await dev.call("createAuthUri", body)
    assert (answer["registered"], answer["signinMethods"]) == (True, ["password"])


async def test_a_project_is_reset_wholly(dev: Api) -> None:
    await dev.sign_up(EMAIL)
    await dev.call("sendOobCode", {"requestType": "PASSWORD_RESET", "email": EMAIL})
    assert (await dev.client.delete("/emulator/v1/projects/demo/auth")).status_code == 200
    assert (await dev.client.get("/emulator/v1/projects/demo/oobCodes")).json() == {"oobCodes": []}
    await dev.sign_up(EMAIL)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("DELETE", "/emulator/v1/projects/demo/accounts"),
        ("GET", "/emulator/v1/projects/demo/oobCodes"),
        ("GET", "/emulator/v1/projects/demo/verificationCodes"),
        ("GET", "/emulator/v1/projects/demo/config"),
        ("DELETE", "/emulator/v1/projects/demo/auth"),
        ("GET", "/emulator/action"),
    ],
)
async def test_production_has_none_of_it(make_api, verb: str, path: str) -> None:
    api = make_api(mail=Outbox())
    assert (await api.client.request(verb, path)).status_code == 404
