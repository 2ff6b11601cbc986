import html
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from baas.auth.messages import Message, Outbox
from tests.integration.auth.support import Api

EMAIL, PASSWORD, NEW = "ada@example.com", "correct horse", "battery staple"


def last(api: Api) -> Any:
    """The last mail."""
    return api.service.outbox.messages[-1]


async def reset_code(api: Api) -> str:
    await api.call("sendOobCode", {"requestType": "PASSWORD_RESET", "email": EMAIL})
    return str(last(api).code)


async def test_a_forgotten_password_is_reset_by_mail(api: Api) -> None:
    old = await api.sign_up(EMAIL)
    code = await reset_code(api)
    mail = last(api)
    assert (mail.recipient, mail.subject) == (EMAIL, "Reset your password")
    assert mail.link in mail.text

    checked = await api.call("resetPassword", {"oobCode": code})
    assert (checked["requestType"], checked["email"]) == ("PASSWORD_RESET", EMAIL)
    await api.call("resetPassword", {"oobCode": code, "newPassword": NEW})
    back = await api.call("signInWithPassword", {"email": EMAIL, "password": NEW})
    (user,) = (await api.call("lookup", {"idToken": back["idToken"]}))["users"]
    assert user["emailVerified"] is True
    form = {"grant_type": "refresh_token", "refresh_token": old["refreshToken"]}
    response = await api.client.post("/v1/token", data=form)
    assert response.json()["error"]["message"] == "TOKEN_EXPIRED"


async def test_a_code_works_once(api: Api) -> None:
    await api.sign_up(EMAIL)
    first, second = await reset_code(api), await reset_code(api)
    await api.call("resetPassword", {"oobCode": second, "newPassword": NEW})
    for used in (first, second):
        body = {"oobCode": used, "newPassword": "yet another one"}
        assert await api.error("resetPassword", body) == "INVALID_OOB_CODE"


async def test_a_code_is_short_lived(api: Api) -> None:
    await api.sign_up(EMAIL)
    code = await reset_code(api)
    api.clock.advance(3_601)
    assert await api.error("resetPassword", {"oobCode": code}) == "EXPIRED_OOB_CODE"


async def test_a_code_is_bound_to_its_purpose(api: Api) -> None:
    new = await api.sign_up(EMAIL)
    await api.call("sendOobCode", {"requestType": "VERIFY_EMAIL", "idToken": new["idToken"]})
    verify = last(api).code
    body = {"oobCode": verify, "newPassword": NEW}
    assert await api.error("resetPassword", body) == "INVALID_OOB_CODE"
    assert (
        await api.error("signInWithEmailLink", {"email": EMAIL, "oobCode": verify})
        == "INVALID_OOB_CODE"
    )
    assert await api.error("update", {"oobCode": await reset_code(api)}) == "INVALID_OOB_CODE"


async def test_an_address_is_verified(api: Api) -> None:
    new = await api.sign_up(EMAIL)
    await api.call("sendOobCode", {"requestType": "VERIFY_EMAIL", "idToken": new["idToken"]})
    applied = await api.call("update", {"oobCode": last(api).code})
    assert (applied["localId"], applied["emailVerified"]) == (new["localId"], True)
    assert await api.error("update", {"oobCode": last(api).code}) == "INVALID_OOB_CODE"


async def test_unknown_addresses_answer_alike_and_get_no_mail(api: Api) -> None:
    await api.sign_up(EMAIL)
    answers = [
        await api.call("sendOobCode", {"requestType": "PASSWORD_RESET", "email": email})
        for email in (EMAIL, "unknown@example.com")
    ]
    assert answers[0].keys() == answers[1].keys()
    assert [m.recipient for m in api.service.outbox.messages] == [EMAIL]


async def test_without_protection_unknown_addresses_are_told(make_api) -> None:
    api = make_api(mail=Outbox(), email_enumeration_protection=False)
    body = {"requestType": "PASSWORD_RESET", "email": EMAIL}
    assert await api.error("sendOobCode", body) == "EMAIL_NOT_FOUND"


async def test_signing_in_by_link_makes_an_account(api: Api) -> None:
    body = {
        "requestType": "EMAIL_SIGNIN",
        "email": EMAIL,
        "continueUrl": "http://localhost/finish",
    }
    await api.call("sendOobCode", body)
    link = {"email": EMAIL, "oobCode": last(api).code}
    wrong = {"email": "eve@example.com", "oobCode": last(api).code}
    assert (await api.error("signInWithEmailLink", wrong)).startswith("INVALID_EMAIL")
    new = await api.call("signInWithEmailLink", link)
    assert new["isNewUser"] is True
    (user,) = (await api.call("lookup", {"idToken": new["idToken"]}))["users"]
    assert (user["emailVerified"], user["emailLinkSignin"]) == (True, True)
    assert await api.error("signInWithEmailLink", link) == "INVALID_OOB_CODE"


async def test_proving_an_address_drops_the_password_of_whoever_took_it_before(api: Api) -> None:
    """Pre-hijacking: somebody signs up with another's address and waits for them to come."""
    squatter = await api.sign_up(EMAIL)
    await api.call(
        "sendOobCode",
        {"requestType": "EMAIL_SIGNIN", "email": EMAIL, "continueUrl": "http://localhost/"},
    )
    owner = await api.call("signInWithEmailLink", {"email": EMAIL, "oobCode": last(api).code})
    assert owner["localId"] == squatter["localId"]
    body = {"email": EMAIL, "password": PASSWORD}
    assert await api.error("signInWithPassword", body) == "INVALID_LOGIN_CREDENTIALS"
    form = {"grant_type": "refresh_token", "refresh_token": squatter["refreshToken"]}
    response = await api.client.post("/v1/token", data=form)
    assert response.json()["error"]["message"] == "TOKEN_EXPIRED"


async def test_an_address_is_changed_and_taken_back(api: Api) -> None:
    new = await api.sign_up(EMAIL)
    body = {"requestType": "VERIFY_AND_CHANGE_EMAIL", "idToken": new["idToken"]}
    assert await api.error("sendOobCode", body) == "MISSING_NEW_EMAIL"
    await api.call("sendOobCode", body | {"newEmail": "new@example.com"})
    assert last(api).recipient == "new@example.com"
    changed = await api.call("update", {"oobCode": last(api).code})
    assert (changed["email"], changed["emailVerified"]) == ("new@example.com", True)
    recovery = last(api)
    assert (recovery.recipient, recovery.purpose) == (EMAIL, "RECOVER_EMAIL")
    back = await api.call("update", {"oobCode": recovery.code})
    assert (back["email"], back["localId"]) == (EMAIL, new["localId"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "MISSING_REQ_TYPE"),
        ({"requestType": "RECOVER_EMAIL", "email": EMAIL}, "INVALID_REQ_TYPE"),
        ({"requestType": "PASSWORD_RESET"}, "MISSING_EMAIL"),
        ({"requestType": "VERIFY_EMAIL", "email": EMAIL}, "INVALID_ID_TOKEN"),
        ({"requestType": "EMAIL_SIGNIN", "email": EMAIL}, "MISSING_CONTINUE_URI"),
    ],
)
async def test_a_bad_request_for_a_code_is_named(
    api: Api, body: dict[str, Any], message: str
) -> None:
    assert await api.error("sendOobCode", body) == message


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://localhost@evil.example/",
        "https://evil.example\\@localhost/",
        "javascript:alert(1)",
        "//evil.example/",
        "https://localhost.evil.example/",
        "http://[bad",
    ],
)
async def test_links_lead_to_authorized_domains_only(api: Api, url: str) -> None:
    await api.sign_up(EMAIL)
    body = {"requestType": "PASSWORD_RESET", "email": EMAIL, "continueUrl": url}
    assert (await api.error("sendOobCode", body)).split(" ")[0] in (
        "INVALID_CONTINUE_URI",
        "UNAUTHORIZED_DOMAIN",
    )
    page = await api.client.get("/__/auth/action", params={"mode": "signIn", "continueUrl": url})
    assert page.status_code == 400
    assert "location" not in page.headers


async def test_nobody_but_administrators_is_told_a_link(api: Api) -> None:
    await api.sign_up(EMAIL)
    body = {"requestType": "PASSWORD_RESET", "email": EMAIL, "returnOobLink": True}
    response = await api.post("/v1/accounts:sendOobCode", body)
    assert response.status_code == 401
    told = await api.admin("/accounts:sendOobCode", body)
    assert told["oobCode"] in told["oobLink"]
    assert not api.service.outbox.messages


async def test_links_point_to_the_configured_address_whatever_the_host_header(make_api) -> None:
    api = make_api(mail=Outbox(), public_url="https://auth.example.com")
    await api.sign_up(EMAIL)
    await api.call(
        "sendOobCode",
        {"requestType": "PASSWORD_RESET", "email": EMAIL},
        headers={"host": "evil.example", "x-forwarded-host": "evil.example"},
    )
    assert last(api).link.startswith("https://auth.example.com/__/auth/action?")


async def test_so_many_mails_an_hour(make_api) -> None:
    from baas.auth.options import LimitOptions

    api = make_api(mail=Outbox(), limits=LimitOptions(mails_per_hour=2))
    body = {"requestType": "PASSWORD_RESET", "email": EMAIL}
    for _ in range(2):
        await api.call("sendOobCode", body)
    assert (await api.error("sendOobCode", body)).startswith("TOO_MANY_ATTEMPTS_TRY_LATER")


async def test_mails_speak_the_readers_language(api: Api) -> None:
    await api.sign_up(EMAIL)
    body = {"requestType": "PASSWORD_RESET", "email": EMAIL}
    await api.call("sendOobCode", body, headers={"x-firebase-locale": "de-AT"})
    assert last(api).subject == "Passwort zurücksetzen"


class TestPages:
    async def page(self, api: Api) -> tuple[str, dict[str, str]]:
        await api.sign_up(EMAIL)
        await reset_code(api)
        parts = urlsplit(last(api).link)
        return parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}

    async def test_opening_a_link_changes_nothing(self, api: Api) -> None:
        path, query = await self.page(api)
        for _ in range(2):
            page = await api.client.get(path, params=query)
            assert page.status_code == 200
            assert 'name="newPassword"' in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"

    async def test_the_form_sets_the_password(self, api: Api) -> None:
        path, query = await self.page(api)
        done = await api.client.post(path, data=query | {"newPassword": NEW})
        assert "Your password is changed" in done.text
        await api.call("signInWithPassword", {"email": EMAIL, "password": NEW})
        again = await api.client.post(path, data=query | {"newPassword": "another one"})
        assert again.status_code == 400
        assert "used already" in again.text

    async def test_what_comes_from_the_link_is_escaped(self, api: Api) -> None:
        path, query = await self.page(api)
        query["lang"] = '"><script>alert(1)</script>'
        page = await api.client.get(path, params=query)
        assert "<script>" not in page.text

    async def test_a_code_of_another_mode_is_refused(self, api: Api) -> None:
        path, query = await self.page(api)
        page = await api.client.get(path, params=query | {"mode": "verifyEmail"})
        assert page.status_code == 400

    async def test_a_sign_in_link_goes_on_to_the_app(self, api: Api) -> None:
        body = {
            "requestType": "EMAIL_SIGNIN",
            "email": EMAIL,
            "continueUrl": "http://localhost/finish?x=1",
        }
        await api.call("sendOobCode", body)
        answer = await api.client.get(last(api).link.split("8080")[1])
        target = urlsplit(answer.headers["location"])
        assert (target.hostname, target.path) == ("localhost", "/finish")
        query = parse_qs(target.query)
        assert query["x"] == ["1"]
        assert query["oobCode"] == [last(api).code]
        assert query["mode"] == ["signIn"]


async def test_a_policy_is_enforced_and_told(api: Api) -> None:
    policy = {
        "passwordPolicyConfig": {
            "passwordPolicyEnforcementState": "ENFORCE",
            "passwordPolicyVersions": [
                {
                    "customStrengthOptions": {
                        "minPasswordLength": 8,
                        "containsNumericCharacter": True,
                    }
                }
            ],
        }
    }
    mask = "passwordPolicyConfig.passwordPolicyEnforcementState,passwordPolicyConfig.passwordPolicyVersions"
    await api.admin(f"/config?updateMask={mask}", policy, verb="PATCH", version="v2")
    message = await api.error("signUp", {"email": EMAIL, "password": "abcdefg"})
    assert message == (
        "PASSWORD_DOES_NOT_MEET_REQUIREMENTS : Missing password requirements: "
        "[Password must contain at least 8 characters, Password must contain a numeric character]"
    )
    told = (await api.client.get("/v2/passwordPolicy?key=x")).json()
    assert told["enforcementState"] == "ENFORCE"
    assert told["customStrengthOptions"]["containsNumericCharacter"] is True
    await api.call("signUp", {"email": EMAIL, "password": "abcdefg8"})


async def test_without_a_mail_server_answers_do_not_tell_who_has_an_account(make_api) -> None:
    api = make_api()
    await api.sign_up("ada@example.com")
    answers = []
    for email in ("ada@example.com", "nobody@example.com"):
        body = {"requestType": "PASSWORD_RESET", "email": email}
        answers.append(await api.post("/v1/accounts:sendOobCode?key=any", body))
    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].json() == answers[1].json()


async def test_a_changed_address_stands_though_the_old_one_cannot_be_told(make_api) -> None:
    api = make_api()
    user = await api.sign_up("ada@example.com")
    body = {
        "requestType": "VERIFY_AND_CHANGE_EMAIL",
        "email": "ada@example.com",
        "newEmail": "new@example.com",
        "idToken": user["idToken"],
        "returnOobLink": True,
    }
    code = (await api.admin("/accounts:sendOobCode", body))["oobCode"]
    assert (await api.call("update", {"oobCode": code}))["email"] == "new@example.com"


class TestTemplates:
    PATH = "notification.sendEmail.resetPasswordTemplate"

    async def set(self, api: Api, template: dict[str, Any]) -> Any:
        body = {"notification": {"sendEmail": {"resetPasswordTemplate": template}}}
        token = {"authorization": f"Bearer {await api.admin_token()}"}
        path = f"/v2/projects/demo/config?updateMask={self.PATH}"
        return await api.client.patch(path, json=body, headers=token)

    async def mail(self, api: Api) -> Message:
        """Ask for a mail."""
        await api.call("sendOobCode", {"requestType": "PASSWORD_RESET", "email": EMAIL})
        return api.service.outbox.messages[-1]

    async def test_a_project_has_words_of_its_own(self, api: Api) -> None:
        body = {"email": EMAIL, "password": "correct horse", "displayName": "<b>%LINK%</b>"}
        await api.call("signUp", body)
        template = {
            "subject": "%APP_NAME%: hello %EMAIL%",
            "body": '<p>%DISPLAY_NAME%</p><a href="%LINK%">go</a>',
            "senderDisplayName": "Our app",
            "replyTo": "help@example.com",
        }
        answer = await self.set(api, template)
        assert answer.status_code == 200, answer.text
        mail = await self.mail(api)
        assert mail.subject == f"demo: hello {EMAIL}"
        assert mail.html.startswith("<p>&lt;b&gt;%LINK%&lt;/b&gt;</p>")
        assert f'<a href="{html.escape(mail.link)}">' in mail.html
        assert (mail.sender_name, mail.reply_to) == ("Our app", "help@example.com")
        assert mail.link in mail.text

    async def test_a_plain_one_has_no_page_of_its_own(self, api: Api) -> None:
        await api.sign_up(EMAIL)
        await self.set(api, {"body": "Go to %LINK%", "bodyFormat": "PLAIN_TEXT"})
        mail = await self.mail(api)
        assert (mail.text, mail.html) == (f"Go to {mail.link}", "")

    @pytest.mark.parametrize(
        "template",
        [
            {"body": "no link"},
            {"subject": "two\r\nBcc: eve@example.com"},
            {"replyTo": "nobody"},
            {"bodyFormat": "RTF"},
            {"body": 7},
            {"script": "x"},
        ],
    )
    async def test_what_no_mail_could_be_made_of_is_refused(
        self, api: Api, template: dict[str, Any]
    ) -> None:
        answer = await self.set(api, template)
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"

    async def test_a_project_has_a_language_of_its_own(self, api: Api) -> None:
        await api.sign_up(EMAIL)
        body = {"notification": {"defaultLocale": "de"}}
        await api.admin("/config", body, verb="PATCH", version="v2")
        assert (await self.mail(api)).subject == "Passwort zurücksetzen"
