"""A tiny host for the engine: stored documents, one signed-in user, requests by method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rules import (
    FIRESTORE,
    And,
    Auth,
    Decision,
    FieldFilter,
    Filter,
    ListRequest,
    LookupBudget,
    Path,
    Request,
    Resource,
    Ruleset,
    Timestamp,
    compile_rules,
)

NOW = Timestamp.from_seconds(1_790_000_000, 123_456_000)
Fields = Mapping[str, Any]


def split(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def condition(method: str, text: str, version: str = "2", match: str = "/c/{d}") -> str:
    """The reference's `C(m: cond)`: one statement on the documents of one collection."""
    return (
        f"rules_version='{version}'; service cloud.firestore {{ "
        "match /databases/{database}/documents { "
        f"match {match} {{ allow {method}: if {text}; }} }} }}"
    )


def document_name(path: str) -> Path:
    return Path.of_document("(default)", split(path))


@dataclass
class Documents:
    """Lookups over two states: before the request, and after its whole commit."""

    before: dict[tuple[str, ...], Fields] = field(default_factory=dict)
    after: dict[tuple[str, ...], Fields] | None = None
    reads: list[str] = field(default_factory=list)

    def _find(
        self, state: Mapping[tuple[str, ...], Fields], path: tuple[str, ...]
    ) -> Resource | None:
        return Resource(state[path], path) if path in state else None

    def get(self, database: str, path: tuple[str, ...]) -> Resource | None:
        self.reads.append("/".join(path))
        return self._find(self.before, path)

    def get_after(self, database: str, path: tuple[str, ...]) -> Resource | None:
        self.reads.append("/".join(path))
        return self._find(self.before if self.after is None else self.after, path)

    def has_documents(self, database: str, collection: tuple[str, ...]) -> bool:
        return any(path[:-1] == collection for path in self.before)

    def has_documents_after(self, database: str, collection: tuple[str, ...]) -> bool:
        state = self.before if self.after is None else self.after
        return any(path[:-1] == collection for path in state)


class World:
    """Rules, documents by path, and who asks. Methods return the decision."""

    def __init__(
        self,
        rules: str | Ruleset,
        stored: Mapping[str, Fields] | None = None,
        uid: str | None = None,
        token: Mapping[str, Any] | None = None,
    ) -> None:
        self.rules = compile_rules(rules) if isinstance(rules, str) else rules
        self.stored = {split(path): dict(data) for path, data in (stored or {}).items()}
        self.auth = Auth(uid, {"sub": uid, **(token or {})}) if uid else None
        self.lookups = Documents(self.stored)

    def _resource(self, path: tuple[str, ...]) -> Resource | None:
        return Resource(self.stored[path], path) if path in self.stored else None

    def get(self, path: str = "c/d", budget: LookupBudget | None = None) -> Decision:
        name = split(path)
        request = Request(
            FIRESTORE, "get", name, NOW, auth=self.auth, resource=self._resource(name)
        )
        return self.rules.evaluate(request, self.lookups, budget=budget)

    def write(
        self,
        method: Any,
        path: str,
        fields: Fields | None,
        mask: tuple[tuple[str, ...], ...] | None = None,
        after: dict[tuple[str, ...], Fields] | None = None,
        budget: LookupBudget | None = None,
    ) -> Decision:
        name = split(path)
        state = dict(self.stored) if after is None else after
        if fields is None:
            state.pop(name, None)
        else:
            state[name] = fields
        request = Request(
            FIRESTORE,
            method,
            name,
            NOW,
            auth=self.auth,
            resource=self._resource(name),
            new_resource=None if fields is None else Resource(fields, name),
            update_mask=mask,
        )
        return self.rules.evaluate(request, Documents(self.stored, state), budget=budget)

    def create(self, fields: Fields, path: str = "c/d") -> Decision:
        return self.write("create", path, fields)

    def update(self, changes: Fields, path: str = "c/d") -> Decision:
        """A masked update; a value of `...` removes the field."""
        merged = {**self.stored.get(split(path), {}), **changes}
        left = {key: value for key, value in merged.items() if value is not ...}
        return self.write("update", path, left, tuple((key,) for key in changes))

    def replace(self, fields: Fields, path: str = "c/d") -> Decision:
        return self.write("update", path, fields)

    def delete(self, path: str = "c/d") -> Decision:
        return self.write("delete", path, None)

    def commit(self, writes: Mapping[str, Fields]) -> list[Decision]:
        """Creates of one commit: each judged on its own, all seeing the same state after."""
        budget = LookupBudget()
        after = {**self.stored, **{split(path): fields for path, fields in writes.items()}}
        return [
            self.write("create", path, fields, after=dict(after), budget=budget)
            for path, fields in writes.items()
        ]

    def query(self, *filters: Filter, collection: str = "c", **more: Any) -> Decision:
        parts = split(collection)
        request = ListRequest(
            parts[:-1],
            parts[-1],
            NOW,
            auth=self.auth,
            filters=And(tuple(filters)) if filters else None,
            **more,
        )
        return self.rules.prove(request, self.lookups)


def where(path: str, op: Any, value: Any = None) -> FieldFilter:
    return FieldFilter(tuple(path.split(".")), op, value)
