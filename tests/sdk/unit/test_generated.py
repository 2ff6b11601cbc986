"""The synchronous twin and the documentation follow the source."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULES = ["homefire.app", "homefire.auth", "homefire.firestore", "homefire.storage"]
GUIDE = (ROOT / "docs" / "sdk.md").read_text("utf-8")


def public(module: str) -> list[str]:
    names: list[str] = importlib.import_module(module).__all__
    return names


def test_the_twin_is_fresh() -> None:
    script = ROOT / "scripts" / "generate_sync.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_the_twin_has_the_same_names_and_waits_for_nothing(module: str) -> None:
    twin = module.replace("homefire.", "homefire.sync.")
    assert public(twin) == public(module)
    for name in public(twin):
        member = getattr(importlib.import_module(twin), name)
        assert not inspect.iscoroutinefunction(member), name
        assert not inspect.isasyncgenfunction(member), name


@pytest.mark.parametrize("module", [*MODULES, "homefire.errors", "homefire.testing"])
def test_what_is_exported_is_there_is_sorted_and_documented(module: str) -> None:
    names = public(module)
    assert names == sorted(names, key=lambda name: (name.lower() == name, name))
    for name in names:
        member = getattr(importlib.import_module(module), name)
        assert inspect.getdoc(member), f"{module}.{name} has no docstring"


@pytest.mark.parametrize("module", [*MODULES, "homefire.testing"])
def test_the_guide_names_what_is_exported(module: str) -> None:
    missing = [name for name in public(module) if not re.search(rf"\b{name}\b", GUIDE)]
    assert missing == []


def test_the_guide_names_nothing_else() -> None:
    known = {name for module in [*MODULES, "homefire.testing"] for name in public(module)}
    section = GUIDE.split("## Reference", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert named - known == set()
