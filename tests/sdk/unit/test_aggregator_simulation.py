"""The aggregator against a model of the server: random data, connections that end anywhere."""

from __future__ import annotations

import random
from typing import Any

from homefire.firestore._aggregator import FilterMismatch, TargetSnapshot, WatchAggregator
from hypothesis import given, settings
from hypothesis import strategies as st

TARGETS = {2: (0, 9), 4: (0, 4), 6: (3, 9)}
"""Target ids, and the values of ``n`` that each one's query lets through."""

State = dict[str, tuple[int, int]]
"""Documents: ``n`` and the version that wrote it."""


class Model:
    """A server that keeps every version, and streams one connection as the protocol has it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.versions: list[State] = [{}]

    def write(self) -> None:
        state = dict(self.versions[-1])
        for _ in range(self.chance.randint(1, 3)):
            name = self.chance.choice("abcdef")
            if self.chance.random() < 0.3:
                state.pop(name, None)
            else:
                state[name] = (self.chance.randint(0, 9), len(self.versions))
        self.versions.append(state)

    def matches(self, target: int, version: int) -> State:
        low, high = TARGETS[target]
        return {k: v for k, v in self.versions[version].items() if low <= v[0] <= high}

    def start(self, target: int, token: str | None) -> list[dict[str, Any]]:
        """ADD, what changed since the token or RESET and everything, CURRENT."""
        now = len(self.versions) - 1
        messages: list[dict[str, Any]] = [change("ADD", target)]
        before: State = {}
        if token is not None and self.chance.random() < 0.7:
            before = self.matches(target, int(token))
        elif token is not None:
            messages.append(change("RESET", target))
        messages += self.difference(target, before, self.matches(target, now))
        if self.chance.random() < 0.3:
            count = len(self.matches(target, now)) + self.chance.choice([0, 0, 1])
            messages.append({"filter": {"targetId": target, "count": count}})
        messages.append(change("CURRENT", target, resumeToken=str(now)))
        return messages

    def difference(self, target: int, before: State, after: State) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        for name in before.keys() | after.keys():
            if before.get(name) == after.get(name):
                continue
            if name not in after:
                kind = self.chance.choice(["documentDelete", "documentRemove"])
                messages.append({kind: {"document": f"c/{name}", "removedTargetIds": [target]}})
            else:
                messages.append({"documentChange": document(name, *after[name], target)})
        self.chance.shuffle(messages)
        return messages


def change(kind: str, target: int, **more: str) -> dict[str, Any]:
    return {"targetChange": {"targetChangeType": kind, "targetIds": [target], **more}}


def document(name: str, n: int, version: int, target: int) -> dict[str, Any]:
    fields = {"n": {"integerValue": str(n)}}
    found = {"name": f"c/{name}", "fields": fields, "updateTime": str(version)}
    return {"document": found, "targetIds": [target]}


def snapshot(version: int) -> dict[str, Any]:
    return {"targetChange": {"readTime": str(version), "resumeToken": str(version)}}


class Client:
    """Holds what each target was told, by applying the changes to lists of its own."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.aggregator = WatchAggregator()
        self.lists: dict[int, list[str]] = {}
        self.ids = {target: target for target in TARGETS}  # model's target -> id on the wire
        self.told: set[int] = set()
        for target in TARGETS:
            self.aggregator.add_target(target, [("n", False)])
            self.lists[target] = []

    def feed(self, message: dict[str, Any], version: int) -> bool:
        """Take a message; False if the connection should be given up to listen anew."""
        intact = True
        for event in self.aggregator.feed(self.translated(message)):
            if isinstance(event, FilterMismatch):
                intact = False
                target = self.target(event.target_id)
                self.ids[target] = event.target_id + 100
                self.aggregator.relisten(event.target_id, event.target_id + 100)
            elif isinstance(event, TargetSnapshot):
                self.check(self.target(event.target_id), event, version)
        return intact

    def check(self, target: int, event: TargetSnapshot, version: int) -> None:
        view, mine = event.view, self.lists[target]
        for step in view.changes:
            if step.old_index >= 0:
                assert mine.pop(step.old_index) == step.document.name
            if step.new_index >= 0:
                mine.insert(step.new_index, step.document.name)
        assert mine == [found.name for found in view.documents]
        if not view.from_cache:
            self.told.add(target)
            expected = self.model.matches(target, version)
            assert mine == [
                f"c/{name}" for name in sorted(expected, key=lambda name: (expected[name][0], name))
            ]
            assert {found.name: found.update_time for found in view.documents} == {
                f"c/{name}": str(at) for name, (_, at) in expected.items()
            }

    def translated(self, message: dict[str, Any]) -> dict[str, Any]:
        kind, content = next(iter(message.items()))
        content = dict(content)
        for key in ("targetIds", "removedTargetIds"):
            if key in content:
                content[key] = [self.ids[target] for target in content[key]]
        if "targetId" in content:
            content["targetId"] = self.ids[content["targetId"]]
        return {kind: content}

    def target(self, target_id: int) -> int:
        return next(target for target, now in self.ids.items() if now == target_id)


@given(st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_every_snapshot_is_the_answer_at_its_version(chance: random.Random) -> None:
    model = Model(chance)
    client = Client(model)
    for _ in range(4):
        connection(model, client, chance, ends_anywhere=True)
        for event in client.aggregator.disconnected():
            assert isinstance(event, TargetSnapshot)
            assert event.view.from_cache
        for _ in range(chance.randint(0, 2)):
            model.write()
    while not connection(model, client, chance, ends_anywhere=False):
        client.aggregator.disconnected()
    assert client.told == set(TARGETS)


def connection(model: Model, client: Client, chance: random.Random, *, ends_anywhere: bool) -> bool:
    """One connection, from its first message to its end; True if it came through."""
    messages: list[tuple[dict[str, Any], int]] = []
    version = len(model.versions) - 1
    for target in TARGETS:
        token = client.aggregator.resume_token(client.ids[target])
        messages += [(message, version) for message in model.start(target, token)]
    messages.append((snapshot(version), version))
    for _ in range(4 if ends_anywhere else 2):
        model.write()
        version += 1
        for target in TARGETS:
            before, after = model.matches(target, version - 1), model.matches(target, version)
            messages += [(m, version) for m in model.difference(target, before, after)]
        messages.append((snapshot(version), version))
    if ends_anywhere:
        messages = messages[: chance.randint(0, len(messages))]
    return all(client.feed(message, at) for message, at in messages)
