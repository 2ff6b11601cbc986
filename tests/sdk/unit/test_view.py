"""The changes between two states of a query."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from homefire.errors import FirestoreError
from homefire.firestore._mailbox import Mailbox
from homefire.firestore._view import (
    Entry,
    ViewChange,
    ViewSnapshot,
    WatchDocument,
    apply_updates,
    key_function,
)
from hypothesis import given
from hypothesis import strategies as st

KEY = key_function([("n", True)])
STATES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 4), max_size=8)


def entries(state: dict[str, int]) -> tuple[Entry, ...]:
    documents = [
        WatchDocument(name, {"n": {"integerValue": str(n)}}, update_time=f"{n}")
        for name, n in state.items()
    ]
    return tuple(sorted(((KEY(d), d) for d in documents), key=lambda entry: entry[0]))


def step(before: dict[str, int], after: dict[str, int]) -> ViewSnapshot:
    old = {entry[1].name: entry for entry in entries(before)}
    new = {entry[1].name: entry for entry in entries(after)}
    updates = {name: new.get(name) for name in {*old, *new}}
    state, changes = apply_updates(entries(before), old, updates)
    return ViewSnapshot(tuple(state), entries(before), changes, False, None)


def replay(state: tuple[Entry, ...], changes: tuple[ViewChange, ...]) -> list[WatchDocument]:
    """What an app ends up with that applies the changes one by one to its own list."""
    documents = [document for _, document in state]
    for change in changes:
        if change.old_index >= 0:
            assert documents.pop(change.old_index).name == change.document.name
        if change.new_index >= 0:
            documents.insert(change.new_index, change.document)
    return documents


@given(STATES, STATES)
def test_changes_lead_from_one_state_to_the_next(
    before: dict[str, int], after: dict[str, int]
) -> None:
    view = step(before, after)
    assert view.entries == entries(after)
    assert replay(view.before, view.changes) == view.documents


@given(STATES, STATES)
def test_each_document_that_differs_is_told_once(
    before: dict[str, int], after: dict[str, int]
) -> None:
    told = {change.document.name: change.type for change in step(before, after).changes}
    assert len(told) == len(step(before, after).changes)
    for name in {*before, *after}:
        kinds: dict[tuple[bool, bool], str] = {(True, False): "removed", (False, True): "added"}
        kind = kinds.get((name in before, name in after))
        if kind is None and before[name] != after[name]:
            kind = "modified"
        assert told.get(name) == kind


@given(STATES, STATES, STATES)
def test_two_steps_merged_are_one(a: dict[str, int], b: dict[str, int], c: dict[str, int]) -> None:
    merged = step(b, c).after(step(a, b))
    assert merged == step(a, c)


def test_a_full_mailbox_merges_and_loses_nothing() -> None:
    mailbox = Mailbox(False, limit=2)
    states: list[dict[str, int]] = [{}, {"a": 1}, {"a": 1, "b": 1}, {"b": 2}, {"b": 3}]
    for before, after in pairwise(states):
        mailbox.put(step(before, after))
    first, second = mailbox.take(), mailbox.take()
    assert first == step(states[0], states[1])
    assert second == step(states[1], states[4])
    assert mailbox.take() is None


def test_an_error_comes_last_and_stays() -> None:
    mailbox = Mailbox(False)
    mailbox.put(step({}, {"a": 1}))
    mailbox.put(FirestoreError("aborted", "x"))
    assert mailbox.take() is not None
    for _ in range(2):
        with pytest.raises(FirestoreError, match="aborted"):
            mailbox.take()


def test_metadata_is_told_to_those_who_asked() -> None:
    view = ViewSnapshot((), (), (), True, None, metadata_only=True)
    for asked in (True, False):
        mailbox = Mailbox(asked)
        mailbox.put(view)
        assert mailbox.take() == (view if asked else None)


def test_the_name_breaks_ties_in_the_last_direction() -> None:
    documents: list[Any] = [WatchDocument(name, {"n": {"nullValue": None}}) for name in "ba"]
    assert [d.name for d in sorted(documents, key=KEY)] == ["b", "a"]
