"""homefire.testing against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import entry_points

import pytest
import pytest_asyncio
from homefire.errors import FirebaseError
from homefire.firestore import doc, get_doc, on_snapshot, set_doc
from homefire.storage import get_bytes, ref, upload_bytes
from homefire.testing import (
    RulesTestContext,
    RulesTestEnvironment,
    assert_fails,
    assert_succeeds,
    initialize_test_environment,
)

from tests.sdk.conftest import BLOG, Server

pytest_plugins = ["pytester"]

RULES = """
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{owner} {
      allow read: if request.auth.uid == owner || request.auth.token.admin == true;
      allow write: if request.auth.uid == owner;
    }
  }
}
"""


@pytest_asyncio.fixture
async def environment(open_server: Server, unique: str) -> AsyncIterator[RulesTestEnvironment]:
    async with await initialize_test_environment(
        unique, firestore_rules=RULES, host=open_server.host
    ) as made:
        yield made


async def test_each_context_is_somebody(environment: RulesTestEnvironment) -> None:
    ada = environment.authenticated_context("ada").firestore()
    admin = environment.authenticated_context("bob", {"admin": True}).firestore()
    nobody = environment.unauthenticated_context().firestore()
    await assert_succeeds(set_doc(doc(ada, "notes/ada"), {"text": "mine"}))
    await assert_fails(set_doc(doc(ada, "notes/bob"), {}))
    await assert_fails(get_doc(doc(nobody, "notes/ada")))
    note = await assert_succeeds(get_doc(doc(admin, "notes/ada")))
    assert note.get("text") == "mine"


async def test_listeners_are_somebody_too(environment: RulesTestEnvironment) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()
    ada = environment.authenticated_context("ada").firestore()
    on_snapshot(doc(ada, "notes/ada"), heard.put_nowait, heard.put_nowait)
    assert not isinstance(await asyncio.wait_for(heard.get(), 15), Exception)
    on_snapshot(doc(ada, "notes/bob"), heard.put_nowait, heard.put_nowait)
    error = await asyncio.wait_for(heard.get(), 15)
    assert isinstance(error, FirebaseError)
    assert error.code == "permission-denied"


async def test_documents_are_laid_out_without_rules_and_cleared(
    environment: RulesTestEnvironment,
) -> None:
    async def lay_out(context: RulesTestContext) -> None:
        await set_doc(doc(context.firestore(), "notes/ada"), {"text": "laid out"})

    ada = environment.authenticated_context("ada").firestore()
    await environment.with_security_rules_disabled(lay_out)
    assert (await get_doc(doc(ada, "notes/ada"))).exists()
    await environment.clear_firestore()
    assert not (await get_doc(doc(ada, "notes/ada"))).exists()


async def test_the_wrong_outcome_is_an_assertion(environment: RulesTestEnvironment) -> None:
    ada = environment.authenticated_context("ada").firestore()
    with pytest.raises(AssertionError, match="it succeeded"):
        await assert_fails(get_doc(doc(ada, "notes/ada")))
    with pytest.raises(AssertionError, match="the rules deny it"):
        await assert_succeeds(get_doc(doc(ada, "notes/bob")))


async def test_rules_that_do_not_compile_tell_the_place(open_server: Server, unique: str) -> None:
    with pytest.raises(FirebaseError, match="L2:") as caught:
        await initialize_test_environment(
            unique, firestore_rules="rules_version = '2';\nservice {", host=open_server.host
        )
    assert caught.value.code == "invalid-argument"


async def test_objects(blog_server: Server, unique: str) -> None:
    rules = (BLOG / "storage.rules").read_text()
    async with await initialize_test_environment(
        unique, storage_rules=rules, host=blog_server.host
    ) as environment:
        ada = environment.authenticated_context("ada").storage()
        await assert_succeeds(upload_bytes(ref(ada, "images/ada/a.png"), b"x"))
        await assert_fails(upload_bytes(ref(ada, "images/bob/a.png"), b"x"))
        await environment.clear_storage()
        with pytest.raises(FirebaseError, match="storage/object-not-found"):
            await get_bytes(ref(ada, "images/ada/a.png"))


TESTS = """
from homefire.sync.firestore import doc, get_doc, set_doc
from homefire.sync.testing import assert_fails, assert_succeeds

def test_notes(homefire_rules):
    ada = homefire_rules.authenticated_context("ada").firestore()
    note = assert_succeeds(lambda: get_doc(doc(ada, "notes/ada")))
    assert not note.exists()
    assert_succeeds(lambda: set_doc(doc(ada, "notes/ada"), {}))
    denied = assert_fails(lambda: set_doc(doc(ada, "notes/bob"), {}))
    assert denied.code == "permission-denied"

def test_notes_again(homefire_rules):
    test_notes(homefire_rules)
"""


def test_the_pytest_fixture(pytester: pytest.Pytester, open_server: Server, unique: str) -> None:
    pytester.makefile(".rules", firestore=RULES)
    pytester.makeini(
        f"[pytest]\nhomefire_host = {open_server.host}\nhomefire_project = {unique}\n"
        "homefire_firestore_rules = firestore.rules\n"
    )
    pytester.makepyfile(TESTS)
    # Where the SDK is not installed but on the path, nothing loads the plugin by its entry point.
    installed = entry_points(group="pytest11", name="homefire")
    plugins = [] if installed else ["-p", "homefire.testing.pytest_plugin"]
    result = pytester.runpytest_subprocess(*plugins, "-p", "no:asyncio")
    result.assert_outcomes(passed=2)
