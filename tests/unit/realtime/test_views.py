"""Views against the naive model: any changes, in any grouping, with reads that lag behind."""

from __future__ import annotations

import random

import pytest

from baas.model.change import Change
from baas.model.document import Document
from baas.model.key_encoding import encode_value
from baas.model.paths import DocumentName
from baas.model.query import CompositeFilter, FieldFilter, Operator, Query
from baas.model.values import Timestamp
from baas.realtime.deltas import ItemKind, ViewDelta
from baas.realtime.matcher import Matcher, anchor_of
from baas.realtime.views import Keeping, QueryView, WindowView, make_view
from tests.unit.realtime.harness import query
from tests.unit.realtime.memory import name, run_naively
from tests.unit.realtime.random_queries import random_fields, random_path, random_query


class Watcher:
    """Feeds a view, and believes only its deltas."""

    def __init__(self, asked: Query, look_ahead: int, kept: int = 100) -> None:
        self.query = asked
        self.view = make_view(asked, Keeping(kept, 10**6, look_ahead))
        self.state: dict[DocumentName, Document] = {}
        self.version = 0
        self.shown: dict[DocumentName, Document] = {}
        self.reads = 0

    def load(self) -> None:
        """Read the result as of now."""
        self.reads += 1
        self.view.begin_load()
        self.finish(dict(self.state), self.version)

    def finish(self, then: dict[DocumentName, Document], version: int) -> None:
        view = self.view
        if isinstance(view, WindowView):
            self._tell(view.loaded(run_naively(then, view.query_to_load()), version, self.version))
        else:
            assert isinstance(view, QueryView)
            view.loaded(run_naively(then, self.query), version, self.version)

    def start(self) -> None:
        while self.view.wants_load:
            self.load()
        self.shown = {document.name: document for document in self.view.initial()}

    def commit(self, rng: random.Random) -> None:
        self.version += 1
        changes = []
        for path in {random_path(rng) for _ in range(rng.choice((1, 1, 3)))}:
            key = name(path)
            old = self.state.pop(key, None)
            new = None
            if rng.random() < 0.6:
                at = Timestamp(self.version)
                new = Document(key, old.create_time if old else at, at, fields=random_fields(rng))
                self.state[key] = new
            if old is not None or new is not None:
                changes.append(Change(key, old, new))
        self._tell(self.view.commit(self.version, tuple(changes)))

    def _tell(self, delta: ViewDelta | None) -> None:
        for item in delta.items if delta else ():
            if item.kind is ItemKind.MATCH:
                assert item.document is not None
                self.shown[item.name] = item.document
            else:
                assert self.shown.pop(item.name, None) is not None, "left without having been here"
                assert (item.document is None) == (item.kind is ItemKind.GONE)

    def check(self) -> None:
        expected = {each.name: each for each in run_naively(self.state, self.query)}
        assert self.shown == expected


@pytest.mark.parametrize("seed", range(80))
def test_deltas_add_up_to_the_querys_answer(seed: int) -> None:
    rng = random.Random(seed)
    watcher = Watcher(random_query(rng), rng.choice((0, 1, 5)), rng.choice((0, 3, 100)))
    for _ in range(5):
        watcher.commit(rng)
    watcher.start()
    for _ in range(60):
        watcher.commit(rng)
        while watcher.view.holds_back:
            watcher.load()
        watcher.check()


@pytest.mark.parametrize("seed", range(60))
def test_what_is_committed_during_a_read_is_neither_lost_nor_told_twice(seed: int) -> None:
    rng = random.Random(seed)
    watcher = Watcher(random_query(rng), 1)
    for _ in range(5):
        watcher.commit(rng)
    watcher.start()
    for _ in range(30):
        watcher.commit(rng)
        while watcher.view.wants_load and watcher.view.holds_back:
            watcher.view.begin_load()
            watcher.commit(rng)
            then, version = dict(watcher.state), watcher.version
            watcher.commit(rng)
            watcher.finish(then, version)
        watcher.check()


def test_a_look_ahead_saves_reads() -> None:
    rng = random.Random(1)
    reads = []
    for look_ahead in (0, 10):
        watcher = Watcher(query("notes", order="n", limit=2, group=True), look_ahead)
        watcher.start()
        rng = random.Random(1)
        for _ in range(300):
            watcher.commit(rng)
            while watcher.view.holds_back:
                watcher.load()
        reads.append(watcher.reads)
    assert reads[1] < reads[0] / 5


@pytest.mark.parametrize("seed", range(60))
def test_the_matcher_finds_every_view_that_a_change_concerns(seed: int) -> None:
    rng = random.Random(seed)
    matcher = Matcher()
    views = {view.key: view for view in (Watcher(random_query(rng), 0).view for _ in range(20))}
    for view in views.values():
        matcher.add(view)
    for _ in range(40):
        key = name(random_path(rng))
        old, new = (
            Document(key, Timestamp(1), Timestamp(at), fields=random_fields(rng))
            if rng.random() < 0.8
            else None
            for at in (1, 2)
        )
        found = {view.key for view in matcher.affected([Change(key, old, new)])}
        for view in views.values():
            assert isinstance(view, QueryView | WindowView)
            if view.selects(old) or view.selects(new):
                assert view.key in found
    for view in views.values():
        matcher.remove(view)
    assert not matcher.affected([Change(key, old, new)])


def test_a_change_of_one_owner_concerns_no_other_owners_view() -> None:
    matcher = Matcher()
    for owner in range(1_000):
        matcher.add(Watcher(query("notes", owner=f"user{owner}"), 0).view)
    fields = {"owner": "user7"}
    document = Document(name("notes/a"), Timestamp(1), Timestamp(1), fields=fields)  # type: ignore[arg-type]
    assert len(matcher.affected([Change(document.name, None, document)])) == 1


def test_the_most_telling_constraint_is_the_one_looked_up() -> None:
    done = FieldFilter(("done",), Operator.EQUAL, True)
    owner = FieldFilter(("owner",), Operator.EQUAL, "ann")
    assert anchor_of(CompositeFilter("AND", (done, owner))) == (
        ("owner",),
        True,
        (encode_value("ann"),),
    )
    assert anchor_of(CompositeFilter("OR", (done, owner))) is None
