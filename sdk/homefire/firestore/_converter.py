"""Converters: an app's own types in place of mappings. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypedDict

from homefire.errors import FirestoreError
from homefire.firestore._paths import FieldPath

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=dict[str, Any])
else:
    from typing import TypeVar

    T = TypeVar("T")
M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class SetOptions(TypedDict, total=False):
    """How ``set_doc`` was told to merge."""

    merge: bool
    merge_fields: Sequence[str | FieldPath]


class Converter(Protocol[M_co]):
    """What ``with_converter`` takes: any object, or class, with these two functions."""

    def to_firestore(self, model: Any, /) -> Mapping[str, Any]:
        """The fields to store. If a parameter is named ``options``, a set that merges gives its options."""

    def from_firestore(self, snapshot: Any, /) -> M_co:
        """A ``QueryDocumentSnapshot``, whose ``data()`` are the fields, as the app's own type."""


@dataclass(frozen=True, slots=True)
class FirestoreDataConverter(Generic[M]):
    """A converter made of two functions."""

    to_firestore: Callable[..., Mapping[str, Any]]
    from_firestore: Callable[[Any], M]


def checked(converter: Converter[M]) -> Converter[M]:
    """The converter; raises ``invalid-argument`` for what is none."""
    for name in ("to_firestore", "from_firestore"):
        if not callable(getattr(converter, name, None)):
            raise FirestoreError(
                "invalid-argument", f"A converter has to_firestore and from_firestore: no {name}()."
            )
    return converter


def to_fields(
    converter: Converter[Any] | None,
    model: Any,
    *,
    merge: bool = False,
    merge_fields: Sequence[str | FieldPath] | None = None,
) -> Any:
    """What is to be stored of a model."""
    if converter is None:
        return model
    convert: Callable[..., Any] = converter.to_firestore
    options: SetOptions = {"merge": True} if merge else {}
    if merge_fields is not None:
        options["merge_fields"] = merge_fields
    if options and _takes_options(convert):
        return convert(model, options=options)
    return convert(model)


def _takes_options(function: Callable[..., Any]) -> bool:
    try:
        return "options" in inspect.signature(function).parameters
    except ValueError:  # Built-in functions may not tell.
        return False
