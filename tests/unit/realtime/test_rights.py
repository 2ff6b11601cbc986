"""Who may listen: at first, and when anything that the answer depended on changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from baas.access.principal import ANONYMOUS, Principal
from baas.errors import ApiError, PermissionDenied, Unauthenticated
from baas.model.query import Query
from baas.model.values import Timestamp
from baas.model.watch import DocumentChange, DocumentRemove, ListenResponse
from baas.realtime.options import RealtimeOptions
from baas.realtime.ports import Lookup
from tests.unit.realtime.harness import Setting, query, user
from tests.unit.realtime.memory import AllowAll, OwnersAndMembers

ANN = user("ann")


@pytest_asyncio.fixture
async def setting() -> AsyncIterator[Setting]:
    made = Setting(rights=OwnersAndMembers())
    yield made
    await made.service.close()


def told(responses: list[ListenResponse]) -> list[str]:
    """The paths of documents whose content was told."""
    return [
        "/".join(response.document.name.segments)
        for response in responses
        if isinstance(response, DocumentChange)
    ]


async def test_a_denied_query_is_removed_with_its_cause_and_others_live_on(
    setting: Setting,
) -> None:
    ann = setting.listener(ANN)
    await ann.listen(2, query("notes"))
    await ann.listen(4, query("secret"))
    assert ann.cause(4) == "PERMISSION_DENIED"
    setting.store.write({"notes/a": {"n": 1}})
    await ann.hear()
    assert ann.documents(2) == {"notes/a": {"n": 1}}


async def test_a_document_that_is_denied_is_never_told(setting: Setting) -> None:
    setting.store.write({"notes/a": {"owner": "bob"}})
    ann = setting.listener(ANN)
    await ann.listen(2, "notes/a")
    assert ann.cause(2) == "PERMISSION_DENIED"
    assert told(ann.heard) == []


async def test_a_document_that_becomes_another_users_ends_its_listener_untold(
    setting: Setting,
) -> None:
    setting.store.write({"notes/a": {"owner": "ann", "n": 1}})
    ann = setting.listener(ANN)
    await ann.listen(2, "notes/a")
    setting.store.write({"notes/a": {"owner": "bob", "n": 2}})
    assert told(await ann.hear()) == []
    assert ann.cause(2) == "PERMISSION_DENIED"
    setting.store.write({"notes/a": {"owner": "ann", "n": 3}})
    assert await ann.hear() == []


async def test_a_document_that_leaves_a_query_is_shown_only_to_who_may_read_it(
    setting: Setting,
) -> None:
    setting.store.write({"notes/a": {"owner": "ann"}, "notes/b": {"owner": "ann"}})
    ann = setting.listener(ANN)
    await ann.listen(2, query("notes", owner="ann"))
    setting.store.write({"notes/a": {"owner": "bob"}, "notes/b": {"other": 1}})
    heard = await ann.hear()
    assert told(heard) == ["notes/b"]
    assert [r.name.id for r in heard if isinstance(r, DocumentRemove)] == ["a"]
    assert ann.documents(2) == {}


async def test_two_users_with_one_view_are_shown_what_each_may_see(setting: Setting) -> None:
    setting.store.write({"notes/a": {"done": False}})
    ann, bob = setting.listener(ANN), setting.listener(user("bob"))
    for listener in (ann, bob):
        await listener.listen(2, query("notes", done=False))
    setting.store.write({"notes/a": {"owner": "bob", "done": True}})
    assert told(await ann.hear()) == []
    assert told(await bob.hear()) == ["notes/a"]


@pytest.mark.parametrize("watched", [query("club"), "club/a"])
async def test_losing_the_membership_that_a_rule_looked_up_ends_the_listener(
    setting: Setting, watched: object
) -> None:
    setting.store.write({"members/ann": {"in": True}, "club/a": {"n": 1}})
    ann = setting.listener(ANN)
    await ann.listen(2, watched)  # type: ignore[arg-type]
    assert ann.documents(2) == {"club/a": {"n": 1}}
    setting.store.write({"members/ann": None, "club/a": {"n": 2}})
    assert told(await ann.hear()) == []
    assert ann.cause(2) == "PERMISSION_DENIED"


async def test_nothing_is_told_while_the_right_is_being_looked_up(setting: Setting) -> None:
    setting.store.write({"members/ann": {"in": True}, "club/a": {"n": 1}})
    ann = setting.listener(ANN)
    await ann.listen(2, query("club"))
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    setting.store.before_read = wait
    setting.store.write({"members/ann": {"in": True, "since": 1}})
    setting.store.write({"club/a": {"n": 2}})
    assert await ann.hear() == []
    gate.set()
    assert told(await ann.hear()) == ["club/a"]


async def test_a_membership_lost_before_its_look_up_came_back_counts(setting: Setting) -> None:
    setting.store.write({"members/ann": {"in": True}, "club/a": {"n": 1}})
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    setting.store.after_read = wait
    ann = setting.listener(ANN)
    asked = asyncio.ensure_future(ann.listen(2, query("club")))
    await ann.hear()
    setting.store.write({"members/ann": None})
    gate.set()
    await asked
    await ann.hear()
    assert told(ann.heard) == []
    assert ann.cause(2) == "PERMISSION_DENIED"


async def test_signing_out_judges_every_target_again(setting: Setting) -> None:
    setting.store.write({"notes/a": {"owner": "ann"}, "notes/b": {}})
    ann = setting.listener(ANN)
    await ann.listen(2, "notes/a")
    await ann.listen(4, "notes/b")
    await ann.stream.set_principal(ANONYMOUS)
    await ann.hear()
    assert ann.cause(2) == "PERMISSION_DENIED"
    assert ann.documents(4) == {"notes/b": {}}


async def test_new_rules_judge_every_target_again() -> None:
    rights = OwnersAndMembers()
    setting = Setting(rights=rights)
    ann = setting.listener(ANN)
    await ann.listen(2, query("notes"))
    await ann.listen(4, query("other"))

    def stricter(principal: object, asked: object, lookup: object, time: object) -> None:
        if asked == query("notes"):
            raise Unauthenticated("closed today")

    rights.check_query = stricter  # type: ignore[method-assign, assignment]
    setting.service.rules_released("demo", "firebase.storage")
    assert await ann.hear() == []
    setting.service.rules_released(None, "cloud.firestore")
    await ann.hear()
    assert ann.cause(2) == "UNAUTHENTICATED"
    assert list(ann.client.targets) == [4]
    await setting.service.close()


async def test_an_expired_token_ends_the_stream() -> None:
    setting = Setting(RealtimeOptions(expiry_grace=0.0))
    ann = setting.listener(user("ann", expires_at=1.0))
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(anext(aiter(ann.stream)), 10)
    await setting.service.close()


async def test_a_fresh_token_keeps_the_stream_alive() -> None:
    setting = Setting(RealtimeOptions(expiry_grace=0.0))
    ann, bob = (setting.listener(user(uid, expires_at=1.0)) for uid in ("ann", "bob"))
    await ann.stream.set_principal(user("ann", expires_at=4e9))
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(anext(aiter(bob.stream)), 10)
    assert ann.stream.failure is None
    await setting.service.close()


async def test_a_clock_that_is_set_back_gives_a_token_its_time_again() -> None:
    clock = [2_000_000]
    setting = Setting(RealtimeOptions(expiry_grace=0.0), now=lambda: clock[0])
    ann, bob = (setting.listener(user(uid, expires_at=2.0)) for uid in ("ann", "bob"))
    clock[0] = 1_000_000
    await bob.stream.set_principal(user("bob", expires_at=1.0))
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(anext(aiter(bob.stream)), 10)
    assert ann.stream.failure is None
    await setting.service.close()


async def test_a_clock_that_is_set_forward_ends_what_has_expired() -> None:
    clock = [1_000_000]
    setting = Setting(RealtimeOptions(expiry_grace=0.0), now=lambda: clock[0])
    ann = setting.listener(user("ann", expires_at=3_600.0))
    clock[0] = 3_601_000_000
    ann.stream.advance()
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(anext(aiter(ann.stream)), 10)
    await setting.service.close()


async def test_a_disabled_user_loses_every_stream(setting: Setting) -> None:
    ann, bob = setting.listener(ANN), setting.listener(user("bob"))
    setting.service.end_user("demo", "ann", Unauthenticated("The account is disabled."))
    assert isinstance(ann.stream.failure, ApiError)
    assert bob.stream.failure is None


async def test_a_user_of_another_project_is_denied(setting: Setting) -> None:
    ann = setting.listener(replace(ANN, project="elsewhere"))
    await ann.listen(2, query("notes"))
    assert ann.cause(2) == "PERMISSION_DENIED"


async def test_a_right_that_hangs_on_a_collection_having_documents_is_judged_with_it() -> None:
    class WhileThereAreAny(AllowAll):
        def check_query(
            self, principal: Principal, query: Query, lookup: Lookup, time: Timestamp
        ) -> None:
            if not lookup.has_documents(("passes",)):
                raise PermissionDenied("no passes are left")

    setting = Setting(rights=WhileThereAreAny())
    setting.store.write({"passes/a": {}})
    ann = setting.listener(ANN)
    await ann.listen(2, query("notes"))
    assert ann.documents(2) == {}
    setting.store.write({"passes/a": None, "notes/a": {}})
    assert told(await ann.hear()) == []
    assert ann.cause(2) == "PERMISSION_DENIED"
    await setting.service.close()
