"""The session state machine: order, deduplication, acknowledgement."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.api.webchannel.session import Session, SessionLimits
from baas.errors import InvalidArgument, NotFound, ResourceExhausted


def test_maps_wait_until_the_gap_fills() -> None:
    session = Session()
    assert session.receive({1: "b", 2: "c"}) == []
    assert session.receive({0: "a"}) == ["a", "b", "c"]


def test_replayed_maps_are_taken_once() -> None:
    session = Session()
    assert session.receive({0: "a", 1: "b"}) == ["a", "b"]
    assert session.receive({0: "a", 1: "b"}) == []


def test_bad_map_is_skipped_but_counted() -> None:
    assert Session().receive({0: None, 1: "b"}) == ["b"]


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(0, n - 1), unique=True, max_size=5), max_size=30
        ).map(lambda posts: (n, posts))
    )
)
def test_any_order_of_posts_and_replays_gives_each_message_once(
    case: tuple[int, list[list[int]]],
) -> None:
    count, posts = case
    session, got = Session(), []
    for post in [*posts, list(range(count))]:
        got += session.receive({number: str(number) for number in post})
    assert got == [str(number) for number in range(count)]


def test_held_maps_are_bounded() -> None:
    session = Session(SessionLimits(held_maps=3))
    with pytest.raises(ResourceExhausted):
        session.receive(dict.fromkeys(range(1, 6), "x"))


def test_held_bytes_are_bounded() -> None:
    session = Session(SessionLimits(held_bytes=10))
    with pytest.raises(ResourceExhausted):
        session.receive({1: "x" * 11})


def test_map_far_ahead_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        Session().receive({10**9: "x"})


def test_arrays_are_numbered_from_one_and_kept_until_acknowledged() -> None:
    session = Session()
    for text in ("[1]", "[2]", "[3]"):
        session.push(text)
    session.acknowledge(1)
    assert session.pending(1) == [(2, "[2]"), (3, "[3]")]
    assert session.pending(2) == [(3, "[3]")]
    assert (session.last_array, session.outstanding_bytes) == (3, 6)


@given(st.lists(st.tuples(st.sampled_from(["push", "ack"]), st.integers(0, 40)), max_size=60))
def test_pending_is_what_was_pushed_and_not_acknowledged(steps: list[tuple[str, int]]) -> None:
    session, naive = Session(), list[tuple[int, str]]()
    for step, number in steps:
        if step == "push":
            session.push("x" * number)
            naive.append((session.last_array, "x" * number))
        else:
            session.acknowledge(number)
            naive = [item for item in naive if item[0] > number]
        assert session.pending(0) == naive
        assert session.outstanding_bytes == sum(len(text) for _, text in naive)
        assert session.pending(number) == [item for item in naive if item[0] > number]


def test_unread_output_is_bounded() -> None:
    session = Session(SessionLimits(buffered_bytes=10))
    session.push("x" * 8)
    with pytest.raises(ResourceExhausted):
        session.push("x" * 8)


def test_session_is_quiet_after_an_error() -> None:
    session = Session()
    session.fail(NotFound("gone"))
    session.push("[1]")
    session.fail(NotFound("again"))
    assert session.receive({0: "a"}) == []
    [(number, text)] = session.pending(0)
    assert number == 1
    assert json.loads(text)[0][0]["error"]["status"] == "NOT_FOUND"
