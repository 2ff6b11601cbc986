"""The snapshot aggregator against the scripted watch streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from homefire.firestore._aggregator import (
    FilterMismatch,
    TargetEnded,
    TargetSnapshot,
    WatchAggregator,
    WatchEvent,
    WatchProtocolError,
)

PREFIX = "projects/p/databases/(default)/documents/c/"
DATA = Path(__file__).parents[2] / "conformance" / "watch" / "cases.json"
CASES = json.loads(DATA.read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_scripted_stream(case: dict[str, Any]) -> None:
    aggregator = WatchAggregator()
    for target_id, target in case["targets"].items():
        orders = [(path, way == "desc") for path, way in target.get("orderBy", [])]
        aggregator.add_target(int(target_id), orders, single="document" in target)
    for number, step in enumerate(case["steps"]):
        run_step(aggregator, step, f"step {number}: {json.dumps(step)[:200]}")


def run_step(aggregator: WatchAggregator, step: dict[str, Any], where: str) -> None:
    if step.get("refused"):
        with pytest.raises(WatchProtocolError):
            aggregator.feed(step["receive"])
    elif "receive" in step:
        assert told(aggregator.feed(step["receive"])) == expected(step), where
    elif "disconnect" in step:
        assert told(aggregator.disconnected()) == expected(step), where
    elif "relisten" in step:
        aggregator.relisten(*step["relisten"])
    else:
        for target_id, token in step["resumeTokens"].items():
            assert aggregator.resume_token(int(target_id)) == token, where


def expected(step: dict[str, Any]) -> list[dict[str, Any]]:
    defaults = {"snapshot": {"fromCache": False}, "ended": {"message": ANY}, "mismatch": {}}
    return [{**defaults[next(iter(event))], **event} for event in step.get("expect", [])]


def told(events: list[WatchEvent]) -> list[dict[str, Any]]:
    return [described(event) for event in events]


def described(event: WatchEvent) -> dict[str, Any]:
    match event:
        case TargetSnapshot(target_id, view):
            return {
                "snapshot": target_id,
                "documents": [short(document.name) for document in view.documents],
                "changes": [
                    f"{c.type} {short(c.document.name)} {c.old_index} {c.new_index}"
                    for c in view.changes
                ],
                "fromCache": view.from_cache,
            }
        case TargetEnded(target_id, code, message):
            return {"ended": target_id, "code": code, "message": message}
        case FilterMismatch(target_id):
            return {"mismatch": target_id}


def short(name: str) -> str:
    return name.removeprefix(PREFIX)


class _Anything:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANY = _Anything()
