"""Apps and their configuration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from homefire.app import delete_app, get_app, get_apps, initialize_app
from homefire.auth import get_auth
from homefire.errors import AppError, FirebaseError
from homefire.firestore import collection, get_firestore
from homefire.storage import get_storage, ref

OPTIONS = {"project_id": "demo", "api_key": "k"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from homefire.app import _registry

    monkeypatch.delenv("HOMEFIRE_URL", raising=False)
    yield
    _registry.apps.clear()


async def test_the_default_app_is_found_everywhere() -> None:
    app = initialize_app(OPTIONS)
    assert get_app() is app
    assert get_auth().app is app
    assert get_auth(app) is get_auth()
    assert get_firestore() is get_firestore(app)
    assert get_firestore(app, "other") is not get_firestore(app)


async def test_an_app_is_made_once() -> None:
    app = initialize_app(OPTIONS)
    assert initialize_app(dict(OPTIONS)) is app
    assert get_apps() == [app]
    with pytest.raises(AppError, match="app/duplicate-app"):
        initialize_app({"project_id": "another"})


async def test_a_deleted_app_is_gone() -> None:
    app = initialize_app(OPTIONS, "x")
    await delete_app(app)
    with pytest.raises(AppError, match="app/no-app"):
        get_app("x")
    with pytest.raises(AppError, match="app/app-deleted"):
        get_auth(app)


async def test_an_app_can_be_a_context() -> None:
    async with initialize_app(OPTIONS) as app:
        assert get_app() is app
    assert get_apps() == []


@pytest.mark.parametrize(
    ("given", "env", "host"),
    [
        (None, None, "http://127.0.0.1:8080"),
        (None, "http://env:1/", "http://env:1"),
        ("https://given:2", "http://env:1", "https://given:2"),
        ("given:2", None, "http://given:2"),
    ],
)
def test_the_host_is_given_or_from_the_environment_or_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, given: str | None, env: str | None, host: str
) -> None:
    if env is not None:
        monkeypatch.setenv("HOMEFIRE_URL", env)
    app = initialize_app(OPTIONS | ({"host": given} if given else {}))
    assert app._options.host == host


def test_firebase_s_own_spelling_is_taken() -> None:
    app = initialize_app({"projectId": "demo", "apiKey": "k", "storageBucket": "demo.appspot.com"})
    assert app.options["project_id"] == "demo"
    assert str(ref(get_storage(app), "a/b")) == "gs://demo.appspot.com/a/b"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"project_id": ""},
        {"project_id": "a/b"},
        {"project_id": "demo", "projct": "x"},
        {"project_id": "demo", "api_key": 1},
        {"project_id": "demo", "host": "ftp://x"},
        {"project_id": "demo", "host": "http://x:port"},
    ],
)
def test_a_bad_configuration_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(AppError) as caught:
        initialize_app(options)
    assert caught.value.code == "app/invalid-options"
    assert get_apps() == []


def test_errors_are_one_family_and_say_code_and_message() -> None:
    with pytest.raises(FirebaseError) as caught:
        get_app("nowhere")
    assert caught.value.code == "app/no-app"
    assert str(caught.value) == f"{caught.value.message} (app/no-app)"


async def test_references_know_their_place() -> None:
    db = get_firestore(initialize_app(OPTIONS))
    posts = collection(db, "users/ada/posts")
    assert (posts.id, posts.path) == ("posts", "users/ada/posts")
    assert posts.parent is not None
    assert (posts.parent.id, posts.parent.path) == ("ada", "users/ada")
    assert posts.parent.parent == collection(db, "users")
    assert collection(db, "users").parent is None
