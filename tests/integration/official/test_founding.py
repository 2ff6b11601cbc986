"""The founding example, unchanged, with the official SDK in Node and in Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.official.conftest import (
    HERE,
    Server,
    node_environment,
    start_server,
)

RULES = HERE / "founding" / "firestore.rules.json"
CREATE_OWN = '".write": "auth != null && auth.uid == $uid"'
CREATE_ANY = (
    '".write": "auth != null && (auth.uid == $uid '
    "|| (!data.exists() && newData.child('uid').val() == auth.uid))\""
)
STORAGE_RULES = """rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /images/{uid}/{name} {
      allow read: if true;
      allow write: if request.auth != null && request.auth.uid == uid
        && request.resource.size < 5 * 1024 * 1024 && request.resource.contentType.matches('image/.*');
    }
  }
}
"""
SURFACES = [
    "node.mjs",
    pytest.param(
        "browser.mjs",
        marks=[
            pytest.mark.browser,
            pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is missing"),
        ],
    ),
]


def serving(tmp_path: Path, rules: str) -> Iterator[Server]:
    (tmp_path / "firestore.rules.json").write_text(rules)
    (tmp_path / "storage.rules").write_text(STORAGE_RULES)
    running = start_server(
        tmp_path / "data",
        "--project",
        "myapp",
        "--rules",
        str(tmp_path / "firestore.rules.json"),
        "--storage-rules",
        str(tmp_path / "storage.rules"),
    )
    yield running
    running.stop()


@pytest.fixture
def as_given(tmp_path: Path) -> Iterator[Server]:
    """Under the founding rules as they stand."""
    yield from serving(tmp_path, RULES.read_text())


@pytest.fixture
def with_own_profiles(tmp_path: Path) -> Iterator[Server]:
    """Under the founding rules, but anyone may create a document that names them as its user."""
    text = RULES.read_text()
    assert text.count(CREATE_OWN) == 1
    yield from serving(tmp_path, text.replace(CREATE_OWN, CREATE_ANY))


def play(node_folder: Path, script: str, server: Server) -> dict[str, Any]:
    finished = subprocess.run(
        ["node", str(node_folder / "founding" / script)],
        env=node_environment(server),
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r"^RESULT (.*)$", finished.stdout, re.MULTILINE)
    assert found, finished.stdout[-2000:] + finished.stderr[-3000:]
    return json.loads(found[1])


@pytest.mark.parametrize("script", SURFACES)
def test_founding_example_runs_whole(
    script: str, node_folder: Path, with_own_profiles: Server
) -> None:
    result = play(node_folder, script, with_own_profiles)
    said = result["said"]
    assert result["outcome"] == {"demo": "done", "download": "an image, they say"}, said
    patterns = [
        # In a page the first state is told later than the program goes on.
        *([r"log no user signed in"] if script == "node.mjs" else []),
        r"log user signed in: user@example\.com",
        r"log registered: \S+",
        r"log signed in: user@example\.com",
        r"log post created: \S{20}",
        r"log got 1 posts",
        r'log recent posts: \[\{"id":.*"title":"My first post".*',
        r'log new post: \{.*"title":"My first post".*',
        r"log uploaded: undefined bytes",  # the SDK's result of uploadBytes has no totalBytes
        r"log download URL: http://\S+",
        r'log new post: \{.*"title":"A second post".*',
        r"log unsubscribed",
    ]
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line, re.DOTALL) for line in said), (pattern, said)
    assert not [line for line in said if line.startswith("error")]


@pytest.mark.parametrize("script", SURFACES)
def test_founding_rules_as_given_refuse_the_profile(
    script: str, node_folder: Path, as_given: Server
) -> None:
    """The example adds the profile under an automatic id; its rules allow only the user's own id."""
    result = play(node_folder, script, as_given)
    assert result["outcome"]["demo"] == "permission-denied"
    assert any(line.startswith("error registration failed:") for line in result["said"])


def test_founding_example_is_the_given_one() -> None:
    text = (HERE / "founding" / "firebase-example.js").read_text()
    assert "async function demo()" in text
    assert "connectFirestoreEmulator" not in text
