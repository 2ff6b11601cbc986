import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jws, jwt

from baas.access.principal import ANONYMOUS, OWNER, PrincipalKind
from baas.auth.authenticator import Authenticator
from baas.auth.errors import AuthError
from baas.auth.service import AuthService, ProfileChange
from baas.auth.tokens import unsigned
from baas.errors import Unauthenticated
from tests.unit.auth.support import SCOPE, Clock

EMAIL, PASSWORD = "ada@example.com", "correct horse"


async def test_an_id_token_has_firebases_claims(service: AuthService, clock: Clock) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD, display_name="Ada")
    await service.update(SCOPE, new.id_token, ProfileChange(photo_url="https://x/y.png"))
    again, _ = await service.refresh(new.refresh_token)
    uid = new.account.uid
    assert jwt.get_unverified_claims(again.id_token) == {
        "iss": "https://securetoken.google.com/demo",
        "aud": "demo",
        "auth_time": int(clock.now),
        "user_id": uid,
        "sub": uid,
        "iat": int(clock.now),
        "exp": int(clock.now) + 3_600,
        "name": "Ada",
        "picture": "https://x/y.png",
        "email": EMAIL,
        "email_verified": False,
        "firebase": {"identities": {"email": [EMAIL]}, "sign_in_provider": "password"},
    }
    header = jwt.get_unverified_header(again.id_token)
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")


async def test_an_anonymous_token_says_so(service: AuthService) -> None:
    guest = await service.sign_up_anonymously(SCOPE)
    claims = jwt.get_unverified_claims(guest.id_token)
    assert claims["provider_id"] == "anonymous"
    assert claims["firebase"] == {"identities": {}, "sign_in_provider": "anonymous"}
    assert "email" not in claims


async def test_any_jwt_library_verifies_with_the_published_key(service: AuthService) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    keys = {key.key_id: key.public_jwk() for key in await service.context.keys.public_keys()}
    key = keys[jwt.get_unverified_header(new.id_token)["kid"]]
    options = {"verify_exp": False}  # the test's clock stands in the past
    claims = jwt.decode(new.id_token, key, ["RS256"], audience="demo", options=options)
    assert claims["sub"] == new.account.uid


async def test_a_token_gives_its_principal(service: AuthService, clock: Clock) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    for _ in range(2):  # the second one from memory
        principal = await service.verify_id_token(new.id_token, "demo")
        assert principal.kind is PrincipalKind.USER
        assert principal.uid == new.account.uid
        assert principal.claims["email"] == EMAIL
        assert principal.expires_at == clock.now + 3_600


async def test_a_token_of_another_project_is_refused(service: AuthService) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    with pytest.raises(Unauthenticated, match="another project"):
        await service.verify_id_token(new.id_token, "other")
    await service.verify_id_token(new.id_token, "demo")
    with pytest.raises(Unauthenticated, match="another project"):
        await service.verify_id_token(new.id_token, "other")


async def test_an_expired_token_is_refused_remembered_or_not(
    service: AuthService, clock: Clock
) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    await service.verify_id_token(new.id_token, "demo")
    clock.advance(3_600 + 30)  # within the skew
    await service.verify_id_token(new.id_token, "demo")
    clock.advance(31)
    with pytest.raises(Unauthenticated, match="expired"):
        await service.verify_id_token(new.id_token, "demo")


async def test_a_token_from_the_future_is_refused(service: AuthService, clock: Clock) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    clock.advance(-120)
    with pytest.raises(Unauthenticated, match="future"):
        await service.verify_id_token(new.id_token, "demo")


def forge(token: str, **header: str) -> str:
    """The token's claims, under another header and without a good signature."""
    _, claims, signature = token.split(".")
    text = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{text}.{claims}.{signature}"


async def test_an_unsigned_token_is_refused_in_production(service: AuthService) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    for alg in ("none", "None", "NONE", ""):
        with pytest.raises(Unauthenticated, match="signed with RS256"):
            await service.verify_id_token(forge(new.id_token, alg=alg, typ="JWT"), "demo")
    claims = jwt.get_unverified_claims(new.id_token)
    with pytest.raises(Unauthenticated, match="signed with RS256"):
        await service.verify_id_token(unsigned(claims), "demo")


async def test_the_public_key_is_no_hmac_secret(service: AuthService) -> None:
    """Key confusion: HS256 over the public key must not pass for RS256."""
    new = await service.sign_up_anonymously(SCOPE)
    key = (await service.context.keys.public_keys())[0]
    header = {"kid": key.key_id}
    claims = jwt.get_unverified_claims(new.id_token)
    forged = jws.sign(claims, json.dumps(key.public_jwk()), header, "HS256")
    with pytest.raises(Unauthenticated, match="signed with RS256"):
        await service.verify_id_token(forged, "demo")
    pretending = forge(forged, alg="RS256", kid=key.key_id)
    with pytest.raises(Unauthenticated, match="wrong signature"):
        await service.verify_id_token(pretending, "demo")


async def test_a_token_of_a_strange_key_is_refused(service: AuthService) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    strange = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = strange.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    claims = jwt.get_unverified_claims(new.id_token)
    known = jwt.get_unverified_header(new.id_token)["kid"]
    for kid, reason in (("strange", "does not know"), (known, "wrong signature")):
        forged = jws.sign(claims, pem, {"kid": kid}, "RS256")
        with pytest.raises(Unauthenticated, match=reason):
            await service.verify_id_token(forged, "demo")


async def test_changed_claims_are_refused(service: AuthService) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    await service.verify_id_token(new.id_token, "demo")
    header, _, signature = new.id_token.split(".")
    claims = jwt.get_unverified_claims(new.id_token) | {"admin": True}
    changed = f"{header}.{unsigned(claims).split('.')[1]}.{signature}"
    with pytest.raises(Unauthenticated, match="wrong signature"):
        await service.verify_id_token(changed, "demo")


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c.d", "....", "e30.W10.x", "x" * 20_000])
async def test_what_is_no_token_is_refused(service: AuthService, token: str) -> None:
    with pytest.raises(Unauthenticated, match="not a JSON Web Token"):
        await service.verify_id_token(token, "demo")


async def test_rotation_logs_nobody_out(service: AuthService) -> None:
    old = await service.sign_up_anonymously(SCOPE)
    key_id = await service.context.keys.rotate()
    new = await service.sign_up_anonymously(SCOPE)
    assert jwt.get_unverified_header(new.id_token)["kid"] == key_id
    assert jwt.get_unverified_header(old.id_token)["kid"] != key_id
    for signed_in in (old, new):
        await service.verify_id_token(signed_in.id_token, "demo")


async def test_revoking_the_keys_ends_remembered_tokens(service: AuthService) -> None:
    old = await service.sign_up_anonymously(SCOPE)
    await service.verify_id_token(old.id_token, "demo")
    await service.context.keys.rotate(revoke=True)
    with pytest.raises(Unauthenticated, match="does not know"):
        await service.verify_id_token(old.id_token, "demo")


async def test_a_key_is_followed_in_time_by_one_published_before(make_service, clock) -> None:
    service = make_service(signing_key_lifetime_s=10 * 86_400)
    await service.context.keys.rotate(revoke=True)
    first = await service.sign_up_anonymously(SCOPE)
    clock.advance(8.5 * 86_400)
    second = await service.sign_up_anonymously(SCOPE)
    kids = [jwt.get_unverified_header(s.id_token)["kid"] for s in (first, second)]
    published = [key.key_id for key in await service.context.keys.public_keys()]
    assert kids[0] == kids[1]
    assert len(published) == 2
    clock.advance(1.2 * 86_400)
    third = await service.sign_up_anonymously(SCOPE)
    assert jwt.get_unverified_header(third.id_token)["kid"] not in kids
    assert jwt.get_unverified_header(third.id_token)["kid"] in published


async def test_nodes_share_their_keys(make_service) -> None:
    one, two = make_service(), make_service()
    new = await one.sign_up_anonymously(SCOPE)
    assert (await two.verify_id_token(new.id_token, "demo")).uid == new.account.uid


async def test_where_it_is_asked_revoked_tokens_are_refused(
    service: AuthService, clock: Clock
) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    clock.advance(1)
    await service.update(SCOPE, new.id_token, ProfileChange(password="another horse"))
    await service.verify_id_token(new.id_token, "demo")
    with pytest.raises(Unauthenticated, match="TOKEN_EXPIRED"):
        await service.verify_id_token(new.id_token, "demo", check_revoked=True)


async def test_a_deleted_user_is_refused_where_it_is_asked(service: AuthService) -> None:
    new = await service.sign_up_anonymously(SCOPE)
    await service.delete(SCOPE, new.id_token)
    with pytest.raises(Unauthenticated, match="USER_NOT_FOUND"):
        await service.verify_id_token(new.id_token, "demo", check_revoked=True)


async def test_a_tenants_token_is_not_the_projects(service: AuthService) -> None:
    tenant = await service.configs.create_tenant("demo", {"enableAnonymousUser": True})
    new = await service.sign_up_anonymously(tenant)
    assert jwt.get_unverified_claims(new.id_token)["firebase"]["tenant"] == tenant.tenant
    with pytest.raises(AuthError, match="TENANT_ID_MISMATCH"):
        await service.lookup(SCOPE, new.id_token)


class TestAuthenticator:
    async def test_without_credentials_the_caller_is_anonymous(self, service: AuthService) -> None:
        for header in (None, "", "  "):
            assert await Authenticator(service).principal(header, "demo") == ANONYMOUS

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Firebase"])
    async def test_a_bearer_is_verified(self, service: AuthService, scheme: str) -> None:
        new = await service.sign_up_anonymously(SCOPE)
        principal = await Authenticator(service).principal(f"{scheme} {new.id_token}", "demo")
        assert principal.uid == new.account.uid

    @pytest.mark.parametrize("header", ["Bearer", "Basic eDp5", "Bearer  ", "x"])
    async def test_a_malformed_header_is_refused(self, service: AuthService, header: str) -> None:
        with pytest.raises(Unauthenticated, match="Authorization header"):
            await Authenticator(service).principal(header, "demo")

    async def test_production_knows_no_owner(self, service: AuthService) -> None:
        with pytest.raises(Unauthenticated, match="development mode"):
            await Authenticator(service).principal("Bearer owner", "demo")

    async def test_development_mode_knows_the_owner(self, make_service) -> None:
        service = make_service(dev=True)
        assert await Authenticator(service).principal("Bearer owner", "demo") == OWNER

    async def test_development_mode_takes_unsigned_tokens(self, make_service) -> None:
        service = make_service(dev=True)
        token = unsigned({"sub": "alice", "email": "a@b.c", "admin": True})
        principal = await Authenticator(service).principal(f"Bearer {token}", "any")
        assert (principal.uid, principal.claims["admin"]) == ("alice", True)

    async def test_development_mode_still_checks_signatures(self, make_service) -> None:
        service = make_service(dev=True, sign_dev_tokens=True)
        new = await service.sign_up_anonymously(SCOPE)
        with pytest.raises(Unauthenticated, match="RS256"):
            await service.verify_id_token(forge(new.id_token, alg="none"), "demo")
