"""Documents in an app's own types, by ``with_converter``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from homefire.app import FirebaseApp
from homefire.errors import FirestoreError
from homefire.firestore import (
    CollectionReference,
    FirestoreDataConverter,
    QueryDocumentSnapshot,
    QuerySnapshot,
    SetOptions,
    Transaction,
    add_doc,
    collection,
    collection_group,
    doc,
    get_doc,
    get_docs,
    get_firestore,
    on_snapshot,
    order_by,
    query,
    query_equal,
    ref_equal,
    run_transaction,
    set_doc,
    snapshot_equal,
    snapshots,
    start_after,
    update_doc,
    where,
    write_batch,
)

DEADLINE = 15.0


@dataclass
class Post:
    title: str
    stars: int = 0


class PostConverter:
    """Stores a title under another name, and keeps posts' ids out of their fields."""

    def __init__(self) -> None:
        self.asked: list[SetOptions | None] = []

    def to_firestore(
        self, post: Post | Mapping[str, Any], options: SetOptions | None = None
    ) -> Mapping[str, Any]:
        self.asked.append(options)
        if isinstance(post, Post):
            return {"t": post.title, "stars": post.stars}
        return {"t" if key == "title" else key: value for key, value in post.items()}

    def from_firestore(self, snapshot: QueryDocumentSnapshot) -> Post:
        fields = snapshot.data()
        return Post(fields["t"], fields["stars"])


@pytest.fixture
def converter() -> PostConverter:
    return PostConverter()


@pytest.fixture
def plain(app: FirebaseApp, unique: str) -> CollectionReference:
    return collection(get_firestore(app), unique)


@pytest.fixture
def posts(plain: CollectionReference, converter: PostConverter) -> CollectionReference[Post]:
    return plain.with_converter(converter)


async def test_what_is_set_is_converted_and_what_is_read_too(
    plain: CollectionReference, posts: CollectionReference[Post]
) -> None:
    first = doc(posts, "first")
    await set_doc(first, Post("Hello", 3))
    assert (await get_doc(doc(plain, "first"))).data() == {"t": "Hello", "stars": 3}
    read = await get_doc(first)
    assert read.data() == Post("Hello", 3)
    assert (read.get("t"), read.get("title")) == ("Hello", None)
    assert read.ref == first
    assert (await get_doc(doc(posts, "none"))).data() is None


async def test_added_documents_and_query_results_have_the_converter(
    posts: CollectionReference[Post],
) -> None:
    made = await add_doc(posts, Post("A", 1))
    assert (await get_doc(made)).data() == Post("A", 1)
    await add_doc(posts, Post("B", 2))
    found = await get_docs(query(posts, where("stars", ">", 0), order_by("stars")))
    assert [item.data() for item in found] == [Post("A", 1), Post("B", 2)]
    assert [change.doc.data() for change in found.doc_changes()] == [Post("A", 1), Post("B", 2)]
    after = await get_docs(query(posts, order_by("stars"), start_after(found.docs[0])))
    assert [item.data() for item in after] == [Post("B", 2)]
    assert (await get_doc(found.docs[0].ref)).data() == Post("A", 1)


async def test_a_collection_group_with_a_converter(
    app: FirebaseApp, unique: str, converter: PostConverter
) -> None:
    db = get_firestore(app)
    await set_doc(doc(db, "x/y", unique, "z"), {"t": "deep", "stars": 1})
    found = await get_docs(collection_group(db, unique).with_converter(converter))
    assert [item.data() for item in found] == [Post("deep", 1)]


async def test_a_merge_tells_the_converter_so(
    plain: CollectionReference, posts: CollectionReference[Post], converter: PostConverter
) -> None:
    first = doc(posts, "first")
    await set_doc(first, Post("Hello", 3))
    await set_doc(first, {"title": "Bye"}, merge=True)
    await set_doc(first, Post("Ignored", 9), merge_fields=["stars"])
    assert converter.asked == [None, {"merge": True}, {"merge_fields": ["stars"]}]
    assert (await get_doc(doc(plain, "first"))).data() == {"t": "Bye", "stars": 9}


async def test_an_update_is_of_the_stored_fields(posts: CollectionReference[Post]) -> None:
    first = await add_doc(posts, Post("Hello"))
    await update_doc(first, {"t": "Bye"})
    assert (await get_doc(first)).data() == Post("Bye")


async def test_batches_and_transactions_convert(
    plain: CollectionReference, posts: CollectionReference[Post]
) -> None:
    first = doc(posts, "first")
    await write_batch(posts.firestore).set(first, Post("Hello", 1)).commit()

    async def another_star(transaction: Transaction) -> Post:
        post = (await transaction.get(first)).data()
        assert post is not None
        post.stars += 1
        transaction.set(first, post)
        return post

    assert await run_transaction(posts.firestore, another_star) == Post("Hello", 2)
    assert (await get_doc(doc(plain, "first"))).data() == {"t": "Hello", "stars": 2}


async def test_listeners_convert(posts: CollectionReference[Post]) -> None:
    heard: asyncio.Queue[QuerySnapshot[Post]] = asyncio.Queue()
    end = on_snapshot(posts, heard.put_nowait)
    async with asyncio.timeout(DEADLINE):
        assert (await heard.get()).empty
        first = await add_doc(posts, Post("Hello"))
        told = await heard.get()
    end()
    assert [change.doc.data() for change in told.doc_changes()] == [Post("Hello")]
    async for snapshot in snapshots(first):
        assert snapshot.data() == Post("Hello")
        break


async def test_two_functions_are_a_converter(plain: CollectionReference) -> None:
    made = FirestoreDataConverter(asdict, lambda snapshot: Post(**snapshot.data()))
    first = await add_doc(plain.with_converter(made), Post("Hello", 3))
    assert (await get_doc(first)).data() == Post("Hello", 3)
    builtin = FirestoreDataConverter(dict, lambda snapshot: snapshot.id)
    await set_doc(first.with_converter(builtin), [("title", "Bye")], merge=True)
    assert (await get_doc(first)).data() == Post("Bye", 3)
    assert (await get_doc(first.with_converter(builtin))).data() == first.id


def test_which_references_inherit_the_converter(
    plain: CollectionReference, posts: CollectionReference[Post]
) -> None:
    first = doc(posts, "first")
    assert ref_equal(first.parent, posts)
    assert not ref_equal(posts, plain)
    assert not ref_equal(first, doc(plain, "first"))
    assert ref_equal(first.with_converter(None), doc(plain, "first"))
    assert posts.with_converter(None) == plain
    comments = collection(first, "comments")
    assert comments == collection(doc(plain, "first"), "comments")
    assert comments.parent == doc(plain, "first")
    ordered = query(plain, order_by("stars"))
    assert not query_equal(query(posts, order_by("stars")), ordered)
    assert query_equal(query(posts, order_by("stars")).with_converter(None), ordered)


async def test_snapshots_of_other_converters_differ(
    plain: CollectionReference, posts: CollectionReference[Post]
) -> None:
    first = await add_doc(posts, Post("Hello"))
    assert snapshot_equal(await get_doc(first), await get_doc(first))
    assert not snapshot_equal(await get_doc(first), await get_doc(first.with_converter(None)))
    assert not snapshot_equal(await get_docs(plain), await get_docs(posts))


def made_of_nothing(model: object) -> Any:
    return None


async def test_what_is_no_converter_or_makes_no_mapping_is_refused(
    plain: CollectionReference,
) -> None:
    wrong: Any = {"to_firestore": asdict}
    with pytest.raises(FirestoreError, match="invalid-argument"):
        plain.with_converter(wrong)
    nothing: FirestoreDataConverter[Any] = FirestoreDataConverter(made_of_nothing, str)
    with pytest.raises(FirestoreError, match="invalid-argument"):
        await add_doc(plain.with_converter(nothing), Post("Hello"))
    assert (await get_docs(plain)).empty
