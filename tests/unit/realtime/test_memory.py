"""What listeners take of memory: bounded while they are there, given back when they have gone."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from baas.access.principal import OWNER
from baas.errors import ResourceExhausted
from baas.model.watch import AddTarget, Target, TargetChange, TargetChangeType
from baas.realtime.budget import Budget
from baas.realtime.options import RealtimeOptions
from tests.unit.realtime.harness import Listener, Setting, query, user
from tests.unit.realtime.memory import DATABASE, OwnersAndMembers, settle

TEN_KIB = "x" * 10_000


async def _come_and_go(setting: Setting, streams: int) -> None:
    """Streams of all kinds, a hundred at a time; half of them never read what they are told."""
    for begin in range(0, streams, 100):
        opened = []
        for number in range(begin, begin + 100):
            stream = setting.service.open(DATABASE, user(f"user{number}", expires_at=4e9))
            owned = query("notes", owner=f"user{number}")
            limited = query("notes", order="n", limit=2)
            for target_id, watched in enumerate((owned, limited), start=1):
                await stream.request(AddTarget(DATABASE, Target(target_id, watched)))
            opened.append(stream)
        await settle()
        setting.store.write({f"notes/{begin % 400}": {"n": begin, "owner": f"user{begin}"}})
        await settle()
        for number, stream in enumerate(opened):
            if number % 2:
                while stream.take() is not None:
                    pass
            stream.close()
        setting.store.states = {setting.store.version: setting.store.states[setting.store.version]}
        setting.store.log.clear()
    await settle()


async def test_memory_returns_after_ten_thousand_streams_come_and_go() -> None:
    setting = Setting(rights=OwnersAndMembers())
    stays = setting.service.open(DATABASE, OWNER)
    await _come_and_go(setting, 500)
    gc.collect()
    before = sys.getallocatedblocks()
    await _come_and_go(setting, 10_000)
    gc.collect()
    after = sys.getallocatedblocks()
    figures = setting.service.metrics()
    assert (figures.streams, figures.targets, figures.views) == (1, 0, 0)
    assert (figures.pending_bytes, figures.held_bytes) == (0, 0)
    assert after - before < 10_000 // 5, "an object for every fifth stream would be a leak"
    stays.close()
    assert setting.service.metrics().databases == 0


async def _come_back_after(setting: Setting, changed: int) -> Listener:
    """A listener that was away while so many documents of ten kilobytes were changed; it reads nothing."""
    listener = setting.listener()
    await listener.listen(1, query("notes"))
    known = listener.client.targets[1]
    listener.stream.close()
    for number in range(changed):
        setting.store.write({f"notes/{number}": {"text": TEN_KIB}})
    back = setting.listener()
    await back.listen(1, query("notes"), known=known, deaf=True)
    return back


async def test_a_resume_that_has_to_look_at_too_many_bytes_starts_afresh() -> None:
    setting = Setting(RealtimeOptions(replayed_bytes=50_000))
    for changed, afresh in ((4, False), (6, True)):
        back = await _come_back_after(setting, changed)
        heard = await back.hear()
        kinds = [each.kind for each in heard if isinstance(each, TargetChange)]
        assert (TargetChangeType.RESET in kinds) is afresh
        setting.store.write({f"notes/{number}": None for number in range(changed)})
        back.stream.close()


async def test_what_was_missed_counts_as_held_until_it_is_taken() -> None:
    setting = Setting(RealtimeOptions(replayed_bytes=50_000))
    back = await _come_back_after(setting, 4)
    held = setting.service.metrics().held_bytes
    assert 40_000 < held < 50_000
    await back.hear()
    assert len(back.documents(1)) == 4
    assert setting.service.metrics().held_bytes == 0


async def test_a_burst_for_a_slow_reader_takes_bounded_memory_and_ends_in_the_latest_state() -> (
    None
):
    options = RealtimeOptions(merge_bytes=64 * 1024, reset_bytes=512 * 1024)
    setting = Setting(options)
    listener = setting.listener()
    await listener.listen(1, query("notes"))
    most = 0
    for number in range(1_000):
        # as few documents as merging keeps within bounds
        setting.store.write({f"notes/{number % 20}": {"n": number, "text": TEN_KIB}})
        await settle()
        most = max(most, setting.service.metrics().pending_bytes)
    assert most <= options.merge_bytes + 20 * (len(TEN_KIB) + 1_000)
    heard = await listener.hear()
    assert len(heard) == 21, "each document once, in its newest state, and the snapshot"
    assert sorted(each["n"] for each in listener.documents(1).values()) == list(range(980, 1_000))


async def test_a_burst_that_cannot_be_merged_ends_in_the_latest_state_too() -> None:
    options = RealtimeOptions(merge_bytes=64 * 1024, reset_bytes=512 * 1024)
    setting = Setting(options)
    listener = setting.listener()
    await listener.listen(1, query("notes"))
    most = 0
    for number in range(1_000):
        setting.store.write({f"notes/{number}": {"n": number, "text": TEN_KIB}})
        await settle()
        most = max(most, setting.service.metrics().pending_bytes)
    assert most <= options.reset_bytes
    heard = await listener.hear()
    kinds = [each.kind for each in heard if isinstance(each, TargetChange)]
    assert kinds[0] is TargetChangeType.RESET
    assert len(listener.documents(1)) == 1_000


def _big(setting: Setting, collection: str, documents: int = 10) -> None:
    setting.store.write({f"{collection}/{i}": {"text": TEN_KIB, "n": i} for i in range(documents)})


async def test_a_result_that_is_too_large_is_refused_and_the_others_go_on() -> None:
    setting = Setting(RealtimeOptions(kept_bytes=1_000, max_result_bytes=60_000, look_ahead=0))
    _big(setting, "big")
    listener = setting.listener()
    await listener.listen(1, query("big"))
    await listener.listen(2, query("big", order="n", limit=2))
    assert listener.cause(1) == "RESOURCE_EXHAUSTED"
    assert set(listener.documents(2)) == {"big/0", "big/1"}


async def test_large_results_wait_for_each_other_and_are_read_when_readers_have_taken_theirs() -> (
    None
):
    options = RealtimeOptions(
        kept_bytes=20_000, max_result_bytes=150_000, held_bytes=250_000, batch_bytes=20_000
    )
    setting = Setting(options)
    slow = []
    for number in range(4):
        _big(setting, f"big{number}")
        slow.append(setting.listener())
        await slow[-1].listen(1, query(f"big{number}"), deaf=True)
    assert setting.service.metrics().held_bytes <= options.held_bytes
    for listener in slow:
        await listener.hear()
        assert len(listener.documents(1)) == 10
    assert setting.service.metrics().held_bytes == 0


async def test_a_stream_that_is_closed_makes_room_at_once() -> None:
    options = RealtimeOptions(
        kept_bytes=20_000, max_result_bytes=150_000, held_bytes=150_000, batch_bytes=20_000
    )
    setting = Setting(options)
    _big(setting, "one")
    _big(setting, "two")
    first, second = setting.listener(), setting.listener()
    await first.listen(1, query("one"), deaf=True)
    await second.listen(1, query("two"))
    assert not second.client.targets[1].current
    first.stream.close()
    await second.hear()
    assert len(second.documents(1)) == 10


async def test_results_kept_for_later_listeners_give_way() -> None:
    setting = Setting(RealtimeOptions(kept_bytes=150_000, held_bytes=250_000))
    listeners = []
    for number in range(5):
        _big(setting, f"big{number}")
        listeners.append(setting.listener())
        await listeners[-1].listen(1, query(f"big{number}"))
        assert len(listeners[-1].documents(1)) == 10
    assert setting.service.metrics().held_bytes <= 250_000
    setting.store.write({"big0/0": None})
    await listeners[0].hear()
    assert len(listeners[0].documents(1)) == 9


async def test_a_lease_that_is_waited_for_too_long_is_refused_and_harms_no_other() -> None:
    budget = Budget(100, 0.01, lambda: None)
    held = await budget.lease(80)
    with pytest.raises(ResourceExhausted):
        await budget.lease(50)
    small = await budget.lease(20)
    assert budget.used == 100
    del held, small
    assert budget.used == 0


async def test_leases_are_granted_in_the_order_of_asking() -> None:
    budget = Budget(100, 10, lambda: None)
    held = await budget.lease(80)
    granted = []

    async def ask(size: int) -> None:
        lease = await budget.lease(size)
        granted.append(lease.size)

    asking = [asyncio.ensure_future(ask(90)), asyncio.ensure_future(ask(10))]
    await settle()
    assert granted == [], "a small one that came later does not go before"
    held.shrink(10)
    await asyncio.gather(*asking)
    del held
    assert granted == [90, 10]
