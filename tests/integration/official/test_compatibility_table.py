"""docs/compatibility.md: each test that it names is there, and each function that the SDKs export."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.official.conftest import HERE, cases

TEXT = (HERE.parents[2] / "docs" / "compatibility.md").read_text()


def test_every_named_case_exists() -> None:
    known = {*cases("node"), *cases("browser")}
    named = re.findall(r"((?:node|browser)/\w+\.test\.mjs): \*([^*]+)\*", TEXT)
    assert len(named) > 100
    missing = {(script, " ".join(case.split())) for script, case in named} - known
    assert not missing


def test_every_named_python_test_exists() -> None:
    named = re.findall(r"((?:auth/)?test_\w+\.py): \*(\w+)\*", TEXT)
    assert len(named) > 20
    missing = [(file, name) for file, name in named if f"def {name}(" not in _source(file)]
    assert not missing


@pytest.fixture(scope="module")
def exported(node_folder: Path) -> dict[str, list[str]]:
    """Functions of each module as the installed packages have them."""
    script = node_folder / "node" / "exports.mjs"
    output = subprocess.run(
        ["node", str(script)], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    found = re.search(r"^EXPORTS (.*)$", output, re.MULTILINE)
    assert found
    exports: dict[str, list[str]] = json.loads(found[1])
    return exports


MODULES = (
    "firebase/app",
    "firebase/auth",
    "firebase/firestore",
    "firebase/firestore/lite",
    "firebase/storage",
    "@firebase/rules-unit-testing",
    "firebase-admin/auth",
    "firebase-admin/firestore",
    "firebase-admin/storage",
)


@pytest.mark.parametrize("module", MODULES)
def test_every_function_of_the_sdks_has_its_row(
    module: str, exported: dict[str, list[str]]
) -> None:
    section = re.search(rf"^## `{re.escape(module)}`[^\n]*\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    assert section
    rows = [line.split("|") for line in section[1].splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"(\w+)`", row[1])}
    assert len(exported[module]) > 2
    assert set(exported[module]) <= named
    for row in rows[2:]:
        state, shown = row[2].strip(), row[3].strip()
        assert state.startswith(("works", "differs", "not offered", "not judged yet")), row
        assert shown or state.startswith(("works: entirely", "not ")), row


def test_every_function_of_pipelines_is_told(exported: dict[str, list[str]]) -> None:
    functions = (HERE.parents[2] / "docs" / "pipelines.md").read_text()
    told = set(re.findall(r"`(\w+)`", functions + TEXT))
    names = exported["firebase/firestore/pipelines"]
    assert not [name for name in names if name not in told and _snake(name) not in told]


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)


def _source(file: str) -> str:
    folder = HERE.parent if "/" in file else HERE
    return (folder / file).read_text()
