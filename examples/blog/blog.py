"""A small blog: sign-up, sign-in, posts, live updates, image upload.

    python blog.py --host http://127.0.0.1:8080

The functions of the sections Auth, Firestore and Storage are those of a web app written for Firebase,
line for line; `demo()` calls them and checks what comes back. Exits with 0 when all of it was right.
"""

import argparse
import asyncio
import struct
import sys
import time
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from homefire.app import delete_app, initialize_app
from homefire.auth import (
    User,
    create_user_with_email_and_password,
    delete_user,
    get_auth,
    on_auth_state_changed,
    sign_in_with_email_and_password,
    sign_out,
)
from homefire.firestore import (
    Firestore,
    QueryDocumentSnapshot,
    QuerySnapshot,
    add_doc,
    collection,
    delete_doc,
    doc,
    get_doc,
    get_docs,
    get_firestore,
    limit,
    on_snapshot,
    order_by,
    query,
    set_doc,
    update_doc,
    where,
)
from homefire.storage import delete_object, get_download_url, get_storage, ref, upload_bytes

parser = argparse.ArgumentParser(description="The blog example.")
parser.add_argument("--host", default="http://127.0.0.1:8080", help="the server's address")
parser.add_argument("--project", default="myapp", help="the project on the server")
arguments = parser.parse_args()

firebase_config = {
    "api_key": "AIzaSyXXXXXXXXXXXXXXXXXXXXXXXXX",
    "auth_domain": "myapp.firebaseapp.com",
    "project_id": arguments.project,
    "storage_bucket": f"{arguments.project}.appspot.com",
    "messaging_sender_id": "123456789",
    "app_id": "1:123456789:web:xxxxx",
    "host": arguments.host,
}

app = initialize_app(firebase_config)
db = get_firestore(app)
auth = get_auth(app)
storage = get_storage(app)

# ========== Auth ==========


async def register_user(email: str, password: str, display_name: str) -> User:
    try:
        user_credential = await create_user_with_email_and_password(auth, email, password)
        user = user_credential.user

        # create the user's document, at the one place where the rules let this user write
        await set_doc(
            doc(db, "users", user.uid),
            {
                "uid": user.uid,
                "email": email,
                "displayName": display_name,
                "createdAt": datetime.now(UTC),
                "role": "user",
            },
        )

        print("registered:", user.uid)
        return user
    except Exception as error:
        print("registration failed:", error, file=sys.stderr)
        raise


async def login_user(email: str, password: str) -> User:
    try:
        user_credential = await sign_in_with_email_and_password(auth, email, password)
        print("signed in:", user_credential.user.email)
        return user_credential.user
    except Exception as error:
        print("sign-in failed:", error, file=sys.stderr)
        raise


# watch the auth state
def show_auth_state(user: User | None) -> None:
    if user:
        print("user signed in:", user.email)
    else:
        print("no user signed in")


on_auth_state_changed(auth, show_auth_state)

# ========== Firestore ==========


async def create_post(title: str, content: str) -> str:
    user = auth.current_user
    if not user:
        raise RuntimeError("not signed in")

    try:
        doc_ref = await add_doc(
            collection(db, "posts"),
            {
                "title": title,
                "content": content,
                "authorId": user.uid,
                "authorEmail": user.email,
                "createdAt": datetime.now(UTC),
                "likes": 0,
                "comments": [],
            },
        )

        print("post created:", doc_ref.id)
        return doc_ref.id
    except Exception as error:
        print("create failed:", error, file=sys.stderr)
        raise


async def get_recent_posts(limit_count: int = 10) -> list[dict[str, Any]]:
    try:
        q = query(collection(db, "posts"), order_by("createdAt", "desc"), limit(limit_count))

        query_snapshot = await get_docs(q)
        posts: list[dict[str, Any]] = []

        def keep(post: QueryDocumentSnapshot) -> None:
            posts.append({"id": post.id, **post.data()})

        query_snapshot.for_each(keep)

        print(f"got {len(posts)} posts")
        return posts
    except Exception as error:
        print("query failed:", error, file=sys.stderr)
        raise


# realtime
def subscribe_to_user_posts(
    user_id: str, db: Firestore = db, then: Callable[[str, str], None] = lambda kind, id: None
) -> Callable[[], None]:
    q = query(
        collection(db, "posts"), where("authorId", "==", user_id), order_by("createdAt", "desc")
    )

    def show(snapshot: QuerySnapshot) -> None:
        for change in snapshot.doc_changes():
            if change.type == "added":
                print("new post:", change.doc.data())
            if change.type == "modified":
                print("post updated:", change.doc.data())
            if change.type == "removed":
                print("post deleted:", change.doc.id)
            then(change.type, change.doc.id)

    # returns the unsubscribe function
    return on_snapshot(q, show)


# ========== Storage ==========


@dataclass
class File:
    name: str
    type: str
    content: bytes


async def upload_image(file: File) -> str:
    user = auth.current_user
    if not user:
        raise RuntimeError("not signed in")

    try:
        # a unique file name
        filename = f"{user.uid}/{time.time_ns() // 1_000_000}_{file.name}"
        storage_ref = ref(storage, f"images/{filename}")

        snapshot = await upload_bytes(storage_ref, file.content, {"content_type": file.type})
        print("uploaded:", snapshot.total_bytes, "bytes")

        download_url = await get_download_url(snapshot.ref)
        print("download URL:", download_url)

        return download_url
    except Exception as error:
        print("upload failed:", error, file=sys.stderr)
        raise


# ========== Use ==========

EMAIL, PASSWORD, NAME = "user@example.com", "password123", "John Doe"
DEADLINE = 15.0  # seconds for anything to happen


async def demo() -> None:
    await register_user(EMAIL, PASSWORD, NAME)
    await sign_out(auth)
    user = await login_user(EMAIL, PASSWORD)
    profile = await get_doc(doc(db, "users", user.uid))
    check(profile.get("displayName") == NAME, "the profile is there")

    # a second client, which nobody is signed in to, watches the first one's posts
    reader = initialize_app(firebase_config, "reader")
    changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    unsubscribe = subscribe_to_user_posts(
        user.uid, get_firestore(reader), lambda kind, id: changes.put_nowait((kind, id))
    )

    post_id = await create_post("My first post", "This is the content...")
    check(await next_of(changes) == ("added", post_id), "the second client saw the new post")

    posts = await get_recent_posts(5)
    print("recent posts:", posts)
    check(posts[0]["id"] == post_id, "the newest post comes first")
    check(posts[0]["title"] == "My first post", "the post is as it was written")

    await update_doc(doc(db, "posts", post_id), {"likes": 1})
    check(await next_of(changes) == ("modified", post_id), "the second client saw the update")

    await delete_doc(doc(db, "posts", post_id))
    check(await next_of(changes) == ("removed", post_id), "the second client saw the deletion")

    unsubscribe()
    print("unsubscribed")

    image = File("dot.png", "image/png", png(64, 64))
    url = await upload_image(image)
    downloaded = await asyncio.to_thread(download, url)
    check(downloaded == image.content, f"the same {len(downloaded)} bytes came back")

    # leave nothing behind, so that this can be run again
    await delete_object(ref(storage, url))
    await delete_doc(doc(db, "users", user.uid))
    await delete_user(user)
    await delete_app(reader)


def check(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(f"not so: {what}")
    print("  ok:", what)


async def next_of(changes: asyncio.Queue[tuple[str, str]]) -> tuple[str, str]:
    return await asyncio.wait_for(changes.get(), DEADLINE)


def download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DEADLINE) as response:
        content: bytes = response.read()
        return content


def png(width: int, height: int) -> bytes:
    """A picture with a gradient."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    rows = b"".join(
        b"\0" + bytes(value for x in range(width) for value in (4 * x % 256, 4 * y % 256, 128))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


async def main() -> int:
    try:
        await demo()
    except Exception as error:
        print(f"failed: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        await delete_app(app)
    print("all as it should be")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # show what happens as it happens
    sys.exit(asyncio.run(main()))
