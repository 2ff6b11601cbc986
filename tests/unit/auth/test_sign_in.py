import asyncio

import pytest

from baas.auth.errors import AuthError
from baas.auth.hooks import Client
from baas.auth.options import HashOptions, LimitOptions, Scope
from baas.auth.service import AuthService, ProfileChange
from baas.errors import ResourceExhausted
from tests.unit.auth.support import SCOPE, Clock

EMAIL, PASSWORD = "ada@example.com", "correct horse"


async def test_who_signs_up_can_sign_in(service: AuthService) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD, display_name="Ada")
    back = await service.sign_in(SCOPE, email="ADA@example.com ", password=PASSWORD)
    assert new.is_new
    assert back.account.uid == new.account.uid
    assert (back.account.email, back.account.display_name) == (EMAIL, "Ada")


async def test_an_address_has_one_account(service: AuthService) -> None:
    await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    with pytest.raises(AuthError, match="EMAIL_EXISTS"):
        await service.sign_up(SCOPE, email="Ada@Example.com", password=PASSWORD)


async def test_projects_and_tenants_know_nothing_of_each_other(service: AuthService) -> None:
    await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    tenant = await service.configs.create_tenant("demo", {"allowPasswordSignup": True})
    for other in (Scope("other"), tenant):
        with pytest.raises(AuthError, match="INVALID_LOGIN_CREDENTIALS"):
            await service.sign_in(other, email=EMAIL, password=PASSWORD)
        await service.sign_up(other, email=EMAIL, password=PASSWORD)


@pytest.mark.parametrize("email", [EMAIL, "unknown@example.com"])
async def test_the_answer_does_not_tell_who_has_an_account(
    service: AuthService, email: str
) -> None:
    await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    with pytest.raises(AuthError, match=r"^INVALID_LOGIN_CREDENTIALS$"):
        await service.sign_in(SCOPE, email=email, password="wrong one")


async def test_an_unknown_address_costs_a_hash_too(
    service: AuthService, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = service.context.passwords._hasher
    verified: list[str] = []

    def spy(secret: str, encoded: str) -> bool:
        verified.append(encoded)
        return False

    monkeypatch.setattr(hasher, "verify", spy)
    with pytest.raises(AuthError):
        await service.sign_in(SCOPE, email="unknown@example.com", password="anything")
    assert verified[0].startswith("$argon2id$v=19$m=64,t=1,p=1$")


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("no address", PASSWORD, "INVALID_EMAIL"),
        ("a@b@c.d", PASSWORD, "INVALID_EMAIL"),
        (f"{'a' * 260}@example.com", PASSWORD, "INVALID_EMAIL"),
        (EMAIL, "short", "WEAK_PASSWORD : Password should be at least 6 characters"),
        (EMAIL, "x" * 5_000, "INVALID_PASSWORD"),
    ],
)
async def test_a_bad_sign_up_is_refused(
    service: AuthService, email: str, password: str, code: str
) -> None:
    with pytest.raises(AuthError, match=code):
        await service.sign_up(SCOPE, email=email, password=password)


async def test_anonymous_accounts_become_real_and_keep_their_uid(service: AuthService) -> None:
    guest = await service.sign_up_anonymously(SCOPE)
    assert guest.account.is_anonymous
    change = ProfileChange(email=EMAIL, password=PASSWORD)
    account, renewed = await service.update(SCOPE, guest.id_token, change)
    assert renewed is not None
    assert account.uid == guest.account.uid
    assert (await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)).account.uid == account.uid


async def test_guessing_is_slowed_down_and_forgiven(make_service, clock: Clock) -> None:
    service = make_service(limits=LimitOptions(account_failures=3))
    await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    for _ in range(3):
        with pytest.raises(AuthError, match="INVALID_LOGIN_CREDENTIALS"):
            await service.sign_in(SCOPE, email=EMAIL, password="guess")
    with pytest.raises(AuthError, match="TOO_MANY_ATTEMPTS_TRY_LATER"):
        await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
    clock.advance(3)
    await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
    with pytest.raises(AuthError, match="INVALID_LOGIN_CREDENTIALS"):
        await service.sign_in(SCOPE, email=EMAIL, password="guess")
    await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)


async def test_each_further_failure_doubles_the_wait(make_service, clock: Clock) -> None:
    service = make_service(limits=LimitOptions(account_failures=1, first_block_s=10))
    for wait in (10, 20, 40):
        with pytest.raises(AuthError, match="INVALID_LOGIN_CREDENTIALS"):
            await service.sign_in(SCOPE, email=EMAIL, password="guess")
        clock.advance(wait - 1)
        with pytest.raises(AuthError, match="TOO_MANY_ATTEMPTS"):
            await service.sign_in(SCOPE, email=EMAIL, password="guess")
        clock.advance(1)


async def test_an_address_that_guesses_at_many_accounts_is_stopped(make_service) -> None:
    service = make_service(limits=LimitOptions(address_failures=3))
    for number in range(3):
        with pytest.raises(AuthError, match="INVALID_LOGIN_CREDENTIALS"):
            await service.sign_in(
                SCOPE, email=f"u{number}@example.com", password="guess", client=Client("10.0.0.1")
            )
    with pytest.raises(AuthError, match="TOO_MANY_ATTEMPTS"):
        await service.sign_in(
            SCOPE, email="u9@example.com", password="guess", client=Client("10.0.0.1")
        )


async def test_one_address_makes_so_many_accounts_an_hour(make_service, clock: Clock) -> None:
    service = make_service(limits=LimitOptions(sign_ups_per_hour=2))
    for _ in range(2):
        await service.sign_up_anonymously(SCOPE, client=Client("10.0.0.1"))
    with pytest.raises(AuthError, match="TOO_MANY_ATTEMPTS"):
        await service.sign_up_anonymously(SCOPE, client=Client("10.0.0.1"))
    await service.sign_up_anonymously(SCOPE, client=Client("10.0.0.2"))
    clock.advance(3_600)
    await service.sign_up_anonymously(SCOPE, client=Client("10.0.0.1"))


async def test_a_flood_of_passwords_is_refused_not_queued(make_service) -> None:
    hashing = HashOptions(time_cost=1, memory_kib=64, workers=1, max_waiting=2)
    service = make_service(hashing=hashing)
    attempts = [
        service.sign_up(SCOPE, email=f"u{number}@example.com", password=PASSWORD)
        for number in range(50)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [o for o in outcomes if isinstance(o, ResourceExhausted)]
    assert refused
    assert len(refused) < len(outcomes)
    assert not [o for o in outcomes if isinstance(o, Exception) and o not in refused]


async def test_hashes_of_other_costs_are_upgraded_at_sign_in(make_service) -> None:
    await make_service().sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    dearer = make_service(hashing=HashOptions(time_cost=2, memory_kib=128))
    await dearer.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
    back = await dearer.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
    assert "m=128,t=2" in (back.account.password_hash or "")


async def test_sign_up_can_be_closed(make_service) -> None:
    service = make_service(allow_sign_up=False)
    with pytest.raises(AuthError, match="ADMIN_ONLY_OPERATION"):
        await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
