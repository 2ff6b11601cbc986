from typing import Any

import pyotp
import pytest
from jose import jwt

from tests.integration.auth.support import Api

EMAIL, PASSWORD, PHONE = "ada@example.com", "correct horse", "+436601234567"


@pytest.fixture
def dev(make_api) -> Api:
    """Development mode with signed tokens: an outbox to read codes from."""
    made: Api = make_api(
        dev=True, sign_dev_tokens=True, test_phone_numbers={"+15555550100": "123456"}
    )
    return made


def sms(api: Api) -> Any:
    return api.service.outbox.of("demo", sms=True)[-1]


async def phone_sign_in(api: Api, number: str = PHONE, **more: Any) -> dict[str, Any]:
    session = (await api.call("sendVerificationCode", {"phoneNumber": number}))["sessionInfo"]
    body = {"sessionInfo": session, "code": sms(api).code, **more}
    return await api.call("signInWithPhoneNumber", body)


async def verified_user(api: Api) -> dict[str, Any]:
    new = await api.sign_up(EMAIL)
    await api.admin("/accounts:update", {"localId": new["localId"], "emailVerified": True})
    return new


async def v2(api: Api, method: str, body: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
    response = await api.post(f"/v2/accounts/{method}?key=x", body)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def enrol_totp(api: Api, id_token: str) -> tuple[pyotp.TOTP, dict[str, Any]]:
    body = {"idToken": id_token, "totpEnrollmentInfo": {}}
    started = (await v2(api, "mfaEnrollment:start", body))["totpSessionInfo"]
    app = pyotp.TOTP(started["sharedSecretKey"])
    given = {
        "sessionInfo": started["sessionInfo"],
        "verificationCode": app.at(int(api.clock())),
    }
    body = {"idToken": id_token, "displayName": "App", "totpVerificationInfo": given}
    return app, await v2(api, "mfaEnrollment:finalize", body)


async def first_factor(api: Api) -> dict[str, Any]:
    return await api.call("signInWithPassword", {"email": EMAIL, "password": PASSWORD})


class TestPhone:
    async def test_a_code_signs_in_to_the_same_account_each_time(self, dev: Api) -> None:
        new = await phone_sign_in(dev)
        again = await phone_sign_in(dev)
        assert (new["isNewUser"], again["isNewUser"]) == (True, False)
        assert new["localId"] == again["localId"]
        claims = jwt.get_unverified_claims(new["idToken"])
        assert claims["phone_number"] == PHONE
        assert claims["firebase"] == {
            "identities": {"phone": [PHONE]},
            "sign_in_provider": "phone",
        }

    async def test_a_wrong_code_is_refused_and_five_use_the_session_up(self, dev: Api) -> None:
        body = {"phoneNumber": PHONE}
        session = (await dev.call("sendVerificationCode", body))["sessionInfo"]
        right = sms(dev).code
        wrong = f"{(int(right) + 1) % 1_000_000:06}"
        for _ in range(5):
            body = {"sessionInfo": session, "code": wrong}
            assert await dev.error("signInWithPhoneNumber", body) == "INVALID_CODE"
        body = {"sessionInfo": session, "code": right}
        assert await dev.error("signInWithPhoneNumber", body) == "INVALID_SESSION_INFO"

    async def test_a_code_works_once_and_not_for_long(self, dev: Api) -> None:
        await phone_sign_in(dev)
        used = {"sessionInfo": sms(dev).session, "code": sms(dev).code}
        assert await dev.error("signInWithPhoneNumber", used) == "INVALID_SESSION_INFO"
        await dev.call("sendVerificationCode", {"phoneNumber": PHONE})
        dev.clock.advance(301)
        late = {"sessionInfo": sms(dev).session, "code": sms(dev).code}
        assert await dev.error("signInWithPhoneNumber", late) == "SESSION_EXPIRED"

    async def test_a_test_number_gets_its_code_and_no_message(self, dev: Api) -> None:
        body = {"phoneNumber": "+1 555-555-0100"}
        session = (await dev.call("sendVerificationCode", body))["sessionInfo"]
        assert not dev.service.outbox.messages
        await dev.call("signInWithPhoneNumber", {"sessionInfo": session, "code": "123456"})

    async def test_a_number_is_linked_unless_it_is_anothers(self, dev: Api) -> None:
        user = await dev.sign_up(EMAIL)
        linked = await phone_sign_in(dev, idToken=user["idToken"])
        assert linked["localId"] == user["localId"]
        other = await dev.sign_up("eve@example.com")
        taken = await phone_sign_in(dev, idToken=other["idToken"])
        assert "idToken" not in taken
        body = {"temporaryProof": taken["temporaryProof"], "phoneNumber": PHONE}
        instead = await dev.call("signInWithPhoneNumber", body)
        assert instead["localId"] == user["localId"]

    @pytest.mark.parametrize(
        ("number", "message"), [("", "MISSING_PHONE_NUMBER"), ("660", "INVALID_PHONE_NUMBER")]
    )
    async def test_a_bad_number_is_refused(self, dev: Api, number: str, message: str) -> None:
        body = {"phoneNumber": number}
        assert (await dev.error("sendVerificationCode", body)).startswith(message)

    async def test_without_a_sender_production_says_so(self, api: Api) -> None:
        response = await api.post("/v1/accounts:sendVerificationCode", {"phoneNumber": PHONE})
        assert (response.status_code, response.json()["error"]["status"]) == (503, "UNAVAILABLE")


class TestTotp:
    async def test_an_app_is_enrolled_and_asked_for(self, dev: Api) -> None:
        new = await verified_user(dev)
        app, enrolled = await enrol_totp(dev, new["idToken"])
        claims = jwt.get_unverified_claims(enrolled["idToken"])
        assert claims["firebase"]["sign_in_second_factor"] == "totp"
        first = await first_factor(dev)
        assert "idToken" not in first
        (info,) = first["mfaInfo"]
        assert (info["displayName"], info["totpInfo"]) == ("App", {})
        dev.clock.advance(30)
        body = {
            "mfaPendingCredential": first["mfaPendingCredential"],
            "mfaEnrollmentId": info["mfaEnrollmentId"],
            "totpVerificationInfo": {"verificationCode": app.at(int(dev.clock()))},
        }
        done = await v2(dev, "mfaSignIn:finalize", body)
        firebase = jwt.get_unverified_claims(done["idToken"])["firebase"]
        assert firebase["sign_in_provider"] == "password"
        assert firebase["second_factor_identifier"] == info["mfaEnrollmentId"]
        form = {"grant_type": "refresh_token", "refresh_token": done["refreshToken"]}
        renewed = (await dev.client.post("/v1/token", data=form)).json()
        claims = jwt.get_unverified_claims(renewed["id_token"])
        assert claims["firebase"]["sign_in_second_factor"] == "totp"

    async def test_a_code_of_the_app_works_once(self, dev: Api) -> None:
        new = await verified_user(dev)
        app, _ = await enrol_totp(dev, new["idToken"])
        dev.clock.advance(30)
        code = app.at(int(dev.clock()))
        for status in (200, 400):
            first = await first_factor(dev)
            body = {
                "mfaPendingCredential": first["mfaPendingCredential"],
                "totpVerificationInfo": {"verificationCode": code},
            }
            answer = await v2(dev, "mfaSignIn:finalize", body, status=status)
        assert answer["error"]["message"] == "INVALID_CODE"

    async def test_guessing_codes_is_stopped(self, dev: Api) -> None:
        new = await verified_user(dev)
        app, _ = await enrol_totp(dev, new["idToken"])
        dev.clock.advance(30)
        right = app.at(int(dev.clock()))
        wrong = f"{(int(right) + 1) % 1_000_000:06}"
        messages = []
        for _ in range(3):
            pending = (await first_factor(dev))["mfaPendingCredential"]
            for _ in range(6):
                body = {
                    "mfaPendingCredential": pending,
                    "totpVerificationInfo": {"verificationCode": wrong},
                }
                answer = await v2(dev, "mfaSignIn:finalize", body, status=400)
                messages.append(answer["error"]["message"].split(" ")[0])
        assert messages[4:6] == ["INVALID_CODE", "INVALID_MFA_PENDING_CREDENTIAL"]
        assert messages[-2] == "TOO_MANY_ATTEMPTS_TRY_LATER"

    async def test_the_secret_is_sealed_in_the_database(self, dev: Api) -> None:
        new = await verified_user(dev)
        app, _ = await enrol_totp(dev, new["idToken"])
        path = dev.service.context.database._path
        files = b"".join(p.read_bytes() for p in path.parent.glob("homefire.db*"))
        assert app.secret.encode() not in files
        assert app.byte_secret() not in files

    async def test_an_unverified_address_enrols_nothing(self, dev: Api) -> None:
        new = await dev.sign_up(EMAIL)
        body = {"idToken": new["idToken"], "totpEnrollmentInfo": {}}
        answer = await v2(dev, "mfaEnrollment:start", body, status=400)
        assert answer["error"]["message"].startswith("UNVERIFIED_EMAIL")

    async def test_a_factor_is_withdrawn(self, dev: Api) -> None:
        new = await verified_user(dev)
        _, enrolled = await enrol_totp(dev, new["idToken"])
        (user,) = (await dev.call("lookup", {"idToken": enrolled["idToken"]}))["users"]
        factor = user["mfaInfo"][0]["mfaEnrollmentId"]
        body = {"idToken": enrolled["idToken"], "mfaEnrollmentId": factor}
        await v2(dev, "mfaEnrollment:withdraw", body)
        assert (await first_factor(dev))["idToken"]
        answer = await v2(dev, "mfaEnrollment:withdraw", body, status=400)
        assert answer["error"]["message"] == "MFA_ENROLLMENT_NOT_FOUND"

    async def test_an_administrator_helps_who_lost_the_app(self, dev: Api) -> None:
        new = await verified_user(dev)
        await enrol_totp(dev, new["idToken"])
        assert "mfaPendingCredential" in await first_factor(dev)
        body = {"localId": new["localId"], "mfa": {"enrollments": []}}
        await dev.admin("/accounts:update", body)
        assert (await first_factor(dev))["idToken"]


async def test_a_number_is_enrolled_and_asked_for(dev: Api) -> None:
    new = await verified_user(dev)
    body = {"idToken": new["idToken"], "phoneEnrollmentInfo": {"phoneNumber": PHONE}}
    session = (await v2(dev, "mfaEnrollment:start", body))["phoneSessionInfo"]["sessionInfo"]
    given = {"sessionInfo": session, "code": sms(dev).code}
    misused = await dev.error("signInWithPhoneNumber", given)
    assert misused == "INVALID_SESSION_INFO"
    body = {"idToken": new["idToken"], "phoneVerificationInfo": given}
    await v2(dev, "mfaEnrollment:finalize", body)
    first = await first_factor(dev)
    (info,) = first["mfaInfo"]
    assert info["phoneInfo"] == "+********4567"
    start = {
        "mfaPendingCredential": first["mfaPendingCredential"],
        "mfaEnrollmentId": info["mfaEnrollmentId"],
        "phoneSignInInfo": {},
    }
    answer = await v2(dev, "mfaSignIn:start", start)
    given = {"sessionInfo": answer["phoneResponseInfo"]["sessionInfo"], "code": sms(dev).code}
    body = {
        "mfaPendingCredential": first["mfaPendingCredential"],
        "phoneVerificationInfo": given,
    }
    done = await v2(dev, "mfaSignIn:finalize", body)
    claims = jwt.get_unverified_claims(done["idToken"])
    assert claims["firebase"]["sign_in_second_factor"] == "phone"
    answer = await v2(dev, "mfaSignIn:finalize", body, status=400)
    assert answer["error"]["message"] == "INVALID_MFA_PENDING_CREDENTIAL"
