"""A pipeline, as asked: stages of a name, arguments and options, and the expressions in them.

Source: ``google.firestore.v1.Pipeline`` and ``Value``; names and argument shapes are those that the official
clients send. What a stage or function means is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from baas.model.paths import FieldPath
from baas.model.values import Value

MAX_STAGES: Final = 100
"""Stages of one pipeline, those of the pipelines in it included."""
MAX_EXPRESSION_DEPTH: Final = 32
MAX_EXPRESSIONS: Final = 10_000
"""Expressions of one pipeline, constants included."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value."""

    value: Value


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """A path that only sources take: ``/books``, ``/books/b1``, or empty."""

    path: str


@dataclass(frozen=True, slots=True)
class FieldReference:
    """A field of the row, or ``__name__``, ``__create_time__``, ``__update_time__``; ``text`` as it came."""

    path: FieldPath
    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """What a ``let`` stage, or a function over elements, has named."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function."""

    name: str
    args: tuple[Expression, ...] = ()
    options: Mapping[str, Expression] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MapExpression:
    """A map with something to compute in it; in stages, the aliases and what they stand for."""

    entries: Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class ArrayExpression:
    """An array with something to compute in it."""

    elements: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class SubPipeline:
    """A pipeline as an argument."""

    pipeline: Pipeline


Expression: TypeAlias = (
    Constant
    | ResourcePath
    | FieldReference
    | Variable
    | Call
    | MapExpression
    | ArrayExpression
    | SubPipeline
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage."""

    name: str
    args: tuple[Expression, ...] = ()
    options: Mapping[str, Expression] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages, in order."""

    stages: tuple[Stage, ...]
