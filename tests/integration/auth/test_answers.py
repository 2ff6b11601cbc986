"""Answers and error codes of single methods, where Identity Toolkit and its emulator fix them.

The facts come from Google's emulator and from recordings of production.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from jose import jwt

from tests.integration.auth.support import Api

EMAIL, PASSWORD, PHONE = "ada@example.com", "correct horse", "+15555550100"
GOOGLE = {"sub": "1234", "email": EMAIL, "email_verified": True}


@pytest.fixture
def dev(make_api: Any) -> Api:
    """Development mode, where addresses are not protected, as in the emulator."""
    made: Api = make_api(dev=True, email_enumeration_protection=False)
    return made


async def tenant(api: Api, config: dict[str, Any]) -> str:
    made = await api.admin("/tenants", config, version="v2")
    return str(made["tenantId"])


def idp(claims: dict[str, Any], provider: str = "google.com", **more: Any) -> dict[str, Any]:
    body = f"providerId={provider}&id_token={json.dumps(claims)}"
    return {"postBody": body, "requestUri": "http://localhost", **more}


async def oob_codes(api: Api) -> list[dict[str, Any]]:
    answer = await api.client.get("/emulator/v1/projects/demo/oobCodes")
    found: list[dict[str, Any]] = answer.json()["oobCodes"]
    return found


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("signUp", {"email": EMAIL}, "MISSING_PASSWORD"),
        ("signUp", {"password": PASSWORD}, "MISSING_EMAIL"),
        ("signUp", {"localId": "me"}, "UNEXPECTED_PARAMETER : User ID"),
        ("signInWithPassword", {"password": PASSWORD}, "MISSING_EMAIL"),
        ("signInWithPassword", {"email": "", "password": PASSWORD}, "INVALID_EMAIL"),
        ("signInWithPassword", {"email": EMAIL}, "MISSING_PASSWORD"),
        ("lookup", {"idToken": "x"}, "INVALID_ID_TOKEN"),
        ("createAuthUri", {"identifier": EMAIL, "continueUri": "x"}, "INVALID_CONTINUE_URI"),
        ("sendOobCode", {"requestType": "VERIFY_EMAIL"}, "INVALID_ID_TOKEN"),
        (
            "sendOobCode",
            {"requestType": "VERIFY_AND_CHANGE_EMAIL", "newEmail": "b@example.com"},
            "MISSING_ID_TOKEN",
        ),
        (
            "sendOobCode",
            {"requestType": "VERIFY_AND_CHANGE_EMAIL", "email": EMAIL},
            "MISSING_NEW_EMAIL",
        ),
        ("signInWithIdp", {"postBody": "id_token=x"}, "MISSING_REQUEST_URI"),
        ("signInWithIdp", {"requestUri": "x"}, "INVALID_REQUEST_URI"),
        (
            "signUp",
            {"targetProjectId": "other"},
            "INSUFFICIENT_PERMISSION : Only authenticated requests can specify target_project_id.",
        ),
    ],
)
async def test_mistakes_have_their_codes(dev: Api, method: str, body: Any, message: str) -> None:
    assert await dev.error(method, body) == message


async def test_enumerations_may_come_as_numbers(dev: Api) -> None:
    await dev.sign_up(EMAIL)
    await dev.call("sendOobCode", {"requestType": 1, "email": EMAIL})
    assert [code["requestType"] for code in await oob_codes(dev)] == ["PASSWORD_RESET"]


async def test_a_path_and_its_body_cannot_name_two_tenants(dev: Api) -> None:
    answer = await dev.post(
        "/v1/projects/demo/tenants/one/accounts:delete",
        {"localId": "x", "tenantId": "two"},
        headers={"authorization": "Bearer owner"},
    )
    assert answer.json()["error"]["message"] == "TENANT_ID_MISMATCH"


class TestSigningUp:
    async def test_administrators_get_an_account_and_no_session(self, dev: Api) -> None:
        answer = await dev.post(
            "/v1/accounts:signUp",
            {"localId": "ada", "phoneNumber": PHONE, "displayName": "Ada"},
            headers={"authorization": "Bearer Owner"},
        )
        made = answer.json()
        assert (made["localId"], made["displayName"]) == ("ada", "Ada")
        assert "idToken" not in made

    async def test_a_picture_is_not_taken_from_whoever_signs_up(self, api: Api) -> None:
        body = {"email": EMAIL, "password": PASSWORD, "photoUrl": "https://x/y.png"}
        new = await api.call("signUp", body)
        user = (await api.call("lookup", {"idToken": new["idToken"]}))["users"][0]
        assert "photoUrl" not in user

    async def test_unproven_second_factors_are_for_development_only(
        self, api: Api, make_api: Any
    ) -> None:
        factors = [{"phoneInfo": PHONE}, {"phoneInfo": PHONE}]
        for server, count in ((api, 0), (make_api(dev=True), 1)):
            body = {"email": f"{count}@example.com", "password": PASSWORD, "mfaInfo": factors}
            new = await server.call("signUp", body)
            user = (await server.call("lookup", {"idToken": new["idToken"]}))["users"][0]
            assert len(user.get("mfaInfo", [])) == count


class TestTheOutbox:
    """Test tools take the first code that they find: used ones must be gone."""

    async def test_used_codes_are_gone(self, dev: Api) -> None:
        new = await dev.sign_up(EMAIL)
        await dev.call("sendOobCode", {"requestType": "VERIFY_EMAIL", "idToken": new["idToken"]})
        (sent,) = await oob_codes(dev)
        await dev.call("update", {"oobCode": sent["oobCode"]})
        assert await oob_codes(dev) == []

    async def test_links_that_administrators_make_are_there(self, dev: Api) -> None:
        await dev.sign_up(EMAIL)
        body = {"requestType": "PASSWORD_RESET", "email": EMAIL, "returnOobLink": True}
        made = await dev.admin("/accounts:sendOobCode", body)
        assert [code["oobCode"] for code in await oob_codes(dev)] == [made["oobCode"]]

    async def test_a_change_of_address_shows_both(self, dev: Api) -> None:
        new = await dev.sign_up(EMAIL)
        body = {"requestType": "VERIFY_AND_CHANGE_EMAIL", "newEmail": "b@example.com"}
        await dev.call("sendOobCode", {**body, "idToken": new["idToken"]})
        (sent,) = await oob_codes(dev)
        assert (sent["email"], sent["newEmail"]) == (EMAIL, "b@example.com")

    async def test_the_code_of_a_link_for_signing_in_does_not_tell_whose_it_is(
        self, dev: Api
    ) -> None:
        await dev.call("sendOobCode", {"requestType": "EMAIL_SIGNIN", "email": EMAIL})
        (sent,) = await oob_codes(dev)
        answer = await dev.call("resetPassword", {"oobCode": sent["oobCode"]})
        assert answer["requestType"] == "EMAIL_SIGNIN"
        assert "email" not in answer


async def test_a_changed_address_can_be_taken_back(dev: Api) -> None:
    new = await dev.sign_up(EMAIL)
    changed = await dev.call("update", {"idToken": new["idToken"], "email": "eve@example.com"})
    user = (await dev.call("lookup", {"idToken": changed["idToken"]}))["users"][0]
    assert user["initialEmail"] == EMAIL
    (sent,) = await oob_codes(dev)
    assert (sent["email"], sent["requestType"]) == (EMAIL, "RECOVER_EMAIL")
    back = await dev.call("update", {"oobCode": sent["oobCode"]})
    assert (back["email"], back["emailVerified"]) == (EMAIL, True)


async def test_users_end_their_other_sessions_by_valid_since(dev: Api) -> None:
    new = await dev.sign_up(EMAIL)
    dev.clock.advance(2)
    fresh = await dev.call("update", {"idToken": new["idToken"], "validSince": "0"})
    assert await dev.error("lookup", {"idToken": new["idToken"]}) == "TOKEN_EXPIRED"
    await dev.call("lookup", {"idToken": fresh["idToken"]})


async def test_the_ways_into_an_account_are_told_with_their_providers(dev: Api) -> None:
    await dev.call("signInWithIdp", idp({**GOOGLE, "email": "g@example.com"}))
    body = {"identifier": "g@example.com", "continueUri": "http://localhost", "sessionId": "s"}
    answer = await dev.call("createAuthUri", body)
    assert answer == {
        "kind": "identitytoolkit#CreateAuthUriResponse",
        "registered": True,
        "allProviders": ["google.com"],
        "signinMethods": ["google.com"],
        "sessionId": "s",
    }


class TestProviders:
    async def test_google_tells_of_its_users_in_its_own_words(self, dev: Api) -> None:
        answer = await dev.call("signInWithIdp", idp({**GOOGLE, "given_name": "Ada"}))
        assert answer["federatedId"] == "https://accounts.google.com/1234"
        assert answer["firstName"] == "Ada"
        raw = json.loads(answer["rawUserInfo"])
        assert (raw["id"], raw["verified_email"]) == ("1234", True)

    async def test_parameters_may_come_with_the_request_uri(self, dev: Api) -> None:
        uri = f"http://localhost?providerId=google.com&id_token={json.dumps(GOOGLE)}"
        assert (await dev.call("signInWithIdp", {"requestUri": uri}))["providerId"] == "google.com"

    async def test_nobody_gets_an_account_who_only_reauthenticates(self, dev: Api) -> None:
        body = idp(GOOGLE, autoCreate=False)
        assert await dev.error("signInWithIdp", body) == "USER_NOT_FOUND"
        assert (await dev.admin("/accounts:query", {}))["recordsCount"] == "0"

    async def test_a_provider_is_linked_once(self, dev: Api) -> None:
        new = await dev.call("signInWithIdp", idp(GOOGLE))
        message = await dev.error("signInWithIdp", idp(GOOGLE, idToken=new["idToken"]))
        assert message == "FEDERATED_USER_ID_ALREADY_LINKED"

    async def test_a_proven_provider_proves_the_address_that_it_is_linked_to(
        self, dev: Api
    ) -> None:
        new = await dev.sign_up(EMAIL)
        linked = await dev.call("signInWithIdp", idp(GOOGLE, idToken=new["idToken"]))
        user = (await dev.call("lookup", {"idToken": linked["idToken"]}))["users"][0]
        assert user["emailVerified"] is True

    async def test_accounts_share_an_address_where_that_is_allowed(self, dev: Api) -> None:
        await dev.sign_up(EMAIL)
        config = {"signIn": {"allowDuplicateEmails": True}}
        await dev.client.patch("/emulator/v1/projects/demo/config", json=config)
        google = await dev.call("signInWithIdp", idp(GOOGLE))
        other = await dev.call("signInWithIdp", idp(GOOGLE, "facebook.com"))
        assert google["isNewUser"]
        assert other["isNewUser"]
        user = (await dev.call("lookup", {"idToken": google["idToken"]}))["users"][0]
        assert "email" not in user
        assert user["providerUserInfo"][0]["email"] == EMAIL


class TestTenants:
    async def test_a_new_tenant_has_everything_off(self, dev: Api) -> None:
        made = await dev.admin("/tenants", {"displayName": "Acme"}, version="v2")
        assert made == {
            "name": f"projects/demo/tenants/{made['tenantId']}",
            "tenantId": made["tenantId"],
            "displayName": "Acme",
            "allowPasswordSignup": False,
            "enableAnonymousUser": False,
            "enableEmailLinkSignin": False,
            "disableAuth": False,
            "mfaConfig": {"state": "DISABLED", "enabledProviders": []},
        }

    async def test_a_tenant_that_is_switched_off_answers_nothing_else(self, dev: Api) -> None:
        off = await tenant(dev, {"disableAuth": True})
        for method in ("signUp", "signInWithPassword", "signInWithIdp", "sendVerificationCode"):
            assert await dev.error(method, {"tenantId": off}) == "PROJECT_DISABLED"

    async def test_ways_in_are_opened_one_by_one(self, dev: Api) -> None:
        closed = {"tenantId": await tenant(dev, {})}
        person = {"email": EMAIL, "password": PASSWORD}
        assert await dev.error("signUp", {**closed, **person}) == "OPERATION_NOT_ALLOWED"
        assert await dev.error("signUp", closed) == "ADMIN_ONLY_OPERATION"
        link = {"requestType": "EMAIL_SIGNIN", "email": EMAIL}
        assert await dev.error("sendOobCode", {**closed, **link}) == "OPERATION_NOT_ALLOWED"
        assert await dev.error("resetPassword", closed) == "PASSWORD_LOGIN_DISABLED"
        phone = {**closed, "phoneNumber": PHONE}
        assert await dev.error("sendVerificationCode", phone) == "UNSUPPORTED_TENANT_OPERATION"

    async def test_tenants_come_in_pages(self, dev: Api) -> None:
        ids = sorted([await tenant(dev, {}) for _ in range(3)])
        first = await dev.admin("/tenants?pageSize=2", verb="GET", version="v2")
        assert [one["tenantId"] for one in first["tenants"]] == ids[:2]
        path = f"/tenants?pageSize=2&pageToken={first['nextPageToken']}"
        second = await dev.admin(path, verb="GET", version="v2")
        assert [one["tenantId"] for one in second["tenants"]] == ids[2:]
        assert "nextPageToken" not in second

    async def test_a_token_tells_its_tenant(self, dev: Api) -> None:
        name = await tenant(dev, {"enableAnonymousUser": True})
        guest = await dev.call("signUp", {"tenantId": name})
        user = (await dev.call("lookup", {"idToken": guest["idToken"]}))["users"][0]
        assert user["tenantId"] == name


class TestSecondFactors:
    async def enrol(self, api: Api) -> dict[str, Any]:
        new = await api.sign_up(EMAIL)
        body = {
            "localId": new["localId"],
            "emailVerified": True,
            "mfa": {"enrollments": [{"mfaEnrollmentId": "one", "phoneInfo": PHONE}]},
        }
        await api.admin("/accounts:update", body)
        return new

    async def test_administrators_enrol_each_number_once(self, dev: Api) -> None:
        new = await self.enrol(dev)
        two = [{"mfaEnrollmentId": name, "phoneInfo": PHONE} for name in ("a", "b")]
        body = {"localId": new["localId"], "mfa": {"enrollments": two}}
        answer = await dev.admin("/accounts:update", body)
        assert [factor["mfaEnrollmentId"] for factor in answer["mfaInfo"]] == ["a"]

    @pytest.mark.parametrize(
        ("enrollments", "message"),
        [
            ([{"mfaEnrollmentId": "x", "phoneInfo": "5"}], "INVALID_MFA_PHONE_NUMBER : TOO_SHORT"),
            ([{"mfaEnrollmentId": "x"}], "INVALID_MFA_PHONE_NUMBER : Invalid format."),
            (
                [
                    {"mfaEnrollmentId": "x", "phoneInfo": "+15555550101"},
                    {"mfaEnrollmentId": "x", "phoneInfo": "+15555550102"},
                ],
                "DUPLICATE_MFA_ENROLLMENT_ID",
            ),
        ],
    )
    async def test_factors_that_cannot_be(self, dev: Api, enrollments: Any, message: str) -> None:
        new = await dev.sign_up(EMAIL)
        body = {"localId": new["localId"], "mfa": {"enrollments": enrollments}}
        headers = {"authorization": "Bearer owner"}
        answer = await dev.post("/v1/projects/demo/accounts:update", body, headers=headers)
        assert answer.json()["error"]["message"] == message

    async def test_a_number_is_no_first_factor_beside_a_second_one(self, dev: Api) -> None:
        new = await self.enrol(dev)
        body = {"localId": new["localId"], "phoneNumber": "+15555550109"}
        await dev.admin("/accounts:update", body)
        message = await dev.error("sendVerificationCode", {"phoneNumber": "+15555550109"})
        assert message.startswith("UNSUPPORTED_FIRST_FACTOR : A phone number cannot be set")


class TestMandatorySecondFactors:
    """``mfa.state`` MANDATORY: without a second factor, a token is good for enrolling one only."""

    @pytest.fixture
    def strict(self, make_api: Any) -> Api:
        made: Api = make_api(dev=True, sign_dev_tokens=True)
        return made

    async def test_a_token_without_a_factor_opens_nothing(self, strict: Api) -> None:
        await strict.admin(
            "/config?updateMask=mfa.state",
            {"mfa": {"state": "MANDATORY"}},
            verb="PATCH",
            version="v2",
        )
        new = await strict.sign_up(EMAIL)
        await strict.admin("/accounts:update", {"localId": new["localId"], "emailVerified": True})
        with pytest.raises(Exception, match="Enrol a second factor first"):
            await strict.service.verify_id_token(new["idToken"], "demo")
        refreshed = await strict.client.post(
            "/v1/token",
            data={"grant_type": "refresh_token", "refresh_token": new["refreshToken"]},
        )
        with pytest.raises(Exception, match="Enrol a second factor first"):
            await strict.service.verify_id_token(refreshed.json()["id_token"], "demo")

        start = {"idToken": new["idToken"], "phoneEnrollmentInfo": {"phoneNumber": PHONE}}
        started = (await strict.post("/v2/accounts/mfaEnrollment:start?key=x", start)).json()
        session = started["phoneSessionInfo"]["sessionInfo"]
        code = strict.service.outbox.messages[-1].code
        body = {"phoneVerificationInfo": {"sessionInfo": session, "code": code}}
        finish = {"idToken": new["idToken"], **body}
        done = (await strict.post("/v2/accounts/mfaEnrollment:finalize?key=x", finish)).json()
        principal = await strict.service.verify_id_token(done["idToken"], "demo")
        assert principal.uid == new["localId"]

    async def test_custom_tokens_are_vouched_for_by_the_server_that_made_them(
        self, strict: Api
    ) -> None:
        await strict.admin(
            "/config?updateMask=mfa.state",
            {"mfa": {"state": "MANDATORY"}},
            verb="PATCH",
            version="v2",
        )
        made = await strict.call("signInWithCustomToken", {"token": '{"uid": "robot"}'})
        assert (
            "second_factor_required" not in jwt.get_unverified_claims(made["idToken"])["firebase"]
        )


class TestImports:
    async def imported(self, api: Api, users: list[Any], **more: Any) -> Any:
        answer = await api.post(
            "/v1/projects/demo/accounts:batchCreate",
            {"users": users, **more},
            headers={"authorization": f"Bearer {await api.admin_token()}"},
        )
        return answer.json().get("error")

    async def test_each_account_that_cannot_be_is_told_in_words(self, api: Api) -> None:
        long = json.dumps({"a": "x" * 1_000})
        factor = [{"phoneInfo": PHONE}]
        users = [
            {"email": "a@example.com"},
            {"localId": "1", "email": "not#an$email"},
            {"localId": "2", "phoneNumber": "x"},
            {"localId": "3", "customAttributes": "{"},
            {"localId": "4", "customAttributes": '{"sub": 1}'},
            {"localId": "5", "customAttributes": long},
            {"localId": "6", "providerUserInfo": [{"providerId": "google.com"}]},
            {"localId": "7", "mfaInfo": factor},
            {"localId": "8", "email": "b@example.com", "mfaInfo": factor},
            {"localId": "9", "tenantId": "other"},
            {"localId": "good"},
        ]
        words = [
            "localId is missing",
            "email is invalid",
            "phone number format is invalid",
            "Invalid custom claims provided.",
            "Custom claims provided include a reserved claim.",
            "Custom claims provided are too large.",
            "federatedId or (providerId & rawId) is required",
            "Second factor account requires email to be presented.",
            "Second factor account requires email to be verified.",
            "Tenant id in userInfo does not match the tenant id in request.",
        ]
        found = await self.imported(api, users)
        assert found == [{"index": i, "message": text} for i, text in enumerate(words)]

    async def test_accounts_are_replaced_unless_that_is_refused(self, api: Api) -> None:
        assert await self.imported(api, [{"localId": "a"}]) is None
        assert await self.imported(api, [{"localId": "a", "displayName": "A"}]) is None
        refused = await self.imported(api, [{"localId": "a"}], allowOverwrite=False)
        words = "localId belongs to an existing account - can not overwrite."
        assert refused == [{"index": 0, "message": words}]

    async def test_a_sanity_check_finds_doubles_before_anything_is_made(self, api: Api) -> None:
        users = [{"localId": name, "email": EMAIL} for name in ("a", "b")]
        found = await self.imported(api, users, sanityCheck=True)
        assert found["message"] == f"DUPLICATE_EMAIL : {EMAIL}"
        google = [{"providerId": "google.com", "rawId": "1"}]
        users = [{"localId": name, "providerUserInfo": google} for name in ("a", "b")]
        found = await self.imported(api, users, sanityCheck=True)
        assert found["message"] == "DUPLICATE_RAW_ID : Provider id(google.com), Raw id(1)"

    async def test_a_plain_password_and_factors_are_taken(self, api: Api) -> None:
        user = {
            "localId": "ada",
            "email": EMAIL,
            "emailVerified": True,
            "rawPassword": PASSWORD,
            "mfaInfo": [{"phoneInfo": PHONE, "enrolledAt": "2023-04-05T06:07:28.990Z"}],
        }
        assert await self.imported(api, [user]) is None
        answer = await api.call("signInWithPassword", {"email": EMAIL, "password": PASSWORD})
        assert answer["mfaInfo"][0]["phoneInfo"] == "+*******0100"
        assert answer["mfaInfo"][0]["enrolledAt"] == "2023-04-05T06:07:28.990Z"

    async def test_the_old_names_work(self, api: Api) -> None:
        headers = {"authorization": f"Bearer {await api.admin_token()}"}
        base = "/www.googleapis.com/identitytoolkit/v3/relyingparty"
        body = {"targetProjectId": "demo", "users": [{"localId": "a"}]}
        await api.post(f"{base}/uploadAccount", body, headers=headers)
        answer = await api.post(
            f"{base}/downloadAccount", {"targetProjectId": "demo"}, headers=headers
        )
        assert [user["localId"] for user in answer.json()["users"]] == ["a"]

    async def test_deleting_many_asks_for_some_that_are_disabled(self, api: Api) -> None:
        await self.imported(api, [{"localId": "a"}])
        found = await api.admin("/accounts:batchDelete", {"localIds": ["a"]})
        words = "NOT_DISABLED : Disable the account before batch deletion."
        assert found["errors"] == [{"index": 0, "localId": "a", "message": words}]
        headers = {"authorization": f"Bearer {await api.admin_token()}"}
        answer = await api.post(
            "/v1/projects/demo/accounts:batchDelete", {"localIds": []}, headers=headers
        )
        assert answer.json()["error"]["message"] == "LOCAL_ID_LIST_EXCEEDS_LIMIT"
