"""The WebSocket surface over a real server: listening, commits, credentials."""

from __future__ import annotations

import pytest

from baas.api.websocket_frames import FrameSharingProtocol
from tests.integration.realtime.conftest import (
    ROOT,
    Server,
    Start,
    connected,
    delete,
    put,
)


async def test_a_listener_gets_the_result_then_current_then_a_snapshot(server: Server) -> None:
    async with connected(server) as client:
        await client.commit(1, put("notes/a", n=1))
        await client.until("commitResult")
        await client.listen(2, "notes")
        await client.snapshot()
        kinds = [_kind(frame) for frame in client.frames[1:]]
        assert kinds == ["ADD", "documentChange", "CURRENT", "NO_CHANGE"]
        assert client.documents[2] == {f"{ROOT}/notes/a": {"n": {"integerValue": "1"}}}


async def test_a_commit_reaches_every_listener(server: Server) -> None:
    async with connected(server) as writer, connected(server) as reader:
        await reader.listen(7, "notes")
        await reader.snapshot()
        await writer.commit(1, put("notes/a", n=1), put("other/b", n=1))
        await reader.until_documents(7, {"a"})
        await writer.commit(2, delete("notes/a"))
        await reader.until_documents(7, set())


async def test_snapshots_reach_the_time_of_ones_own_commit(server: Server) -> None:
    async with connected(server) as client:
        await client.listen(2, "notes")
        await client.snapshot()
        await client.commit(1, put("notes/a", n=1))
        await client.until_documents(2, {"a"})
        results = [frame["commitResult"] for frame in client.frames if "commitResult" in frame]
        result = results[0] if results else await client.until("commitResult")
        times = [
            frame["targetChange"]["readTime"]
            for frame in client.frames
            if _kind(frame) == "NO_CHANGE"
        ]
        assert times[-1] >= result["commitTime"]


async def test_a_missing_document_is_current_without_a_document(server: Server) -> None:
    async with connected(server) as client:
        await client.listen_to_document(2, "notes/none")
        await client.snapshot()
        assert [_kind(frame) for frame in client.frames] == ["ADD", "CURRENT", "NO_CHANGE"]


async def test_two_targets_share_one_document_change(server: Server) -> None:
    async with connected(server) as client:
        await client.listen(2, "notes")
        await client.listen_to_document(4, "notes/a")
        await client.snapshot()
        client.frames.clear()
        await client.commit(1, put("notes/a", n=1))
        await client.until_documents(4, {"a"})
        changes = [f["documentChange"] for f in client.frames if "documentChange" in f]
        assert [sorted(change["targetIds"]) for change in changes] == [[2, 4]]


async def test_a_limited_query_is_refilled_in_the_same_snapshot(server: Server) -> None:
    async with connected(server) as client:
        await client.commit(1, *(put(f"notes/{i:02}", n=i) for i in range(40)))
        order = [{"field": {"fieldPath": "n"}, "direction": "ASCENDING"}]
        await client.listen(2, "notes", orderBy=order, limit=2)
        await client.until_documents(2, {"00", "01"})
        for gone in range(30):
            await client.commit(gone + 2, delete(f"notes/{gone:02}"))
            await client.until_documents(2, {f"{gone + 1:02}", f"{gone + 2:02}"})


async def test_commits_are_answered_in_order_and_a_refused_one_stops_nothing(
    server: Server,
) -> None:
    async with connected(server) as client:
        increment = {
            "update": {"name": f"{ROOT}/c/n", "fields": {}},
            "updateMask": {"fieldPaths": []},
            "updateTransforms": [{"fieldPath": "n", "increment": {"integerValue": "1"}}],
        }
        refused = {**put("c/x", n=1), "currentDocument": {"exists": True}}
        for request_id in range(60):
            await client.commit(request_id, refused if request_id % 10 == 5 else increment)
        results = [await client.until("commitResult") for _ in range(60)]
        assert [result["requestId"] for result in results] == list(range(60))
        assert [r["requestId"] for r in results if "error" in r] == [5, 15, 25, 35, 45, 55]
        counted = [
            int(result["writeResults"][0]["transformResults"][0]["integerValue"])
            for result in results
            if "error" not in result
        ]
        assert counted == list(range(1, 55))


async def test_a_malformed_write_is_refused_by_its_result(server: Server) -> None:
    async with connected(server) as client:
        await client.commit(3, {"update": {"name": "nonsense", "fields": {}}})
        result = await client.until("commitResult")
        assert (result["requestId"], result["error"]["status"]) == (3, "INVALID_ARGUMENT")


async def test_a_ping_is_answered(server: Server) -> None:
    async with connected(server) as client:
        await client.send({"ping": "hello"})
        assert await client.until("pong") == "hello"


async def test_the_subprotocol_is_answered_when_offered(server: Server) -> None:
    async with connected(server, subprotocols=["homefire.v1"]) as client:
        assert client.socket.subprotocol == "homefire.v1"


@pytest.mark.parametrize("ws", [FrameSharingProtocol, "websockets-sansio"])
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_are_the_same_over_every_way_out(
    start: Start, ws: object, compression: str | None
) -> None:
    server = await start(ws=ws)
    async with connected(server, compression=compression) as client:
        await client.listen(2, "notes")
        await client.snapshot()
        for n in range(50):
            await client.commit(n, put(f"notes/{n}", text="x" * (n * 200)))
        await client.until_documents(2, {str(n) for n in range(50)})


async def test_a_resume_token_brings_only_what_changed(server: Server) -> None:
    async with connected(server) as client:
        await client.commit(1, *(put(f"notes/{i}", n=i) for i in range(5)))
        await client.listen(2, "notes")
        await client.until_documents(2, set("01234"))
        token = client.tokens[2]
    async with connected(server) as writer:
        await writer.commit(1, put("notes/0", n=9), put("notes/5", n=5), delete("notes/1"))
        await writer.until("commitResult")
    async with connected(server) as client:
        await client.send({"addTarget": {**_notes(2), "resumeToken": token}})
        await client.snapshot()
        assert sorted(map(_told, client.frames)) == [
            ("ADD", ""),
            ("CURRENT", ""),
            ("NO_CHANGE", ""),
            ("documentChange", "0"),
            ("documentChange", "5"),
            ("documentDelete", "1"),
        ]


async def test_a_foreign_resume_token_resets(server: Server) -> None:
    async with connected(server) as client:
        await client.commit(1, put("notes/a", n=1))
        await client.until("commitResult")
        await client.send({"addTarget": {**_notes(2), "resumeToken": "bm9uc2Vuc2U="}})
        await client.until_documents(2, {"a"})
        kinds = [_kind(frame) for frame in client.frames if "commitResult" not in frame]
        assert kinds == ["ADD", "RESET", "documentChange", "CURRENT", "NO_CHANGE"]


def _notes(target_id: int) -> dict[str, object]:
    query = {"parent": ROOT, "structuredQuery": {"from": [{"collectionId": "notes"}]}}
    return {"targetId": target_id, "query": query}


def _kind(frame: dict[str, dict[str, str]]) -> str:
    ((kind, body),) = frame.items()
    return body.get("targetChangeType", "NO_CHANGE") if kind == "targetChange" else kind


def _told(frame: dict[str, dict[str, object]]) -> tuple[str, str]:
    ((_key, body),) = frame.items()
    document = body.get("document", "")
    name = document["name"] if isinstance(document, dict) else str(document)
    return _kind(frame), name.rsplit("/", 1)[-1]  # type: ignore[arg-type]
