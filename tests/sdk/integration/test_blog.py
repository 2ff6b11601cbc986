"""The founding example: as a program, and the two truths about its rules."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from homefire.app import FirebaseApp
from homefire.auth import User, create_user_with_email_and_password, get_auth, sign_out
from homefire.errors import FirestoreError, StorageError
from homefire.firestore import (
    add_doc,
    collection,
    delete_doc,
    doc,
    get_doc,
    get_firestore,
    on_snapshot,
    set_doc,
    update_doc,
)
from homefire.storage import get_bytes, get_storage, ref, upload_bytes

from tests.sdk.conftest import BLOG, PROJECT, MakeApp, Server, running

UID_RULES = """
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /users/{id} {
      allow create: if request.resource.data.uid == request.auth.uid;
    }
  }
}
"""


async def signed_up(app: FirebaseApp, name: str) -> User:
    email = f"{name}@example.com"
    return (await create_user_with_email_and_password(get_auth(app), email, "password123")).user


def profile(user: User) -> dict[str, object]:
    return {"uid": user.uid, "email": user.email, "createdAt": datetime.now(UTC), "role": "user"}


async def test_the_program_runs_and_can_be_run_again(blog_server: Server) -> None:
    for _ in range(2):
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            str(BLOG / "blog.py"),
            "--host",
            blog_server.host,
            "--project",
            PROJECT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await asyncio.wait_for(program.communicate(), 60))[0].decode()
        assert program.returncode == 0, output
        for line in ("registered:", "signed in:", "new post:", "post updated:", "post deleted:"):
            assert line in output


async def test_the_program_fails_where_there_is_no_server() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, str(BLOG / "blog.py"), "--host", "http://127.0.0.1:9", stderr=-1, stdout=-1
    )
    _, errors = await asyncio.wait_for(program.communicate(), 60)
    assert program.returncode == 1
    assert b"auth/network-request-failed" in errors


async def test_the_original_profile_under_an_id_by_chance_is_refused(
    blog: FirebaseApp, unique: str
) -> None:
    user = await signed_up(blog, unique)
    users = collection(get_firestore(blog), "users")
    with pytest.raises(FirestoreError) as caught:
        await add_doc(users, profile(user))
    assert caught.value.code == "permission-denied"
    await set_doc(doc(users, user.uid), profile(user))


async def test_the_original_profile_is_accepted_by_a_rule_on_what_is_written(
    make_app: MakeApp, unique: str, tmp_path: Path
) -> None:
    rules = tmp_path / "firestore.rules"
    rules.write_text(UID_RULES)
    with running(tmp_path / "data", "--rules", str(rules)) as server:
        app = make_app(server.host)
        user = await signed_up(app, unique)
        users = collection(get_firestore(app), "users")
        await add_doc(users, profile(user))
        with pytest.raises(FirestoreError, match="permission-denied"):
            await add_doc(users, {**profile(user), "uid": "somebody else"})


async def test_only_the_author_changes_a_post(blog: FirebaseApp, unique: str) -> None:
    db, author = get_firestore(blog), await signed_up(blog, unique)
    post = await add_doc(collection(db, "posts"), {"authorId": author.uid, "title": "Mine"})
    await signed_up(blog, f"other-{unique}")
    for attempt in (update_doc(post, {"title": "Stolen"}), delete_doc(post)):
        with pytest.raises(FirestoreError, match="permission-denied"):
            await attempt
    await sign_out(get_auth(blog))
    assert (await get_doc(post)).get("title") == "Mine"


async def test_a_listener_loses_what_its_user_may_no_longer_see(
    blog: FirebaseApp, unique: str
) -> None:
    db, user = get_firestore(blog), await signed_up(blog, unique)
    mine = doc(db, "users", user.uid)
    await set_doc(mine, profile(user))
    heard: asyncio.Queue[object] = asyncio.Queue()
    on_snapshot(mine, heard.put_nowait, heard.put_nowait)
    await asyncio.wait_for(heard.get(), 15)
    await sign_out(get_auth(blog))
    error = await asyncio.wait_for(heard.get(), 15)
    assert isinstance(error, FirestoreError)
    assert error.code == "permission-denied"


async def test_images_are_written_by_their_owner_only(blog: FirebaseApp, unique: str) -> None:
    user = await signed_up(blog, unique)
    images = ref(get_storage(blog), f"images/{user.uid}")
    image = (await upload_bytes(ref(images, "a.png"), b"png")).ref
    for where, content in (
        (ref(images, "a.html"), b"<b>"),
        (ref(images, "big.png"), b"x" * (5 * 1024 * 1024)),
        (ref(image.root, "images/somebody/a.png"), b"png"),
    ):
        with pytest.raises(StorageError) as caught:
            await upload_bytes(where, content)
        assert caught.value.code == "storage/unauthorized"
    await sign_out(get_auth(blog))
    assert await get_bytes(image) == b"png"
    with pytest.raises(StorageError, match="storage/unauthorized"):
        await upload_bytes(image, b"png")
