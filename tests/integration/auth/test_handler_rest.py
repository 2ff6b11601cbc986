"""The page that the web SDK opens to sign in with a provider: what it refuses, and whom it tells what."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from baas.auth.messages import Outbox
from baas.auth.options import Provider
from tests.integration.auth.provider import CLIENT, ISSUER, OpenIdProvider
from tests.integration.auth.support import Api

ASKED = {
    "apiKey": "k",
    "appName": "[DEFAULT]",
    "authType": "signInViaPopup",
    "eventId": "1",
    "providerId": "oidc.example",
    "redirectUrl": "http://localhost:3000/app?x=1",
}


@pytest.fixture
async def api(make_api) -> Api:
    """A server in production mode with a provider of its settings."""
    idp = OpenIdProvider()
    made: Api = make_api(
        mail=Outbox(),
        outgoing=idp,
        providers={"oidc.example": Provider("oidc.example", CLIENT, "hush", ISSUER)},
    )
    idp.now = made.clock()
    return made


async def page(api: Api, status: int = 200, headers: Any = None, **changed: str) -> str:
    params = {**ASKED, **changed}
    answer = await api.client.get("/__/auth/handler", params=params, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.text


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found, text
    data: dict[str, Any] = json.loads(found[1])
    return data


def asked_of_provider(data: dict[str, Any]) -> dict[str, str]:
    return {k: v[0] for k, v in parse_qs(urlsplit(data["authUri"]).query).items()}


async def test_it_goes_on_to_the_provider(api: Api) -> None:
    parameters = json.dumps({"prompt": "login", "redirect_uri": "https://evil.example"})
    text = await page(api, scopes="calendar,openid", customParameters=parameters)
    asked = asked_of_provider(data_of(text))
    assert asked["redirect_uri"] == "http://127.0.0.1:8080/__/auth/handler"
    assert (asked["prompt"], asked["scope"]) == ("login", "openid email profile calendar")
    assert data_of(text)["call"]["target"] == "http://localhost:3000"
    assert "hush" not in text


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "javascript:alert(1)",
        "http://localhost@evil.example/",
        "http://localhost\\@evil.example/",
        "",
    ],
)
async def test_open_redirects_are_refused(api: Api, url: str) -> None:
    text = await page(api, 400, redirectUrl=url)
    assert "<script" not in text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8080.evil.example"])
async def test_a_host_header_changes_nothing(api: Api, host: str) -> None:
    text = await page(api, headers={"host": host, "x-forwarded-host": host})
    assert host not in text
    assert data_of(text)["origin"] == "http://127.0.0.1:8080"


async def test_what_apps_say_does_not_end_the_script_element(api: Api) -> None:
    name = "</script><script>alert(1)</script>"
    text = await page(api, appName=name)
    assert name not in text
    assert data_of(text)["call"]["appName"] == name


@pytest.mark.parametrize(
    "changed",
    [{"authType": "verifyApp"}, {"eventId": "x" * 600}, {"customParameters": "[1]"}, {"tid": "/"}],
)
async def test_a_damaged_address_is_refused(api: Api, changed: dict[str, str]) -> None:
    assert "<script" not in await page(api, 400, **changed)


async def test_an_unknown_key_is_refused(make_api) -> None:
    api = make_api(api_keys={"good": "demo"})
    assert "API key not valid" in await page(api, 400)


async def test_pages_are_not_framed_and_run_no_script_but_ours(api: Api) -> None:
    answer = await api.client.get("/__/auth/handler", params=ASKED)
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"


async def test_only_authorized_domains_hold_the_frame(api: Api) -> None:
    for path in ("/__/auth/iframe", "/emulator/auth/iframe"):
        answer = await api.client.get(path, params={"apiKey": "k", "appName": "a"})
        policy = answer.headers["content-security-policy"]
        allowed = policy.split("frame-ancestors ")[1].split()
        assert "https://localhost:*" in allowed
        assert not any("evil" in source or source == "*" for source in allowed)
        assert "x-frame-options" not in answer.headers


async def test_an_answer_by_post_is_taken_as_it_is(api: Api) -> None:
    body = "state=s&code=</script>"
    answer = await api.client.post("/__/auth/handler", content=body)
    assert data_of(answer.text) == {"step": "finish", "postBody": body}


async def test_a_provider_of_the_settings_is_overridden_by_the_projects_own(api: Api) -> None:
    (listed,) = (await api.admin("/oauthIdpConfigs", verb="GET", version="v2"))["oauthIdpConfigs"]
    assert listed["clientId"] == CLIENT
    token = {"authorization": f"Bearer {await api.admin_token()}"}
    path = "/v2/projects/demo/oauthIdpConfigs/oidc.example"
    refused = await api.client.delete(path, headers=token)
    assert refused.json()["error"]["status"] == "FAILED_PRECONDITION"
    changed = {"enabled": False}
    await api.admin("/oauthIdpConfigs/oidc.example", changed, verb="PATCH", version="v2")
    data = data_of(await page(api))
    assert data["error"]["code"] == "auth/operation-not-allowed"
