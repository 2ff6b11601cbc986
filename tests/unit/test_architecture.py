"""The direction of imports, read from the source: down the list of rooms only, functions' imports too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GROUND = {"baas", "baas.errors", "baas.model", "baas.wire", "baas.db"}
ROOMS: dict[str, set[str]] = {
    "baas.errors": set(),
    "baas.settings": set(),
    "baas.logs": set(),
    "baas.data_folder": set(),
    "baas.model": {"baas.errors"},
    "baas.wire": {"baas.errors", "baas.model"},
    "baas.db": {"baas.errors", "baas.model"},
    "baas.access": GROUND | {"rules"},
    "baas.documents": GROUND | {"baas.access", "rules"},
    "baas.realtime": GROUND | {"baas.access", "rules"},
    "baas.auth": GROUND | {"baas.access"},
    "baas.storage": GROUND | {"baas.access"},
    "baas.auth_settings": {"baas.auth", "baas.settings"},
    "rules": set(),
    "homefire": set(),
}
"""What each room may import of ours, itself apart. Surfaces, the command line and the server are not
listed: they may import everything but each other (see the other tests)."""

SURFACE_MAY_NOT = {"baas.cli", "baas.server", "baas.serving"}


def modules() -> Iterator[tuple[str, Path]]:
    for base, package in ((ROOT, "baas"), (ROOT, "rules"), (ROOT / "sdk", "homefire")):
        for path in (base / package).rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def room(module: str) -> str | None:
    if module.split(".")[0] in ("rules", "homefire"):
        return module.split(".")[0]
    return ".".join(module.split(".")[:2]) if module.startswith("baas") else None


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_a_room_imports_only_what_lies_below_it(name: str) -> None:
    wrong = {
        f"{module} imports {imported}"
        for module, path in modules()
        if room(module) == name
        for imported in imports(path)
        if (target := room(imported)) is not None
        and target != name
        and target not in ROOMS[name]
        and not (target.startswith("baas.__") or target == "baas")
    }
    assert not wrong


def test_no_surface_imports_the_composition_root_or_the_command_line() -> None:
    wrong = {
        f"{module} imports {imported}"
        for module, path in modules()
        if room(module) == "baas.api"
        for imported in imports(path)
        if room(imported) in SURFACE_MAY_NOT
    }
    assert not wrong


def test_only_the_wire_room_and_surfaces_know_the_wire_packages() -> None:
    """protobuf and grpclib stay out of every service."""
    wrong = {
        f"{module} imports {imported}"
        for module, path in modules()
        if room(module) not in ("baas.wire", "baas.api", "homefire")
        for imported in imports(path)
        if imported.split(".")[0] in ("grpclib", "fastapi", "starlette")
        or imported.startswith("google.protobuf")
        if not module.startswith(("baas.server", "baas.cli"))
    }
    assert not wrong


def test_every_room_of_the_tree_is_known_here() -> None:
    known = set(ROOMS) | {"baas", "baas.api", "baas.cli", "baas.server", "baas.serving"}
    assert {room(module) for module, _ in modules()} - known == set()
