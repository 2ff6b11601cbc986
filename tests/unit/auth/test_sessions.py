import pytest

from baas.auth.errors import AuthError
from baas.auth.service import AuthService, ProfileChange
from baas.db.sqlite import SqliteDatabase
from tests.unit.auth.support import SCOPE, Clock

EMAIL, PASSWORD = "ada@example.com", "correct horse"


async def refresh(service: AuthService, token: str) -> str:
    return (await service.refresh(token))[0].refresh_token


async def test_a_refresh_gives_a_fresh_id_token_of_the_same_sign_in(
    service: AuthService, clock: Clock
) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    before = await service.verify_id_token(new.id_token, "demo")
    clock.advance(4_000)
    renewed, scope = await service.refresh(new.refresh_token)
    after = await service.verify_id_token(renewed.id_token, "demo")
    assert scope == SCOPE
    assert after.uid == before.uid
    assert after.claims["auth_time"] == before.claims["auth_time"]
    assert after.claims["iat"] == int(clock.now)
    assert renewed.account.last_refresh_at == clock.now * 1_000


async def test_each_use_gives_another_token(service: AuthService) -> None:
    token = (await service.sign_up_anonymously(SCOPE)).refresh_token
    seen = {token}
    for _ in range(5):
        token = await refresh(service, token)
        assert token not in seen
        seen.add(token)


async def test_a_token_that_comes_twice_at_once_gets_the_same_answer(service: AuthService) -> None:
    first = (await service.sign_up_anonymously(SCOPE)).refresh_token
    second = await refresh(service, first)
    assert await refresh(service, first) == second
    assert await refresh(service, second)


async def test_a_lost_answer_logs_nobody_out(service: AuthService, clock: Clock) -> None:
    first = (await service.sign_up_anonymously(SCOPE)).refresh_token
    await refresh(service, first)
    clock.advance(86_400)
    second = await refresh(service, first)
    assert await refresh(service, second)


async def test_a_stolen_old_token_ends_the_session(service: AuthService, clock: Clock) -> None:
    first = (await service.sign_up_anonymously(SCOPE)).refresh_token
    third = await refresh(service, await refresh(service, first))
    with pytest.raises(AuthError, match="TOKEN_EXPIRED"):
        await refresh(service, first)
    with pytest.raises(AuthError, match="TOKEN_EXPIRED"):
        await refresh(service, third)


async def test_two_who_share_a_session_are_found_out(service: AuthService, clock: Clock) -> None:
    """Thief and owner who refresh in turns: each is late with the token before the current one."""
    token = (await service.sign_up_anonymously(SCOPE)).refresh_token
    for _ in range(3):
        following = await refresh(service, token)
        clock.advance(3_000)
        assert await refresh(service, token) == following
        token = following
    await refresh(service, token)
    clock.advance(3_000)
    with pytest.raises(AuthError, match="TOKEN_EXPIRED"):
        await refresh(service, token)


async def test_one_session_ends_without_the_others(service: AuthService) -> None:
    await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    one = await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
    two = await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
    third = await refresh(service, await refresh(service, one.refresh_token))
    for ended in (one.refresh_token, third):
        with pytest.raises(AuthError):
            await refresh(service, ended)
    assert await refresh(service, two.refresh_token)


@pytest.mark.parametrize("token", ["", "x", "x.y", ".", "a" * 10_000, "a." + "b" * 10_000])
async def test_what_is_no_refresh_token_is_refused(service: AuthService, token: str) -> None:
    with pytest.raises(AuthError, match="INVALID_REFRESH_TOKEN"):
        await service.refresh(token)


async def test_a_new_password_ends_all_other_sessions(service: AuthService) -> None:
    old = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    _, new = await service.update(SCOPE, old.id_token, ProfileChange(password="another horse"))
    assert new is not None
    with pytest.raises(AuthError, match="TOKEN_EXPIRED"):
        await service.refresh(old.refresh_token)
    assert await refresh(service, new.refresh_token)
    with pytest.raises(AuthError, match="INVALID_LOGIN_CREDENTIALS"):
        await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)


async def test_the_database_holds_no_token_and_no_password(
    service: AuthService, database: SqliteDatabase
) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    renewed, _ = await service.refresh(new.refresh_token)
    await database.close()
    files = b"".join(path.read_bytes() for path in database._path.parent.glob("homefire.db*"))
    assert EMAIL.encode() in files
    secrets = [PASSWORD, new.id_token, *new.refresh_token.split(".")]
    secrets += renewed.refresh_token.split(".")
    for secret in (*secrets, "PRIVATE KEY"):
        assert secret.encode() not in files


async def test_a_sensitive_change_asks_for_a_recent_sign_in(
    service: AuthService, clock: Clock
) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    clock.advance(301)
    renewed, _ = await service.refresh(new.refresh_token)
    with pytest.raises(AuthError, match="CREDENTIAL_TOO_OLD_LOGIN_AGAIN"):
        await service.update(SCOPE, renewed.id_token, ProfileChange(password="another horse"))
    with pytest.raises(AuthError, match="CREDENTIAL_TOO_OLD_LOGIN_AGAIN"):
        await service.delete(SCOPE, renewed.id_token)
    await service.update(SCOPE, renewed.id_token, ProfileChange(display_name="Ada"))
    again = await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
    await service.delete(SCOPE, again.id_token)


async def test_a_deleted_account_is_gone_with_its_sessions(service: AuthService) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    await service.delete(SCOPE, new.id_token)
    with pytest.raises(AuthError, match="TOKEN_EXPIRED"):
        await service.refresh(new.refresh_token)
    with pytest.raises(AuthError, match="USER_NOT_FOUND"):
        await service.lookup(SCOPE, new.id_token)
    await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)


async def test_a_protected_address_is_not_changed_unverified(make_service) -> None:
    service = make_service()
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    change = ProfileChange(email="new@example.com")
    with pytest.raises(AuthError, match="OPERATION_NOT_ALLOWED : Please verify the new email"):
        await service.update(SCOPE, new.id_token, change)
    open_service = make_service(email_enumeration_protection=False)
    account, _ = await open_service.update(SCOPE, new.id_token, change)
    assert account.email == "new@example.com"


async def test_names_are_changed_and_removed(service: AuthService) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    account, _ = await service.update(SCOPE, new.id_token, ProfileChange(display_name="Ada"))
    assert account.display_name == "Ada"
    account, _ = await service.update(SCOPE, new.id_token, ProfileChange(photo_url="https://x"))
    assert (account.display_name, account.photo_url) == ("Ada", "https://x")
    account, _ = await service.update(SCOPE, new.id_token, ProfileChange(display_name=""))
    assert account.display_name is None


async def test_who_unlinks_the_password_provider_cannot_sign_in_by_it(service: AuthService) -> None:
    new = await service.sign_up(SCOPE, email=EMAIL, password=PASSWORD)
    account, _ = await service.update(SCOPE, new.id_token, ProfileChange(unlink=("password",)))
    assert account.sign_in_methods() == []
    with pytest.raises(AuthError, match="INVALID_LOGIN_CREDENTIALS"):
        await service.sign_in(SCOPE, email=EMAIL, password=PASSWORD)
