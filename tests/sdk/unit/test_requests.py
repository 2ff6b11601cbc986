"""What is sent for documents, queries and objects, and what is made of the answers, without a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from homefire._transport.messages import HttpRequest, HttpResponse, TransportError
from homefire.app import FirebaseApp, FixedToken, delete_app, initialize_app
from homefire.errors import FirestoreError, StorageError
from homefire.firestore import (
    FieldPath,
    Firestore,
    Query,
    QueryConstraint,
    Transaction,
    add_doc,
    and_,
    array_union,
    collection,
    collection_group,
    delete_doc,
    delete_field,
    doc,
    document_id,
    end_before,
    get_doc,
    get_docs,
    get_firestore,
    increment,
    limit,
    limit_to_last,
    or_,
    order_by,
    query,
    query_equal,
    run_transaction,
    server_timestamp,
    set_doc,
    start_after,
    start_at,
    update_doc,
    where,
)
from homefire.storage import (
    FirebaseStorage,
    delete_object,
    get_bytes,
    get_download_url,
    get_storage,
    ref,
    upload_bytes,
    upload_bytes_resumable,
    upload_string,
)

from tests.sdk.doubles import Recorder, answer, refusal

ROOT = "projects/demo/databases/(default)/documents"
COMMITTED = answer({"writeResults": [{}], "commitTime": "2026-01-01T00:00:00Z"})


@pytest.fixture
def transport() -> Recorder:
    return Recorder(lambda request: COMMITTED)


@pytest_asyncio.fixture
async def app(transport: Recorder) -> AsyncIterator[FirebaseApp]:
    options = {"project_id": "demo", "storage_bucket": "bucket", "host": "http://server"}
    made = initialize_app(options, f"app-{uuid4()}", transport=transport)
    yield made
    await delete_app(made)


@pytest.fixture
def db(app: FirebaseApp) -> Firestore:
    return get_firestore(app)


@pytest.fixture
def storage(app: FirebaseApp) -> FirebaseStorage:
    return get_storage(app)


def in_turn(*answers: HttpResponse | Exception) -> Callable[[HttpRequest], HttpResponse]:
    left = list(answers)

    def respond(request: HttpRequest) -> HttpResponse:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    return respond


def written(transport: Recorder) -> dict[str, Any]:
    (write,) = json.loads(transport.last.content)["writes"]
    return dict(write)


def integer(value: int) -> dict[str, str]:
    return {"integerValue": str(value)}


# Writes


async def test_a_write_is_a_commit(db: Firestore, transport: Recorder) -> None:
    await set_doc(doc(db, "c/a b"), {"n": 1})
    assert transport.last.method == "POST"
    assert transport.last.url == f"http://server/v1/{ROOT}:commit"
    assert written(transport) == {"update": {"name": f"{ROOT}/c/a b", "fields": {"n": integer(1)}}}


async def test_adding_needs_a_new_document(db: Firestore, transport: Recorder) -> None:
    await add_doc(collection(db, "c"), {})
    assert written(transport)["currentDocument"] == {"exists": False}


async def test_merging_names_the_leaves(db: Firestore, transport: Recorder) -> None:
    data = {"a": {"b": 1, "c.d": {}}, "e": delete_field(), "f": increment(1), "g": [{"x": 1}]}
    await set_doc(doc(db, "c/d"), data, merge=True)
    write = written(transport)
    assert write["updateMask"] == {"fieldPaths": ["a.`c.d`", "a.b", "e", "g"]}
    assert write["updateTransforms"] == [{"fieldPath": "f", "increment": integer(1)}]
    assert "e" not in write["update"]["fields"]
    assert "currentDocument" not in write


async def test_merge_fields_choose(db: Firestore, transport: Recorder) -> None:
    data = {"a": {"b": 1, "c": 2}, "n": increment(1), "m": increment(1)}
    await set_doc(doc(db, "c/d"), data, merge_fields=["a.b", "n"])
    write = written(transport)
    assert write["updateMask"] == {"fieldPaths": ["a.b"]}
    assert [item["fieldPath"] for item in write["updateTransforms"]] == ["n"]


async def test_an_update_names_its_paths(db: Firestore, transport: Recorder) -> None:
    at = FieldPath("o.d")
    await update_doc(
        doc(db, "c/d"), {"a.b": 1, "a.c": {"t": server_timestamp()}, "x": delete_field()}
    )
    write = written(transport)
    assert write["updateMask"] == {"fieldPaths": ["a.b", "a.c", "x"]}
    assert write["update"]["fields"]["a"]["mapValue"]["fields"]["b"] == integer(1)
    assert write["updateTransforms"] == [{"fieldPath": "a.c.t", "setToServerValue": "REQUEST_TIME"}]
    assert write["currentDocument"] == {"exists": True}
    await update_doc(doc(db, "c/d"), at, array_union(1), "y", 2)
    write = written(transport)
    assert write["updateMask"] == {"fieldPaths": ["y"]}
    assert write["updateTransforms"] == [
        {"fieldPath": "`o.d`", "appendMissingElements": {"values": [integer(1)]}}
    ]


BAD_WRITES: list[tuple[str, Callable[[Any], Any]]] = [
    ("no dict", lambda d: set_doc(d, [1])),  # type: ignore[arg-type]
    ("deletes without merging", lambda d: set_doc(d, {"a": delete_field()})),
    ("merges and chooses", lambda d: set_doc(d, {"a": 1}, merge=True, merge_fields=["a"])),
    ("chooses what is not there", lambda d: set_doc(d, {"a": 1}, merge_fields=["b"])),
    ("deletes inside a map", lambda d: update_doc(d, {"a": {"b": delete_field()}})),
    ("sets a field twice", lambda d: update_doc(d, {"a": 1, "a.b": 2})),
    ("names an empty field", lambda d: update_doc(d, {"a..b": 1})),
    ("names an odd field", lambda d: update_doc(d, {"a[0]": 1})),
    ("has no value", lambda d: update_doc(d, "a", 1, "b")),
    ("has no name", lambda d: update_doc(d, "a", 1, 2, 3)),
    ("adds no number", lambda d: update_doc(d, {"a": increment("x")})),  # type: ignore[arg-type]
    ("has a value of no kind", lambda d: update_doc(d, {"a": object()})),
]


@pytest.mark.parametrize(
    "call", [call for _, call in BAD_WRITES], ids=[name for name, _ in BAD_WRITES]
)
async def test_a_bad_write_is_refused_before_it_is_sent(
    db: Firestore, transport: Recorder, call: Callable[[Any], Any]
) -> None:
    with pytest.raises(FirestoreError) as caught:
        await call(doc(db, "c/d"))
    assert caught.value.code == "invalid-argument"
    assert transport.requests == []


@pytest.mark.parametrize("path", ["c", "c/d/e", "c//d", ""])
def test_a_document_s_path_has_pairs_of_segments(db: Firestore, path: str) -> None:
    with pytest.raises(FirestoreError, match="invalid-argument"):
        doc(db, path)


# Queries


async def asked(transport: Recorder, question: Query) -> dict[str, Any]:
    transport.respond = lambda request: answer([{"readTime": "2026-01-01T00:00:00Z"}])
    assert (await get_docs(question)).empty
    return dict(json.loads(transport.last.content)["structuredQuery"])


async def test_a_query_spells_its_order_out(db: Firestore, transport: Recorder) -> None:
    wire = await asked(
        transport, query(collection(db, "c/d/e"), where("b", ">", 1), where("a", "!=", 1), limit(3))
    )
    assert transport.last.url == f"http://server/v1/{ROOT}/c/d:runQuery"
    assert wire["from"] == [{"collectionId": "e"}]
    assert [order["field"]["fieldPath"] for order in wire["orderBy"]] == ["a", "b", "__name__"]
    assert wire["limit"] == 3


async def test_the_name_follows_the_last_direction(db: Firestore, transport: Recorder) -> None:
    wire = await asked(transport, query(collection(db, "c"), order_by("a", "desc")))
    assert [order["direction"] for order in wire["orderBy"]] == ["DESCENDING", "DESCENDING"]


async def test_the_last_are_the_first_the_other_way_round(
    db: Firestore, transport: Recorder
) -> None:
    question = query(
        collection(db, "c"), order_by("a"), start_at(1), end_before(5), limit_to_last(2)
    )
    wire = await asked(transport, question)
    assert [order["direction"] for order in wire["orderBy"]] == ["DESCENDING", "DESCENDING"]
    assert wire["startAt"] == {"values": [integer(5)], "before": False}
    assert wire["endAt"] == {"values": [integer(1)], "before": False}


@pytest.mark.parametrize(
    ("constraint", "wire"),
    [
        (where("a", "==", None), {"unaryFilter": {"field": {"fieldPath": "a"}, "op": "IS_NULL"}}),
        (
            where("a", "!=", float("nan")),
            {"unaryFilter": {"field": {"fieldPath": "a"}, "op": "IS_NOT_NAN"}},
        ),
        (
            where(document_id(), "==", "x"),
            {
                "fieldFilter": {
                    "field": {"fieldPath": "__name__"},
                    "op": "EQUAL",
                    "value": {"referenceValue": f"{ROOT}/c/x"},
                }
            },
        ),
        (
            or_(and_(where("a", "<", 1))),
            {
                "fieldFilter": {
                    "field": {"fieldPath": "a"},
                    "op": "LESS_THAN",
                    "value": integer(1),
                }
            },
        ),
    ],
)
async def test_a_filter_has_this_form(
    db: Firestore, transport: Recorder, constraint: QueryConstraint, wire: dict[str, Any]
) -> None:
    assert (await asked(transport, query(collection(db, "c"), constraint)))["where"] == wire


async def test_a_cursor_of_names_in_a_group_is_a_whole_path(
    db: Firestore, transport: Recorder
) -> None:
    group = query(collection_group(db, "e"), order_by(document_id()), start_after("c/d/e/f"))
    wire = await asked(transport, group)
    assert wire["from"] == [{"collectionId": "e", "allDescendants": True}]
    assert wire["startAt"]["values"] == [{"referenceValue": f"{ROOT}/c/d/e/f"}]


BAD_QUERIES: dict[str, Callable[[Firestore], object]] = {
    "an unknown operator": lambda db: where("a", "=", 1),  # type: ignore[arg-type]
    "an empty list": lambda db: query(collection(db, "c"), where("a", "in", [])),
    "no list": lambda db: query(collection(db, "c"), where("a", "in", 1)),
    "an unknown direction": lambda db: order_by("a", "up"),  # type: ignore[arg-type]
    "no limit": lambda db: limit(0),
    "an empty cursor": lambda db: start_at(),
    "too many values": lambda db: query(collection(db, "c"), order_by("a"), start_at(1, 2)),
    "a path for an id": lambda db: query(collection(db, "c"), where(document_id(), "==", "a/b")),
    "an id for a path": lambda db: query(
        collection_group(db, "c"), where(document_id(), "==", "a")
    ),
    "a number for an id": lambda db: query(collection(db, "c"), where(document_id(), "==", 1)),
    "no filter": lambda db: or_(),
    "an order as filter": lambda db: and_(order_by("a")),  # type: ignore[arg-type]
    "no constraint": lambda db: query(collection(db, "c"), "a"),  # type: ignore[arg-type]
    "an even path": lambda db: collection(db, "c/d"),
    "a path as group": lambda db: collection_group(db, "c/d"),
}


@pytest.mark.parametrize("make", BAD_QUERIES.values(), ids=BAD_QUERIES.keys())
async def test_a_bad_query_is_refused(db: Firestore, make: Callable[[Firestore], object]) -> None:
    with pytest.raises(FirestoreError, match="invalid-argument"):
        make(db)


async def test_queries_that_ask_the_same_are_equal(db: Firestore) -> None:
    def make() -> Query:
        return query(collection(db, "c"), where("a", "==", 1), order_by("b"))

    assert query_equal(make(), make())
    assert hash(make()) == hash(make())
    assert make() != query(make(), limit(1))


# Answers


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (refusal(403, "no", "PERMISSION_DENIED"), "permission-denied"),
        (answer([{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}], 400), "invalid-argument"),
        (refusal(400, "no index", "FAILED_PRECONDITION"), "failed-precondition"),
        (HttpResponse(502, {}, b"<html>"), "unavailable"),
        (HttpResponse(418, {}, b""), "unknown"),
        (answer({"error": "?"}, 404), "not-found"),
        (HttpResponse(200, {}, b"<html>"), "unavailable"),
    ],
)
async def test_a_refused_commit_has_a_code_and_is_not_repeated(
    db: Firestore, transport: Recorder, response: HttpResponse, code: str
) -> None:
    transport.respond = lambda request: response
    with pytest.raises(FirestoreError) as caught:
        await delete_doc(doc(db, "c/d"))
    assert caught.value.code == code
    assert len(transport.requests) == 1


async def test_a_read_is_tried_again_while_the_server_is_out_of_reach(
    db: Firestore, transport: Recorder
) -> None:
    down = TransportError("down", sent=True)
    missing = answer([{"missing": f"{ROOT}/c/d", "readTime": "2026-01-01T00:00:00Z"}])
    transport.respond = in_turn(down, refusal(503, "soon", "UNAVAILABLE"), missing)
    assert not (await get_doc(doc(db, "c/d"))).exists()
    assert len(transport.requests) == 3
    transport.respond = in_turn(down)
    with pytest.raises(FirestoreError, match="unavailable"):
        await get_doc(doc(db, "c/d"))


async def test_a_token_that_the_server_refuses_is_renewed_once(
    app: FirebaseApp, db: Firestore, transport: Recorder
) -> None:
    class Source:
        async def get_token(self, force_refresh: bool = False) -> str | None:
            return "new" if force_refresh else "old"

    app._token_source = Source()
    transport.respond = in_turn(refusal(401, "over", "UNAUTHENTICATED"), COMMITTED)
    await delete_doc(doc(db, "c/d"))
    shown = [request.headers["Authorization"] for request in transport.requests]
    assert shown == ["Bearer old", "Bearer new"]


async def test_a_transaction_repeats_on_conflict_and_names_what_it_read(
    db: Firestore, transport: Recorder
) -> None:
    found = {"name": f"{ROOT}/c/a", "updateTime": "2026-01-01T00:00:00.000001Z"}
    commits = [refusal(409, "again", "ABORTED"), COMMITTED]

    def respond(request: HttpRequest) -> HttpResponse:
        if request.url.endswith(":commit"):
            return commits.pop(0)
        (name,) = json.loads(request.content)["documents"]
        return answer([{"found": found} if name == found["name"] else {"missing": name}])

    transport.respond = respond

    async def work(transaction: Transaction) -> str:
        await transaction.get(doc(db, "c/a"))
        await transaction.get(doc(db, "c/b"))
        await transaction.get(doc(db, "c/new"))
        transaction.set(doc(db, "c/new"), {}).update(doc(db, "c/new"), {"n": 1})
        transaction.delete(doc(db, "c/a"))
        return "done"

    assert await run_transaction(db, work) == "done"
    writes = json.loads(transport.last.content)["writes"]
    assert [write["currentDocument"] for write in writes] == [
        {"exists": False},
        {"exists": True},
        {"updateTime": found["updateTime"]},
        {"exists": False},
    ]
    assert writes[3]["verify"] == f"{ROOT}/c/b"


async def test_a_commit_whose_answer_was_lost_is_not_repeated(
    db: Firestore, transport: Recorder
) -> None:
    transport.respond = in_turn(TransportError("lost", sent=True))

    async def work(transaction: Transaction) -> None:
        transaction.set(doc(db, "c/a"), {"n": increment(1)})

    with pytest.raises(FirestoreError, match="unavailable"):
        await run_transaction(db, work)
    assert len(transport.requests) == 1


async def test_updating_what_was_read_as_missing_is_refused(
    db: Firestore, transport: Recorder
) -> None:
    transport.respond = lambda request: answer([{"missing": f"{ROOT}/c/a"}])

    async def work(transaction: Transaction) -> None:
        await transaction.get(doc(db, "c/a"))
        transaction.update(doc(db, "c/a"), {"n": 1})

    with pytest.raises(FirestoreError, match="does not exist"):
        await run_transaction(db, work)


# Objects

UPLOADED = answer({"name": "a/b.png", "bucket": "bucket", "size": "3", "downloadTokens": "t1,t2"})


async def test_an_upload_is_one_body_of_two_parts(
    storage: FirebaseStorage, transport: Recorder, app: FirebaseApp
) -> None:
    app._token_source = FixedToken("me")
    transport.respond = lambda request: UPLOADED
    result = await upload_bytes(ref(storage, "a/b.png"), b"\r\n-", {"cache_control": "no-store"})
    request = transport.last
    assert request.url == "http://server/v0/b/bucket/o?name=a%2Fb.png"
    assert request.headers["Authorization"] == "Firebase me"
    assert request.headers["X-Goog-Upload-Protocol"] == "multipart"
    boundary = request.headers["Content-Type"].removeprefix("multipart/related; boundary=")
    _, head, body, end = request.content.split(f"--{boundary}".encode())
    assert json.loads(head.split(b"\r\n\r\n")[1]) == {
        "name": "a/b.png",
        "cacheControl": "no-store",
        "contentType": "image/png",
    }
    assert body == b"\r\nContent-Type: image/png\r\n\r\n\r\n-\r\n"
    assert end == b"--"
    assert result.total_bytes == 3


async def test_a_download_url_carries_the_first_token(
    storage: FirebaseStorage, transport: Recorder
) -> None:
    transport.respond = lambda request: UPLOADED
    url = await get_download_url(ref(storage, "a/b.png"))
    assert url == "http://server/v0/b/bucket/o/a%2Fb.png?alt=media&token=t1"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "storage/unauthenticated"),
        (402, "storage/quota-exceeded"),
        (403, "storage/unauthorized"),
        (404, "storage/object-not-found"),
        (400, "storage/invalid-argument"),
        (418, "storage/unknown"),
        (503, "storage/retry-limit-exceeded"),
        (429, "storage/retry-limit-exceeded"),
    ],
)
async def test_a_refused_download_has_a_code(
    storage: FirebaseStorage, transport: Recorder, status: int, code: str
) -> None:
    transport.respond = lambda request: refusal(status, "said")
    with pytest.raises(StorageError) as caught:
        await get_bytes(ref(storage, "a"))
    assert caught.value.code == code
    assert "said" in caught.value.message
    assert len(transport.requests) == (4 if code.endswith("exceeded") and status != 402 else 1)


async def test_a_download_is_tried_again_and_a_deletion_is_not(
    storage: FirebaseStorage, transport: Recorder
) -> None:
    transport.respond = in_turn(TransportError("x", sent=True), HttpResponse(200, {}, b"abc"))
    assert await get_bytes(ref(storage, "a"), 2) == b"ab"
    transport.respond = in_turn(TransportError("x", sent=True))
    with pytest.raises(StorageError, match="storage/retry-limit-exceeded"):
        await delete_object(ref(storage, "a"))
    assert len(transport.requests) == 3


class ResumableServer:
    """Takes uploads in chunks; loses answers where it is told to."""

    def __init__(self, lose: set[int]) -> None:
        self.content = b""
        self.calls = 0
        self._lose = lose

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.calls += 1
        command = request.headers.get("X-Goog-Upload-Command")
        if command == "start":
            return answer({}, **{"x-goog-upload-url": "http://server/session"})
        done = False
        if command is not None and command.startswith("upload"):
            assert int(request.headers["X-Goog-Upload-Offset"]) == len(self.content)
            self.content += request.content
            done = "finalize" in command
            if self.calls in self._lose:
                self.finished = done
                raise TransportError("lost", sent=True)
        if command == "query":
            done = self.finished
        status = {"x-goog-upload-status": "final" if done else "active"}
        received = {"x-goog-upload-size-received": str(len(self.content))}
        return answer({"name": "a", "size": str(len(self.content))}, **status, **received)


@pytest.mark.parametrize("lose", [set(), {2}, {3}, {4}, {2, 4}], ids=str)
async def test_a_chunk_whose_answer_is_lost_is_not_sent_twice(
    storage: FirebaseStorage, transport: Recorder, lose: set[int]
) -> None:
    server = ResumableServer(lose)
    transport.respond = server
    content = bytes(600 * 1024)
    result = await upload_bytes_resumable(ref(storage, "a"), content)
    assert server.content == content
    assert result.total_bytes == len(content)


@pytest.mark.parametrize(
    ("value", "string_format"),
    [("*", "base64"), ("+/", "base64url"), ("http://x", "data_url"), ("data:x", "data_url")],
)
async def test_malformed_text_is_refused(
    storage: FirebaseStorage, transport: Recorder, value: str, string_format: Any
) -> None:
    with pytest.raises(StorageError, match="storage/invalid-format"):
        await upload_string(ref(storage, "a"), value, string_format)
    assert transport.requests == []


async def test_places_in_buckets(app: FirebaseApp, storage: FirebaseStorage) -> None:
    place = ref(ref(storage, "/a//b/"), "c.txt")
    assert (place.full_path, place.name, str(place.parent)) == (
        "a/b/c.txt",
        "c.txt",
        "gs://bucket/a/b",
    )
    assert place.root.parent is None
    assert str(ref(storage, "gs://other/x y")) == "gs://other/x y"
    url = "http://server/v0/b/other/o/x%20y?alt=media"
    assert ref(storage, url) == ref(storage, "gs://other/x y")
    for bad in ("gs:///x", "https://example.com/x"):
        with pytest.raises(StorageError, match="storage/invalid-url"):
            ref(storage, bad)


async def test_no_bucket_is_told(transport: Recorder) -> None:
    async with initialize_app({"project_id": "demo"}, "bucketless", transport=transport) as app:
        with pytest.raises(StorageError, match="storage/no-default-bucket"):
            ref(get_storage(app), "a")
