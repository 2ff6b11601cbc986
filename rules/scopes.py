"""Which name means what, at each place of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rules import tree

NAMESPACES = frozenset({"debug", "duration", "timestamp", "latlng", "hashing", "math", "firestore"})
GLOBAL_VARIABLES = frozenset({"request", "resource"})


@dataclass(slots=True, eq=False)
class Scope:
    """File, service or match block: its functions and the captures of the path down to it."""

    parent: Scope | None
    captures: tuple[str, ...] = ()
    functions: dict[str, FunctionInfo] = field(default_factory=dict)

    def function(self, name: str) -> FunctionInfo | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.functions.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def capture(self, name: str) -> int | None:
        """Index among the captures from the outermost; an inner one shadows."""
        for index in range(len(self.captures) - 1, -1, -1):
            if self.captures[index] == name:
                return index
        return None


@dataclass(slots=True, eq=False)
class FunctionInfo:
    """A function and the scope it was declared in, whose names it sees."""

    decl: tree.Function
    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A match block with its full path and its scope, in source order."""

    service: str
    match: tree.Match
    path: tuple[tree.Segment, ...]
    scope: Scope


@dataclass(slots=True, eq=False)
class Program:
    """A file with names in place."""

    file: tree.File
    blocks: list[Block] = field(default_factory=list)
    functions: list[FunctionInfo] = field(default_factory=list)
    duplicates: list[tree.Function] = field(default_factory=list)


def build_program(file: tree.File) -> Program:
    """Declare every function and walk every match block, outer before inner."""
    program = Program(file)
    top = Scope(None)
    _declare(program, top, file.functions)
    for service in file.services:
        scope = Scope(top)
        _declare(program, scope, service.functions)
        for match in service.matches:
            for block in _blocks(program, service.name, match, scope, ()):
                program.blocks.append(block)
    return program


def _declare(program: Program, scope: Scope, functions: list[tree.Function]) -> None:
    for decl in functions:
        if decl.name in scope.functions:
            program.duplicates.append(decl)
            continue
        info = FunctionInfo(decl, scope)
        scope.functions[decl.name] = info
        program.functions.append(info)


def _blocks(
    program: Program,
    service: str,
    match: tree.Match,
    parent: Scope,
    prefix: tuple[tree.Segment, ...],
) -> Iterator[Block]:
    names = tuple(part.text for part in match.path if part.kind != "literal")
    scope = Scope(parent, parent.captures + names)
    _declare(program, scope, match.functions)
    path = prefix + match.path
    yield Block(service, match, path, scope)
    for inner in match.matches:
        yield from _blocks(program, service, inner, scope, path)
