import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from jose import jws, jwt

from baas.auth.messages import Outbox
from tests.integration.auth.provider import CLIENT, ISSUER, OpenIdProvider
from tests.integration.auth.support import Api

EMAIL, PASSWORD = "ada@example.com", "correct horse"


@pytest.fixture
def idp() -> OpenIdProvider:
    """The provider."""
    return OpenIdProvider()


@pytest.fixture
async def configured(make_api, idp: OpenIdProvider) -> Api:
    """A server with two providers: any OpenID issuer, and one whose word on addresses is trusted."""
    api: Api = make_api(mail=Outbox(), outgoing=idp)
    idp.now = api.clock()
    body = {"clientId": CLIENT, "clientSecret": "hush", "issuer": ISSUER, "enabled": True}
    await api.admin("/oauthIdpConfigs?oauthIdpConfigId=oidc.example", body, version="v2")
    await api.admin("/defaultSupportedIdpConfigs?idpId=google.com", body, version="v2")
    return api


def request(token: str, provider: str = "oidc.example", **more: Any) -> dict[str, Any]:
    pairs = {"id_token": token, "providerId": provider, **more.pop("pairs", {})}
    uri = {"requestUri": "http://localhost", "returnSecureToken": True}
    return {"postBody": urlencode(pairs), **uri, **more}


async def test_a_providers_user_signs_in_and_comes_back(configured: Api, idp) -> None:
    new = await configured.call("signInWithIdp", request(idp.id_token()))
    again = await configured.call("signInWithIdp", request(idp.id_token(name="Ada L.")))
    assert (new["isNewUser"], again["isNewUser"]) == (True, False)
    assert (new["localId"], new["displayName"]) == (again["localId"], "Ada")
    claims = jwt.get_unverified_claims(new["idToken"])
    assert claims["firebase"] == {
        "identities": {"oidc.example": ["subject-1"], "email": [EMAIL]},
        "sign_in_provider": "oidc.example",
    }
    assert claims["email_verified"] is False


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-app"},
        {"aud": ["another-app", CLIENT]},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"iat": 4_000_000_000},
        {"sub": ""},
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(configured: Api, idp, claims) -> None:
    message = await configured.error("signInWithIdp", request(idp.id_token(**claims)))
    assert message.startswith("INVALID_IDP_RESPONSE")


async def test_forged_provider_tokens_are_refused(configured: Api, idp) -> None:
    from baas.auth.tokens import unsigned

    claims = jwt.get_unverified_claims(idp.id_token())
    hmac_forged = jws.sign(claims, "secret", {"kid": "k1"}, "HS256")
    good = idp.id_token()
    tampered = f"{good.split('.')[0]}.{unsigned(claims | {'sub': 'eve'}).split('.')[1]}."
    for token in (unsigned(claims), hmac_forged, tampered, "{}", '{"sub": "eve"}', "x"):
        message = await configured.error("signInWithIdp", request(token))
        assert message.startswith("INVALID_IDP_RESPONSE"), token


async def test_a_nonce_must_fit(configured: Api, idp) -> None:
    hashed = hashlib.sha256(b"raw").hexdigest()
    for claimed in ("raw", hashed):
        token = idp.id_token(nonce=claimed)
        await configured.call("signInWithIdp", request(token, pairs={"nonce": "raw"}))
        for pairs in ({}, {"nonce": "other"}):
            message = await configured.error("signInWithIdp", request(token, pairs=pairs))
            assert message == "MISSING_OR_INVALID_NONCE"


async def test_an_unconfigured_provider_is_refused(configured: Api, idp) -> None:
    message = await configured.error("signInWithIdp", request(idp.id_token(), "apple.com"))
    assert message.startswith("OPERATION_NOT_ALLOWED")


async def test_an_address_that_has_an_account_is_a_conflict(configured: Api, idp) -> None:
    await configured.sign_up(EMAIL)
    answer = await configured.call("signInWithIdp", request(idp.id_token()))
    assert answer["needConfirmation"] is True
    assert answer["verifiedProvider"] == ["password"]
    assert "idToken" not in answer


async def test_a_trusted_provider_takes_an_unproven_account_over(configured: Api, idp) -> None:
    """The squatter's password and sessions end; the provider's user owns the address."""
    squatter = await configured.sign_up(EMAIL)
    owner = await configured.call("signInWithIdp", request(idp.id_token(), "google.com"))
    assert owner["localId"] == squatter["localId"]
    body = {"email": EMAIL, "password": PASSWORD}
    assert await configured.error("signInWithPassword", body) == "INVALID_LOGIN_CREDENTIALS"


async def test_a_trusted_provider_is_linked_to_a_proven_account(configured: Api, idp) -> None:
    new = await configured.sign_up(EMAIL)
    await configured.admin("/accounts:update", {"localId": new["localId"], "emailVerified": True})
    linked = await configured.call("signInWithIdp", request(idp.id_token(), "google.com"))
    assert linked["localId"] == new["localId"]
    await configured.call("signInWithPassword", {"email": EMAIL, "password": PASSWORD})


async def test_an_unverified_address_is_never_trusted(configured: Api, idp) -> None:
    await configured.sign_up(EMAIL)
    token = idp.id_token(email_verified=False)
    answer = await configured.call("signInWithIdp", request(token, "google.com"))
    assert answer["needConfirmation"] is True


async def test_a_provider_is_linked_and_unlinked(configured: Api, idp) -> None:
    user = await configured.sign_up("other@example.com")
    linked = await configured.call(
        "signInWithIdp", request(idp.id_token(), idToken=user["idToken"])
    )
    assert linked["localId"] == user["localId"]
    eve = await configured.sign_up("eve@example.com")
    body = request(idp.id_token(), idToken=eve["idToken"])
    assert await configured.error("signInWithIdp", body) == "FEDERATED_USER_ID_ALREADY_LINKED"
    told = await configured.call("signInWithIdp", body | {"returnIdpCredential": True})
    assert told["errorMessage"] == "FEDERATED_USER_ID_ALREADY_LINKED"
    body = {"idToken": linked["idToken"], "deleteProvider": ["oidc.example"]}
    changed = await configured.call("update", body)
    assert [p["providerId"] for p in changed["providerUserInfo"]] == ["password"]


class TestRevokeToken:
    async def ask(self, api: Api, **changed: str) -> tuple[int, str]:
        user = await api.sign_up(EMAIL)
        body = {
            "providerId": "oidc.example",
            "tokenType": "ACCESS_TOKEN",
            "token": "at",
            "idToken": user["idToken"],
            **changed,
        }
        answer = await api.post("/v2/accounts:revokeToken?key=any", body)
        return answer.status_code, answer.json().get("error", {}).get("message", "")

    async def test_a_token_is_given_back_to_its_provider(self, configured: Api, idp) -> None:
        assert await self.ask(configured) == (200, "")
        (form,) = idp.forms
        assert (form["token"], form["token_type_hint"]) == ("at", "access_token")
        assert form["client_secret"] == "hush"

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"token": "unknown"}, "INVALID_IDP_RESPONSE"),
            ({"token": ""}, "INVALID_REQUEST"),
            ({"idToken": "forged"}, "INVALID_ID_TOKEN"),
            ({"idToken": ""}, "MISSING_ID_TOKEN"),
            ({"providerId": "apple.com"}, "OPERATION_NOT_ALLOWED"),
            ({"tokenType": "ANY"}, "'tokenType' must be"),
        ],
    )
    async def test_what_cannot_be_given_back_is_named(
        self, configured: Api, idp, changed: dict[str, str], message: str
    ) -> None:
        status, told = await self.ask(configured, **changed)
        assert status == 400
        assert told.startswith(message)


class TestRedirect:
    async def start(self, api: Api) -> tuple[dict[str, str], str]:
        body = {"providerId": "oidc.example", "continueUri": "http://localhost/back"}
        started = await api.call("createAuthUri", body)
        url = urlsplit(started["authUri"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/authorize"
        return {k: v[0] for k, v in parse_qs(url.query).items()}, started["sessionId"]

    async def finish(self, api: Api, state: str, session: str, code: str = "c1") -> dict[str, Any]:
        uri = f"http://localhost/back?{urlencode({'code': code, 'state': state})}"
        body = {"requestUri": uri, "sessionId": session, "returnSecureToken": True}
        return {"requestUri": uri, "sessionId": session, "postBody": ""} | body

    async def test_the_code_flow_signs_in_once(self, configured: Api, idp) -> None:
        asked, session = await self.start(configured)
        assert asked["redirect_uri"] == "http://localhost/back"
        assert asked["code_challenge_method"] == "S256"
        idp.codes["c1"] = {"nonce": asked["nonce"]}
        body = await self.finish(configured, asked["state"], session)
        new = await configured.call("signInWithIdp", body)
        assert new["isNewUser"] is True
        assert idp.forms[0]["client_secret"] == "hush"
        assert await configured.error("signInWithIdp", body) == "INVALID_SESSION_ID"

    async def test_a_foreign_state_is_refused(self, configured: Api, idp) -> None:
        asked, session = await self.start(configured)
        idp.codes["c1"] = {"nonce": asked["nonce"]}
        message = await configured.error(
            "signInWithIdp", await self.finish(configured, "forged", session)
        )
        assert message.startswith("INVALID_IDP_RESPONSE")
        assert not idp.forms

    async def test_a_token_of_another_round_is_refused(self, configured: Api, idp) -> None:
        asked, session = await self.start(configured)
        idp.codes["c1"] = {"nonce": "of another round"}
        body = await self.finish(configured, asked["state"], session)
        assert await configured.error("signInWithIdp", body) == "MISSING_OR_INVALID_NONCE"

    async def test_a_round_ends_after_ten_minutes(self, configured: Api, idp) -> None:
        asked, session = await self.start(configured)
        configured.clock.advance(601)
        body = await self.finish(configured, asked["state"], session)
        assert await configured.error("signInWithIdp", body) == "INVALID_SESSION_ID"

    async def test_users_are_sent_to_authorized_domains_only(self, configured: Api) -> None:
        body = {"providerId": "oidc.example", "continueUri": "https://evil.example/"}
        assert (await configured.error("createAuthUri", body)).startswith("UNAUTHORIZED_DOMAIN")


async def test_a_configuration_never_tells_its_secret(configured: Api) -> None:
    path = "/oauthIdpConfigs/oidc.example"
    found = await configured.admin(path, verb="GET", version="v2")
    assert found["clientId"] == CLIENT
    assert "hush" not in str(found)
    await configured.admin(path, {"enabled": False}, verb="PATCH", version="v2")
    await configured.admin(path, verb="DELETE", version="v2")
    data = configured.service.context.database._path
    files = b"".join(p.read_bytes() for p in data.parent.glob("homefire.db*"))
    assert b"hush" not in files


async def test_development_mode_takes_made_up_users(make_api) -> None:
    dev = make_api(dev=True)
    token = '{"sub": "abc", "email": "foo@example.com", "email_verified": true}'
    new = await dev.call("signInWithIdp", request(token, "google.com"))
    google = "https://accounts.google.com/abc"
    assert (new["email"], new["federatedId"]) == ("foo@example.com", google)
    assert (await dev.call("signInWithIdp", request(token, "google.com")))["isNewUser"] is False


async def test_development_mode_takes_them_as_access_tokens_which_is_all_some_providers_send(
    make_api,
) -> None:
    dev = make_api(dev=True)
    pairs = {"access_token": '{"sub": "abc", "email": "foo@example.com"}'}
    new = await dev.call("signInWithIdp", request("", "facebook.com", pairs=pairs))
    assert (new["email"], new["providerId"]) == ("foo@example.com", "facebook.com")


async def test_production_takes_no_made_up_access_token(configured: Api) -> None:
    pairs = {"access_token": '{"sub": "abc", "email": "foo@example.com"}'}
    message = await configured.error("signInWithIdp", request("", pairs=pairs))
    assert message.startswith("INVALID_IDP_RESPONSE")


class TestBlockingFunctions:
    class Function:
        """A function that answers as it is told."""

        def __init__(self) -> None:
            self.answer: tuple[int, Any] = (200, {})
            self.asked: list[Any] = []

        async def call(self, method: str, url: str, **options: Any) -> Any:
            import json

            from baas.auth.outgoing import Answer

            self.asked.append(json.loads(options["body"])["data"]["jwt"])
            return Answer(self.answer[0], json.dumps(self.answer[1]).encode(), {})

    @pytest.fixture
    def function(self) -> Function:
        return self.Function()

    async def hooked(self, make_api, function: Function, event: str) -> Api:
        api: Api = make_api(mail=Outbox(), outgoing=function)
        triggers = {event: {"functionUri": "https://functions.example/hook"}}
        body = {"blockingFunctions": {"triggers": triggers}}
        await api.admin("/config", body, verb="PATCH", version="v2")
        return api

    async def test_it_changes_a_new_account(self, make_api, function: Function) -> None:
        api = await self.hooked(make_api, function, "beforeCreate")
        record = {
            "updateMask": "displayName,customClaims",
            "displayName": "Chosen",
            "customClaims": {"plan": "free"},
        }
        function.answer = (200, {"userRecord": record})
        new = await api.sign_up(EMAIL)
        claims = jwt.get_unverified_claims(new["idToken"])
        assert (claims["name"], claims["plan"]) == ("Chosen", "free")
        (key,) = (await api.client.get("/.well-known/jwks.json")).json()["keys"]
        options = {"verify_exp": False, "verify_aud": False}
        asked = jwt.decode(function.asked[0], key, ["RS256"], options=options)
        assert asked["aud"] == "https://functions.example/hook"
        assert asked["user_record"]["email"] == EMAIL
        assert "password_hash" not in asked["user_record"]

    async def test_it_refuses_a_new_account(self, make_api, function: Function) -> None:
        api = await self.hooked(make_api, function, "beforeCreate")
        function.answer = (403, {"error": {"message": "not you"}})
        message = await api.error("signUp", {"email": EMAIL, "password": PASSWORD})
        assert message.startswith("BLOCKING_FUNCTION_ERROR_RESPONSE")
        assert "not you" in message
        assert "users" not in await api.admin("/accounts:lookup", {"email": [EMAIL]})

    async def test_it_gives_a_session_claims(self, make_api, function: Function) -> None:
        api = await self.hooked(make_api, function, "beforeSignIn")
        record = {"updateMask": "sessionClaims", "sessionClaims": {"ip": "home"}}
        function.answer = (200, {"userRecord": record})
        new = await api.sign_up(EMAIL)
        assert jwt.get_unverified_claims(new["idToken"])["ip"] == "home"

    async def test_an_answer_out_of_bounds_is_an_error(self, make_api, function: Function) -> None:
        api = await self.hooked(make_api, function, "beforeSignIn")
        record = {"updateMask": "sessionClaims", "sessionClaims": {"sub": "root"}}
        function.answer = (200, {"userRecord": record})
        message = await api.error("signUp", {"email": EMAIL, "password": PASSWORD})
        assert message.startswith("FORBIDDEN_CLAIM")
