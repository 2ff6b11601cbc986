"""Values that the server computes when it commits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldValue:
    """What a field becomes, worked out by the server. Made by the functions of this module."""

    name: str
    operand: object = None


def server_timestamp() -> FieldValue:
    """The time of the commit."""
    return FieldValue("server_timestamp")


def increment(amount: int | float) -> FieldValue:
    """The field's number plus ``amount``; ``amount`` itself where the field is no number."""
    return FieldValue("increment", amount)


def array_union(*elements: object) -> FieldValue:
    """The field's array with those elements appended that it lacks."""
    return FieldValue("array_union", elements)


def array_remove(*elements: object) -> FieldValue:
    """The field's array without these elements."""
    return FieldValue("array_remove", elements)


def delete_field() -> FieldValue:
    """The field is removed; for ``update_doc`` and for ``set_doc`` with merge."""
    return FieldValue("delete_field")
